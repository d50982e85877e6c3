//! What has to be written to the API, and when. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use profile::kinds::{
    MergeStrategy, ProfileRecordingStatus, RecordingKind, RecordingPhase,
    recording::RecordedContainer,
};
use recorder::{learned::ledger, seen::Seen};

use super::{Key, Moment, Recording, Subject, SubjectKey, Tracked, Tracker, history};

/// The status has room for no more.
const WORKLOADS: usize = 100;

/// While nothing ends, each write of a profile is this much later than the one before, up to so many times.
const SLOWER: u32 = 2;
const SLOWEST: u32 = 16;

/// The longest wait after a write that failed.
const FAILED: Duration = Duration::from_secs(30);

/// How often is looked whether a name is free again.
const TAKEN: Duration = Duration::from_mins(1);

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetKey {
    /// `SeccompProfile` and the like.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
}

/// What is known of a profile that is written.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) recording: Key,
    written: Option<Stamp>,
    last: Option<Duration>,
    wait: u32,
    failures: u32,
    taken: bool,
}

/// What a publication says: as long as it is the same there is nothing to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    revision: u64,
    instances: usize,
    partial: bool,
}

/// Who may still add to a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shared {
    /// Nobody else.
    Alone,
    /// Pods of other nodes.
    Others,
    /// That is not known, as the status has not been told of the end here.
    Unsaid,
}

/// A profile that has to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) target: TargetKey,
    pub(crate) kind: RecordingKind,
    pub(crate) recording: Key,
    pub(crate) recording_uid: String,
    pub(crate) container: String,
    pub(crate) seen: Seen,
    /// The names of the pods that it is made of here.
    pub(crate) pods: Vec<String>,
    /// What each instance was seen doing here, by a name that no other one has; empty where a profile is of one.
    pub(crate) instances: Vec<(String, Seen)>,
    pub(crate) partial: bool,
    /// Whether nothing more can come from here.
    over: bool,
    pub(crate) disable: bool,
    pub(super) stamp: Stamp,
}

#[cfg(test)]
impl Publication {
    /// Of one pod of `default/web`, for the seccomp profile of this name.
    pub(crate) fn of_test(uid: &str, name: &str, seen: Seen) -> Self {
        let kind = RecordingKind::SeccompProfile;
        Self {
            target: TargetKey { kind: kind.as_str(), name: name.to_owned() },
            kind,
            recording: Key { namespace: "default".to_owned(), name: "web".to_owned() },
            recording_uid: uid.to_owned(),
            container: "main".to_owned(),
            seen,
            pods: vec!["web-0".to_owned()],
            instances: Vec::new(),
            partial: false,
            over: true,
            disable: false,
            stamp: Stamp { revision: 1, instances: 1, partial: false },
        }
    }
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Written,
    /// Somebody else has a profile of that name.
    Taken,
    Failed,
}

/// What this node has to say of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// `namespace/name` of the pods that are being recorded here.
    pub(crate) active: BTreeSet<String>,
    /// Those that were recorded here, and are no longer.
    pub(crate) ended: BTreeSet<String>,
    pub(crate) complete: bool,
    /// When the first container began to be recorded here.
    pub(crate) began: Option<Duration>,
    pub(crate) containers: BTreeMap<String, Entry>,
}

/// What is said of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) profile: Option<String>,
    pub(crate) seen: usize,
    pub(crate) newest: Option<Timestamp>,
    pub(crate) lost: u64,
}

/// What was told of a recording, and when.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) uid: String,
    /// When its first container began to be recorded here.
    pub(super) began: Option<Duration>,
    pub(super) newest: Option<Duration>,
    pub(super) complete: bool,
    entries: BTreeMap<String, Entry>,
    ended: BTreeSet<String>,
    written: Option<Report>,
    last: Option<Duration>,
    failures: u32,
    /// For how long the status has said that nothing was new, and when it is to say so again.
    again: u32,
}

