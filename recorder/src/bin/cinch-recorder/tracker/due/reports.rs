//! What has to be said of recordings now, and what follows from how that ended. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    super::{Key, Moment, Recording, SubjectKey, Tracker},
    FAILED, Report,
    status::Entry,
};

/// What was told of a recording, and when.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) uid: String,
    /// When its first container began to be recorded here.
    pub(crate) began: Option<Duration>,
    pub(crate) newest: Option<Duration>,
    pub(crate) complete: bool,
    entries: BTreeMap<String, Entry>,
    pub(super) ended: BTreeSet<String>,
    written: Option<Report>,
    last: Option<Duration>,
    failures: u32,
    /// For how long the status has said that nothing was new, and when it is to say so again.
    again: u32,
}

impl Told {
    /// What was told of another recording of that name is forgotten.
    pub(crate) fn of(&mut self, uid: &str) {
        if self.uid != uid {
            *self = Self { uid: uid.to_owned(), ..Self::default() };
        }
    }

    /// Whether the status has been told that a pod is no longer recorded here.
    pub(super) fn has_said_end(&self, pod: &str) -> bool {
        self.written
            .as_ref()
            .is_some_and(|written| !written.active.contains(pod) && written.ended.contains(pod))
    }
}

impl Tracker {
    /// Takes what is known of a subject into what is said of its recording.
    pub(super) fn tell(&mut self, key: &SubjectKey) {
        let Some(tracked) = self.subjects.get(key) else { return };
        let told = self.reports.entry(key.recording.clone()).or_default();
        told.of(&key.recording_uid);
        if tracked.subject.newest_at.is_some() {
            told.newest = told.newest.max(Some(tracked.subject.newest));
        }
        told.began = Some(
            told.began.map_or(tracked.subject.began, |began| began.min(tracked.subject.began)),
        );
        let entry = told.entries.entry(key.container.clone()).or_default();
        if tracked.subject.newest_at.is_some() {
            entry.profile = Some(tracked.subject.profile.clone());
        }
        entry.seen = entry.seen.max(tracked.subject.seen.len());
        entry.newest = entry.newest.max(tracked.subject.newest_at);
        entry.lost = entry.lost.max(tracked.subject.all_lost());
        if tracked.settled {
            told.ended.insert(tracked.subject.pod.clone());
        }
    }

    /// What has to be said of recordings now.
    pub(crate) fn reports(&mut self, now: Moment) -> Vec<(Recording, Report)> {
        let keys: Vec<_> = self.subjects.keys().cloned().collect();
        for key in &keys {
            self.tell(key);
        }
        let mut due = Vec::new();
        for (key, told) in &mut self.reports {
            let recording = self.recordings.get(key).filter(|recording| recording.uid == told.uid);
            let Some(recording) = recording else { continue };
            let of_recording =
                |of: &SubjectKey| of.recording == *key && of.recording_uid == told.uid;
            let here =
                self.subjects.iter().filter(|(of, tracked)| of_recording(of) && !tracked.settled);
            let active: BTreeSet<_> =
                here.map(|(_, tracked)| tracked.subject.pod.clone()).collect();
            told.ended.retain(|pod| !active.contains(pod));
            let report = Report {
                active,
                ended: told.ended.clone(),
                complete: told.complete,
                began: told.began,
                containers: told.entries.clone(),
            };
            let wait =
                self.pace.saturating_mul(1 << told.failures.min(2)).min(FAILED.max(self.pace));
            let paced = told.last.is_none_or(|last| now.since(last) >= wait);
            // That nothing is new is said after growing times.
            let quiet = told.newest.map_or(Duration::ZERO, |newest| now.since(newest));
            let again = !report.active.is_empty()
                && quiet >= self.pace.saturating_mul(1 << told.again.min(20)).saturating_mul(2);
            if paced && (told.written.as_ref() != Some(&report) || again) {
                if again {
                    told.again += 1;
                }
                due.push((recording.clone(), report));
            }
        }
        due
    }

    /// How a write of a status ended; with the status as it is then.
    pub(crate) fn reported(
        &mut self,
        key: &Key,
        report: &Report,
        result: Result<Option<Recording>, ()>,
        now: Moment,
    ) {
        if let Some(told) = self.reports.get_mut(key) {
            told.last = Some(now.uptime);
            match &result {
                Ok(_) => {
                    if told
                        .written
                        .as_ref()
                        .is_none_or(|written| written.containers != report.containers)
                    {
                        told.again = 0;
                    }
                    told.failures = 0;
                    // Pods that the status no longer has need not be remembered once their profiles are written.
                    told.written = Some(report.clone());
                }
                Err(()) => told.failures = told.failures.saturating_add(1),
            }
        }
        if let Ok(Some(recording)) = result {
            self.recording(recording);
        }
    }
}
