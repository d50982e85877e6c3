//! Whether others may still add to a profile. Pure.

use std::collections::BTreeSet;

use profile::kinds::MergeStrategy;

use super::super::{Key, SubjectKey, Tracked, Tracker};

/// Who may still add to a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shared {
    /// Nobody else.
    Alone,
    /// Pods of other nodes.
    Others,
    /// That is not known, as the status has not been told of the end here.
    Unsaid,
}

impl Tracker {
    /// Whether others may still add to the profile of a subject: those that are recorded elsewhere, as far as the status
    /// tells that has been told of this one's end.
    pub(super) fn shared(&self, key: &SubjectKey, tracked: &Tracked) -> Shared {
        if tracked.subject.merge != MergeStrategy::Containers {
            return Shared::Alone;
        }
        let recording = self.recordings.get(&key.recording);
        let recording = recording.filter(|recording| recording.uid == key.recording_uid);
        let Some(recording) = recording else { return Shared::Alone };
        let told = self.reports.get(&key.recording);
        if recording.is_complete() || told.is_some_and(|told| told.complete) {
            return Shared::Alone;
        }
        let own = self.own_pods(&key.recording);
        let unsaid = !told.is_some_and(|told| told.has_said_end(&tracked.subject.pod));
        match recording.others(&own).next() {
            _ if unsaid => Shared::Unsaid,
            Some(_) => Shared::Others,
            None => Shared::Alone,
        }
    }

    /// Pods of this node that are or were recorded for a recording.
    fn own_pods(&self, key: &Key) -> BTreeSet<String> {
        let subjects = self.subjects.iter().filter(|(of, _)| of.recording == *key);
        let mut own: BTreeSet<_> =
            subjects.map(|(_, tracked)| tracked.subject.pod.clone()).collect();
        own.extend(self.reports.get(key).into_iter().flat_map(|told| told.ended.iter().cloned()));
        own
    }
}
