//! What watches tell: an object is there in its reduced form, or it is gone. Pure.

use std::{collections::BTreeSet, sync::Arc};

use profile::{
    kinds::{NodeProfile, ProfileBindingStatus, ProfileKind, ProfileRecordingStatus},
    snapshot::Switches,
};

use super::{
    key::{Named, ProfileKey},
    place::Place,
    pod::Pod,
    profile::Profile,
};

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Pod,
    Node,
    Report,
    Namespace,
    Binding,
    Recording,
    Profile(ProfileKind),
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pod,
        Self::Node,
        Self::Report,
        Self::Namespace,
        Self::Binding,
        Self::Recording,
        Self::Profile(ProfileKind::SeccompProfile),
        Self::Profile(ProfileKind::SelinuxProfile),
        Self::Profile(ProfileKind::RawSelinuxProfile),
        Self::Profile(ProfileKind::AppArmorProfile),
    ];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::Report => "NodeSecurityProfiles",
            Self::Namespace => "Namespace",
            Self::Binding => "ProfileBinding",
            Self::Recording => "ProfileRecording",
            Self::Profile(kind) => kind.as_str(),
        }
    }
}

/// A binding that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub uid: Box<str>,
    /// None where it cannot be used.
    pub rule: Option<Arc<profile::bindings::Binding>>,
    pub status: ProfileBindingStatus,
}

/// A recording that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub uid: Box<str>,
    pub version: Box<str>,
    pub status: ProfileRecordingStatus,
}

/// A node that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub ready: bool,
    pub place: Place,
}

/// One piece of news; what is None is gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Pod(Named, Option<Box<Pod>>),
    Node(Arc<str>, Option<Node>),
    Report(Arc<str>, Option<Vec<NodeProfile>>),
    /// What a namespace has opted in to.
    Namespace(Arc<str>, Option<Switches>),
    Binding(Named, Option<Box<Binding>>),
    Recording(Named, Option<Box<Recording>>),
    Profile(ProfileKey, Option<Box<Profile>>),
    /// These are all objects of a kind that there are.
    AllNamed(Kind, BTreeSet<Named>),
    AllOfCluster(Kind, BTreeSet<Arc<str>>),
}