impl Told {
    /// What was told of another recording of that name is forgotten.
    pub(super) fn of(&mut self, uid: &str) {
        if self.uid != uid {
            *self = Self { uid: uid.to_owned(), ..Self::default() };
        }
    }
}

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
            let known = self.targets.entry(target.clone()).or_insert_with(|| Target {
                recording: key.recording.clone(),
                written: None,
                last: None,
                wait: 1,
                failures: 0,
                taken: false,
            });
            let alone = over && first.subject.merge == MergeStrategy::None;
            // Nothing was seen yet: no profile says so.
            let empty = subjects.iter().all(|(_, tracked)| tracked.subject.seen.is_empty());
            if empty
                || known.written == Some(stamp) && !over
                || !known.is_due(over, alone, self.pace, now)
            {
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

    /// Whether others may still add to the profile of a subject: those that are recorded elsewhere, as far as the status
    /// tells that has been told of this one's end.
    fn shared(&self, key: &SubjectKey, tracked: &Tracked) -> Shared {
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
        let unsaid = told.and_then(|told| told.written.as_ref()).is_none_or(|written| {
            written.active.contains(&tracked.subject.pod)
                || !written.ended.contains(&tracked.subject.pod)
        });
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

    /// How the write of a profile ended.
    pub(crate) fn published(&mut self, publication: &Publication, outcome: Outcome, now: Moment) {
        let Some(target) = self.targets.get_mut(&publication.target) else { return };
        target.last = Some(now.uptime);
        match outcome {
            Outcome::Written => {
                target.written = Some(publication.stamp);
                target.wait = (target.wait * SLOWER).min(SLOWEST);
                (target.failures, target.taken) = (0, false);
            }
            Outcome::Taken => {
                target.taken = true;
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
            Outcome::Failed => {
                target.failures = target.failures.saturating_add(1);
                return;
            }
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

    /// Takes what is known of a subject into what is said of its recording.
    fn tell(&mut self, key: &SubjectKey) {
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

/// What is counted of the subjects of a profile: those of which something was seen. One more than there is room for says that there
/// were more; the oldest come first, so that it stays the same ones.
fn instances(subjects: &[(&SubjectKey, &Tracked)]) -> Vec<(String, Seen)> {
    let united = |(_, tracked): &&(&SubjectKey, &Tracked)| {
        let Subject { merge, seen, .. } = &tracked.subject;
        *merge == MergeStrategy::Containers && !seen.is_empty()
    };
    let mut counted: Vec<_> = subjects.iter().filter(united).collect();
    counted.sort_by_key(|(_, tracked)| tracked.subject.began);
    let counted = counted.into_iter().take(ledger::INSTANCES_MAX + 1);
    let named = counted.map(|(key, tracked)| {
        (format!("{}/{}", key.pod_uid, key.container), tracked.subject.seen.clone())
    });
    named.collect()
}

impl Target {
    fn is_due(&self, over: bool, alone: bool, pace: Duration, now: Moment) -> bool {
        let Some(last) = self.last else { return true };
        let since = now.since(last);
        if self.taken {
            return since >= TAKEN;
        }
        if self.failures > 0 {
            return since >= pace.saturating_mul(1 << self.failures.min(5)).min(FAILED);
        }
        // Where each pod has a profile of its own, the end comes once.
        alone || since >= pace.saturating_mul(if over { 1 } else { self.wait })
    }
}

impl Report {
    /// The status that a recording has with this report; what other nodes have said of it stays.
    pub(crate) fn merged(
        &self,
        before: &ProfileRecordingStatus,
        now: Moment,
    ) -> ProfileRecordingStatus {
        let mut workloads: BTreeSet<String> = before.active_workloads.iter().cloned().collect();
        workloads.retain(|pod| !self.ended.contains(pod));
        workloads.extend(self.active.iter().cloned());
        let complete = self.complete || before.phase == Some(RecordingPhase::Complete);
        let phase = match workloads.is_empty() {
            _ if complete => RecordingPhase::Complete,
            true => RecordingPhase::Waiting,
            false => RecordingPhase::Recording,
        };
        let mut containers: BTreeMap<String, RecordedContainer> =
            before.containers.iter().map(|said| (said.name.clone(), said.clone())).collect();
        for (name, entry) in &self.containers {
            let said = containers.entry(name.clone()).or_insert_with(|| RecordedContainer {
                name: name.clone(),
                profile: None,
                seen: 0,
                last_new_at: None,
                stable_seconds: 0,
                lost: 0,
                history: Vec::new(),
            });
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            said.profile = entry.profile.clone().or_else(|| said.profile.take());
            said.seen = said.seen.max(count(entry.seen as u64));
            said.lost = said.lost.max(count(entry.lost));
            let newest = entry.newest.map(|wall| Moment { wall, ..now }.time());
            if let Some(at) = &newest {
                history::add(&mut said.history, at, said.seen);
            }
            said.last_new_at = said.last_new_at.take().max(newest);
        }
        let most = history::room(containers.len());
        for said in containers.values_mut() {
            history::thin(&mut said.history, most);
            let since =
                said.last_new_at.as_ref().map(|time| now.wall.duration_since(time.0).as_secs());
            said.stable_seconds = since.unwrap_or_default().max(0);
        }
        ProfileRecordingStatus {
            active_workloads: workloads.into_iter().take(WORKLOADS).collect(),
            phase: Some(phase),
            // Who was first to say so is not contradicted: clocks differ.
            started_at: before.started_at.clone().or_else(|| self.began.map(|at| now.ago(at))),
            containers: containers.into_values().collect(),
        }
    }
}
