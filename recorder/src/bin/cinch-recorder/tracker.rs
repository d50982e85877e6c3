//! Which containers of this node are recorded, and what of that has to be written where. Pure.
//!
//! ```text
//!  ProfileRecordings, pods, namespaces --> assign --> subjects (one container of one pod, for one recording)
//!  slots of the kernel, lines of logs ---> spaces, containers (by the names of their cgroups) --> seen, by subject
//!                                                     subjects --> due --> profiles, statuses, state that outlives us
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use profile::kinds::{Recorder, RecordingKind, seccomp::Arch};
use recorder::seen::{Access, Permission, Seen};

pub(crate) use due::{Outcome, Publication, Report, TargetKey};
pub(crate) use pod::{Object, Pod};
pub(crate) use recording::{Key, Recording};
pub(crate) use spaces::Losses;
pub(crate) use subject::{Moment, Subject, SubjectKey};

mod assign;
mod containers;
mod due;
mod history;
mod pod;
mod recording;
mod spaces;
mod subject;
#[cfg(test)]
mod tests;

/// The longest wait for the name of a container that has ended.
const NAME: Duration = Duration::from_secs(5);

/// The longest time, on top of the pace, for which it is left to others to end a recording. Each recorder has a time of its own.
const PATIENCE: Duration = Duration::from_mins(2);

/// For how long a pod that is gone is remembered, for what is still to be said of it.
const MEMORY: Duration = Duration::from_mins(1);

/// What a recorder does and knows.
#[derive(Debug)]
pub(crate) struct Tracker {
    machine: Arch,
    /// Between two writes of one object.
    pace: Duration,
    /// For how long it is left to others to end what nothing is known of here.
    patience: Duration,
    recordings: BTreeMap<Key, Recording>,
    /// By uid.
    pods: BTreeMap<String, Pod>,
    /// Pods that are gone, and since when.
    gone: BTreeMap<String, (Pod, Duration)>,
    /// Namespaces that have opted in; none where all have.
    enabled: Option<BTreeSet<String>>,
    known: Known,
    subjects: BTreeMap<SubjectKey, Tracked>,
    /// Subjects that are done, while somebody could take them for new.
    finished: BTreeSet<SubjectKey>,
    containers: BTreeMap<String, containers::Container>,
    /// By namespace and place of the slot.
    spaces: BTreeMap<(u64, u32), spaces::Space>,
    targets: BTreeMap<TargetKey, due::Target>,
    reports: BTreeMap<Key, due::Told>,
    looked: Option<Duration>,
    losses: Losses,
    /// Records of logs that were missed.
    missed: u64,
    /// Subjects that are not on the disk as they are here, and those that have to go from there.
    changed: BTreeSet<SubjectKey>,
    removed: BTreeSet<SubjectKey>,
    notes: Vec<Note>,
    noted: BTreeSet<(Key, &'static str, String)>,
    /// Whether subjects may begin or end.
    stale: bool,
    /// Whether SELinux may have told already what it would tell of a container that has come.
    refresh: bool,
    /// Cgroups that are recorded as containers, whatever they are called.
    cgroups: BTreeSet<String>,
}

/// Which lists have been told in full.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a list")]
struct Known {
    recordings: bool,
    pods: bool,
    namespaces: bool,
    /// Whether news of pods come in time.
    pods_fresh: bool,
    /// Whether nobody tells of a pod before its containers start.
    pods_late: bool,
}

/// A subject, and what need not outlive us.
#[derive(Debug)]
struct Tracked {
    subject: Subject,
    /// Grows with each new thing.
    revision: u64,
    ended_at: Option<Duration>,
    /// Whether nothing more can come.
    settled: bool,
}

/// What has to be watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a source")]
pub(crate) struct Needs {
    pub(crate) calls: bool,
    pub(crate) accesses: bool,
    pub(crate) permissions: bool,
    pub(crate) logs: bool,
}

impl Needs {
    fn of(recorded: impl Iterator<Item = (Recorder, RecordingKind)>) -> Self {
        let mut needs = Self::default();
        for (recorder, kind) in recorded {
            match (recorder, kind) {
                (Recorder::Logs, _) => needs.logs = true,
                (Recorder::Bpf, RecordingKind::SeccompProfile) => needs.calls = true,
                (Recorder::Bpf, RecordingKind::AppArmorProfile) => needs.accesses = true,
                (Recorder::Bpf, RecordingKind::SelinuxProfile) => needs.permissions = true,
            }
        }
        needs
    }
}

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) recording: Key,
    /// The uid of the recording.
    pub(crate) uid: String,
    /// As Events have it: one word.
    pub(crate) reason: &'static str,
    pub(crate) text: String,
}

