//! How profiles of a mechanism get onto a node, are found there and leave it.

use std::collections::{BTreeMap, BTreeSet};

use profile::mechanism::Mechanism;

use crate::{disk::DiskError, plan::Found};

pub mod apparmor;
mod processes;
pub mod program;
pub mod seccomp;
pub mod selinux;

/// One mechanism on one node. Nothing in it decides anything: that is what plans are for.
pub trait Backend: Send {
    /// Which one.
    fn mechanism(&self) -> Mechanism;

    /// Why this node cannot have profiles of this mechanism; none when it can.
    fn unavailable(&self) -> Option<String>;

    /// What is there under these names.
    fn observe(&mut self, names: &BTreeSet<Box<str>>)
    -> Result<BTreeMap<Box<str>, Found>, Failure>;

    /// Whether what is there under a name, although the ledger does not have it, is ours or means the same as this text,
    /// so that it can be taken over.
    fn adoptable(&self, name: &str, text: &str) -> bool;

    /// Makes changes. What fails stops nothing else.
    fn change(&mut self, change: &Change) -> Changed;

    /// The names that processes run under, as far as the kernel tells.
    fn running(&self) -> BTreeSet<Box<str>>;

    /// Where a profile is on the node.
    fn place(&self, name: &str) -> String;

    /// The folders that must be there.
    fn needed(&self) -> Vec<std::path::PathBuf>;

    /// The folders in which changes tell of a drift.
    fn watched(&self) -> Vec<std::path::PathBuf>;
}

/// What to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Texts to put on the node, by name.
    pub install: BTreeMap<Box<str>, String>,
    /// Names of profiles that go.
    pub remove: BTreeSet<Box<str>>,
}

/// How it went, by name.
#[derive(Debug, Default)]
pub struct Changed {
    /// What the kernel calls the new policy, where it tells.
    pub installed: BTreeMap<Box<str>, Result<Option<String>, Failure>>,
    pub removed: BTreeMap<Box<str>, Result<(), Failure>>,
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub message: String,
    /// The text itself is at fault: there is no use in trying it again.
    pub refused: bool,
}

impl Failure {
    /// The text is at fault.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), refused: true }
    }

    /// Something around it is at fault, which may pass.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), refused: false }
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Self::passing(daemon::error::chain(&error))
    }
}
