//! What somebody else knows of processes that have ended before they could be looked at.

use std::{fmt::Debug, time::Duration};

use super::Place;
use crate::cgroup::Container;

/// Who knows of processes that have ended, if not for long.
pub trait Processes: Debug + Send + Sync {
    /// The last process with this number that has ended. Must not wait for anything.
    fn ended(&self, process: u32) -> Option<Ended>;
}

/// A process that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Since the machine was started, as is the end.
    pub start: Duration,
    pub end: Duration,
    /// The inode of its mount namespace.
    pub namespace: Option<u64>,
    /// The name of its cgroup, and of the one above that.
    pub leaf: String,
    pub parent: String,
}

impl Ended {
    /// Start and end in milliseconds since 1970, as the machine was started then.
    pub(super) fn times(&self, booted: u64) -> (u64, u64) {
        let at = |since: Duration| {
            booted.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
        };
        (at(self.start), at(self.end))
    }

    /// Only the last two names of the cgroup's path are known.
    pub(super) fn into_place(self) -> Place {
        let Self { namespace, leaf, parent, .. } = self;
        let container = Container::of_names(&leaf, &parent);
        let names = [parent, leaf];
        let names: Vec<_> = names.iter().filter(|name| !name.is_empty()).map(|s| &**s).collect();
        Place { container, namespace, cgroup: format!("/{}", names.join("/")) }
    }
}