impl Tracker {
    pub(crate) fn new(machine: Arch, pace: Duration) -> Self {
        Self {
            machine,
            pace,
            patience: pace.saturating_add(Duration::from_secs(
                RandomState::new().hash_one(()) % PATIENCE.as_secs(),
            )),
            recordings: BTreeMap::new(),
            pods: BTreeMap::new(),
            gone: BTreeMap::new(),
            enabled: None,
            known: Known { pods_fresh: true, ..Known::default() },
            subjects: BTreeMap::new(),
            finished: BTreeSet::new(),
            containers: BTreeMap::new(),
            spaces: BTreeMap::new(),
            targets: BTreeMap::new(),
            reports: BTreeMap::new(),
            looked: None,
            losses: Losses::default(),
            missed: 0,
            changed: BTreeSet::new(),
            removed: BTreeSet::new(),
            notes: Vec::new(),
            noted: BTreeSet::new(),
            stale: true,
            refresh: false,
            cgroups: BTreeSet::new(),
        }
    }

    /// Takes over what an earlier process has left. What was begun in another boot counts from now on.
    pub(crate) fn restore(&mut self, left: Vec<(SubjectKey, Subject)>, now: Moment) {
        for (key, mut subject) in left {
            if subject.began > now.uptime {
                (subject.began, subject.newest) = (now.uptime, now.uptime);
            }
            let ended_at = subject.ended.then_some(now.uptime);
            let tracked = Tracked { subject, revision: 1, ended_at, settled: false };
            self.subjects.insert(key, tracked);
        }
        self.stale = true;
    }

    /// A recording is there, or has changed.
    pub(crate) fn recording(&mut self, recording: Recording) {
        let newer =
            |there: &Recording| there.uid == recording.uid && there.version > recording.version;
        // What was read after a write of our own is newer than what a watch tells of before it.
        if !self.recordings.get(&recording.key).is_some_and(newer) {
            self.recordings.insert(recording.key.clone(), recording);
            self.stale = true;
        }
    }

    /// A recording is gone.
    pub(crate) fn recording_gone(&mut self, key: &Key) {
        self.recordings.remove(key);
        self.stale = true;
    }

    /// These are all recordings.
    pub(crate) fn all_recordings(&mut self, keys: &BTreeSet<Key>) {
        self.recordings.retain(|key, _| keys.contains(key));
        self.known.recordings = true;
        self.stale = true;
    }

    /// A pod of this node is there, or has changed.
    pub(crate) fn pod(&mut self, pod: Pod) {
        if self.pods.get(&pod.uid) != Some(&pod) {
            self.pods.insert(pod.uid.clone(), pod);
            self.stale = true;
        }
    }

    /// A pod is gone.
    pub(crate) fn pod_gone(&mut self, uid: &str, now: Moment) {
        if let Some(pod) = self.pods.remove(uid) {
            self.gone.insert(uid.to_owned(), (pod, now.uptime));
            self.stale = true;
        }
    }

    /// These are all pods of this node, by uid.
    pub(crate) fn all_pods(&mut self, uids: &BTreeSet<String>, now: Moment) {
        let gone: Vec<_> = self.pods.keys().filter(|uid| !uids.contains(*uid)).cloned().collect();
        for uid in gone {
            self.pod_gone(&uid, now);
        }
        self.known.pods = true;
        self.stale = true;
    }

    /// These are the namespaces that have opted in; none when all have.
    pub(crate) fn namespaces(&mut self, enabled: Option<BTreeSet<String>>) {
        self.enabled = enabled;
        self.known.namespaces = true;
        self.stale = true;
    }

