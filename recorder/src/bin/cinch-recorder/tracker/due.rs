//! What has to be written to the API, and when. Pure.

use std::time::Duration;

use super::{SubjectKey, Tracker};

pub(crate) use publication::Publication;
pub(crate) use reports::Told;
pub(crate) use status::Report;
pub(crate) use target::{Outcome, Target, TargetKey};

mod profiles;
mod publication;
mod reports;
mod shared;
pub(super) mod status;
mod target;

/// The longest wait after a write that failed.
const FAILED: Duration = Duration::from_secs(30);

impl Tracker {
    /// A subject is done, and all of it is written.
    pub(super) fn forget(&mut self, key: &SubjectKey) {
        self.tell(key);
        if let Some(tracked) = self.subjects.remove(key) {
            self.changed.remove(key);
            self.removed.insert(key.clone());
            self.finished.insert(key.clone());
            let target =
                TargetKey { kind: tracked.subject.kind.as_str(), name: tracked.subject.profile };
            let used = self.subjects.values().any(|other| {
                other.subject.profile == target.name && other.subject.kind.as_str() == target.kind
            });
            if !used {
                self.targets.remove(&target);
            }
        }
    }
}
