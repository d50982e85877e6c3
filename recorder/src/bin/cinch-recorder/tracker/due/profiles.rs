//! Which profiles have to be written now, and what follows from how that ended. Pure.

use std::collections::BTreeMap;

use profile::kinds::MergeStrategy;
use recorder::seen::Seen;

use super::{
    super::{Moment, SubjectKey, Tracked, Tracker},
    Outcome, Publication, Target, TargetKey,
    publication::{Stamp, instances},
    shared::Shared,
};

impl Tracker {
    /// The profiles that have to be written now.
    pub(crate) fn publications(&mut self, now: Moment) -> Vec<Publication> {
        let mut by_target = BTreeMap::<TargetKey, Vec<(&SubjectKey, &Tracked)>>::new();
        for (key, tracked) in &self.subjects {
            let subject = &tracked.subject;
            let target = TargetKey { kind: subject.kind.as_str(), name: subject.profile.clone() };
            by_target.entry(target).or_default().push((key, tracked));
        }
        let mut due = Vec::new();
        for (target, subjects) in by_target {
            let Some((key, first)) = subjects.first() else { continue };
            let over = subjects.iter().all(|(_, tracked)| tracked.settled);
            let shared = subjects.iter().map(|(key, tracked)| self.shared(key, tracked)).max();
            // In a moment it will be whole.
            if !over && subjects.iter().all(|(_, tracked)| tracked.ended_at.is_some()) {
                continue;
            }
            // Who is the last one to end is known once the status has been told of this end.
            if over && shared == Some(Shared::Unsaid) {
                continue;
            }
            let partial = !over || shared != Some(Shared::Alone);
            let stamp = Stamp {
                revision: subjects.iter().map(|(_, tracked)| tracked.revision).sum(),
                instances: subjects.len(),
                partial,
            };
            let known = self
                .targets
                .entry(target.clone())
                .or_insert_with(|| Target::new(key.recording.clone()));
            let alone = over && first.subject.merge == MergeStrategy::None;
            // Nothing was seen yet: no profile says so.
            let empty = subjects.iter().all(|(_, tracked)| tracked.subject.seen.is_empty());
            if empty || known.says(stamp) && !over || !known.is_due(over, alone, self.pace, now) {
                continue;
            }
            let mut seen = Seen::default();
            for (_, tracked) in &subjects {
                seen.union(&tracked.subject.seen);
            }
            due.push(Publication {
                target,
                kind: first.subject.kind,
                recording: key.recording.clone(),
                recording_uid: key.recording_uid.clone(),
                container: key.container.clone(),
                seen,
                pods: subjects
                    .iter()
                    .map(|(_, tracked)| tracked.subject.pod_name().to_owned())
                    .collect(),
                instances: instances(&subjects),
                partial,
                over,
                disable: first.subject.disable,
                stamp,
            });
        }
        due
    }

    /// How the write of a profile ended.
    pub(crate) fn published(&mut self, publication: &Publication, outcome: Outcome, now: Moment) {
        let Some(target) = self.targets.get_mut(&publication.target) else { return };
        target.tried(outcome, publication.stamp, now);
        match outcome {
            Outcome::Written => {}
            Outcome::Taken => {
                let TargetKey { kind, name } = &publication.target;
                let text = format!(
                    "the {kind} {name} is not of this recording and is left alone: rename one of them, or delete the profile"
                );
                self.note(
                    &publication.recording,
                    &publication.recording_uid,
                    "NameTaken",
                    name,
                    text,
                );
                return;
            }
            Outcome::Failed => return,
        }
        let stamp = publication.stamp;
        let done: Vec<_> = self
            .subjects
            .iter()
            .filter(|(_, tracked)| {
                tracked.settled
                    && tracked.subject.profile == publication.target.name
                    && tracked.subject.kind == publication.kind
            })
            .map(|(key, _)| key.clone())
            .collect();
        // Something came while it was written.
        let revision: u64 = self.revision_of(&publication.target);
        if publication.over && revision == stamp.revision {
            for key in done {
                self.forget(&key);
            }
        }
    }

    fn revision_of(&self, target: &TargetKey) -> u64 {
        let subjects = self.subjects.values().filter(|tracked| {
            tracked.subject.profile == target.name && tracked.subject.kind.as_str() == target.kind
        });
        subjects.map(|tracked| tracked.revision).sum()
    }
}