    /// Whether news of pods come in time: while they do not, one that is to be recorded may be here unknown.
    pub(crate) fn pods_fresh(&mut self, fresh: bool) {
        self.known.pods_fresh = fresh;
    }

    /// From now on nobody tells of a pod before its containers start: what they do is looked at while a recording is there.
    pub(crate) fn pods_late(&mut self) {
        self.known.pods_late = true;
    }

    /// Takes a cgroup, by its path in `/proc/PID/cgroup`, for a container, whose id is that path.
    pub(crate) fn cgroup(&mut self, path: String) {
        self.cgroups.insert(path);
    }

    /// Whether nothing is being recorded, or waits to be written.
    pub(crate) fn is_idle(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Whether all lists have been told.
    pub(crate) fn is_complete(&self) -> bool {
        self.known.recordings && self.known.pods && self.known.namespaces
    }

    /// How many containers are being recorded.
    pub(crate) fn active(&self) -> usize {
        self.subjects.values().filter(|tracked| !tracked.settled).count()
    }

    /// The pods of this node, those that went a moment ago included.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = &Pod> {
        self.gone.values().map(|(pod, _)| pod).chain(self.pods.values())
    }

    /// Lets time pass: subjects begin and end.
    pub(crate) fn step(&mut self, now: Moment) {
        let remembered = self.gone.len();
        self.gone.retain(|_, (_, since)| now.since(*since) < MEMORY);
        self.stale |= self.gone.len() < remembered;
        self.stop(now);
        if std::mem::take(&mut self.stale) {
            self.assign(now);
        }
        self.resolve(now);
        self.settle(now);
    }

    /// What has to be watched now.
    pub(crate) fn needs(&self) -> Needs {
        let unsettled = self.subjects.values().filter(|tracked| !tracked.settled);
        let recorded = unsettled.map(|tracked| (tracked.subject.recorder, tracked.subject.kind));
        // While nobody tells of pods, one may start here that is to be recorded.
        let unknown = self.known.pods_late || !self.known.pods_fresh;
        Needs::of(recorded.chain(self.taking().filter(|_| unknown)))
    }

    /// What has to be watched at once when a pod comes that is to be recorded.
    pub(crate) fn foreseen(&self) -> Needs {
        Needs::of(self.taking())
    }

    /// By whom and what recordings record that take new pods.
    fn taking(&self) -> impl Iterator<Item = (Recorder, RecordingKind)> {
        let taking = self.recordings.values().filter(|recording| self.takes(recording));
        taking.map(|recording| (recording.recorder(), recording.kind()))
    }

    /// Something was accessed in a mount namespace.
    pub(crate) fn access(&mut self, namespace: u64, access: &Access, now: Moment) {
        let what = |seen: &mut Seen| seen.access(access.clone());
        self.route_space(namespace, RecordingKind::AppArmorProfile, &what, now);
    }

    /// A permission was asked for in a mount namespace.
    pub(crate) fn permission(&mut self, namespace: u64, permission: &Permission, now: Moment) {
        let what = |seen: &mut Seen| seen.permission(permission.clone());
        self.route_space(namespace, RecordingKind::SelinuxProfile, &what, now);
    }

    /// What people should know and have not been told.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// What has to be written to the disk, and what has to go from there.
    pub(crate) fn take_changed(&mut self) -> (Vec<(SubjectKey, Subject)>, Vec<SubjectKey>) {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let changed = changed.filter_map(|key| {
            let subject = self.subjects.get(&key)?.subject.clone();
            Some((key, subject))
        });
        (changed.collect(), std::mem::take(&mut self.removed).into_iter().collect())
    }

    /// This could not be written to the disk.
    pub(crate) fn not_saved(&mut self, key: SubjectKey) {
        self.changed.insert(key);
    }

    /// Tells people once.
    fn note(
        &mut self,
        recording: &Key,
        uid: &str,
        reason: &'static str,
        about: &str,
        text: String,
    ) {
        if self.noted.insert((recording.clone(), reason, about.to_owned())) {
            let (recording, uid) = (recording.clone(), uid.to_owned());
            self.notes.push(Note { recording, uid, reason, text });
        }
    }
}
