//! When a container of a pod begins to be recorded, and when that ends. Pure.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use profile::kinds::{Recorder, RecordingKind};
use recorder::seen::Seen;

use super::{
    Key, Moment, NAME, Pod, Recording, Subject, SubjectKey, Tracked, Tracker,
    recording::profile_name,
};

/// The longest name of an object.
const LONGEST: usize = 253;

impl Tracker {
    /// Whether a recording takes new pods.
    pub(super) fn takes(&self, recording: &Recording) -> bool {
        let namespace = &recording.key.namespace;
        let enabled = self.enabled.as_ref().is_none_or(|names| names.contains(namespace));
        enabled && !recording.paused && !self.is_over(recording)
    }

    /// Whether a recording is over, here or elsewhere.
    fn is_over(&self, recording: &Recording) -> bool {
        let stopped = self.reports.get(&recording.key).is_some_and(|told| told.complete);
        recording.is_complete() || stopped
    }

    /// Lets subjects begin and end as recordings and pods now are.
    pub(super) fn assign(&mut self, now: Moment) {
        if !self.is_complete() {
            return;
        }
        self.end(now);
        self.begin(now);
        // What had ended before anybody told of it.
        self.end(now);
        let (pods, gone) = (&self.pods, &self.gone);
        let there = |uid: &String| pods.contains_key(uid) || gone.contains_key(uid);
        self.finished.retain(|key| there(&key.pod_uid));
        let (recordings, targets) = (&self.recordings, &self.targets);
        self.reports.retain(|key, told| {
            let live = recordings.get(key).is_some_and(|recording| recording.uid == told.uid);
            live || targets.values().any(|target| target.recording == *key)
        });
        let live: BTreeSet<_> = recordings.keys().cloned().collect();
        self.noted.retain(|(recording, ..)| live.contains(recording));
        self.reroute();
    }

    fn end(&mut self, now: Moment) {
        let mut ended = Vec::new();
        for (key, tracked) in &self.subjects {
            if tracked.ended_at.is_none() && !self.goes_on(key, &tracked.subject) {
                ended.push(key.clone());
            }
        }
        for key in ended {
            if let Some(tracked) = self.subjects.get_mut(&key) {
                tracked.ended_at = Some(now.uptime);
                tracked.subject.ended = true;
            }
            self.changed.insert(key);
        }
    }

    fn goes_on(&self, key: &SubjectKey, subject: &Subject) -> bool {
        let recording = self.recordings.get(&key.recording);
        let recording = recording.filter(|recording| recording.uid == key.recording_uid);
        let (Some(recording), Some(pod)) = (recording, self.pods.get(&key.pod_uid)) else {
            return false;
        };
        let enabled = self.enabled.as_ref().is_none_or(|names| names.contains(&pod.namespace));
        let same = (recording.kind(), recording.recorder()) == (subject.kind, subject.recorder);
        enabled
            && same
            && !pod.done
            && !self.is_over(recording)
            && recording.selects(pod, &key.container)
    }

    fn begin(&mut self, now: Moment) {
        let mut new = Vec::new();
        let mut taken: BTreeSet<(&str, &str, Recorder, RecordingKind)> = BTreeSet::new();
        for (key, Tracked { subject, ended_at, .. }) in &self.subjects {
            if ended_at.is_none() {
                taken.insert((&key.pod_uid, &key.container, subject.recorder, subject.kind));
            }
        }
        let mut notes = Vec::new();
        for pod in self.pods.values() {
            // One that has run to its end before anybody told of it may have been seen all the same.
            if pod.done && !self.is_seen(pod) {
                continue;
            }
            for container in &pod.containers {
                let selecting = self
                    .recordings
                    .values()
                    .filter(|recording| self.takes(recording) && recording.selects(pod, container));
                let selecting: Vec<_> = selecting.collect();
                for recording in &selecting {
                    let mechanism = (recording.recorder(), recording.kind());
                    let place = (&*pod.uid, &**container, mechanism.0, mechanism.1);
                    if taken.contains(&place) || !is_the_one(recording, &selecting, pod, container)
                    {
                        continue;
                    }
                    let marked = recording.marked(pod, container);
                    if recording.needs_mark() && marked != Some(&*recording.rule.name) {
                        notes.push((
                            recording.key.clone(),
                            recording.uid.clone(),
                            pod.path(),
                            container,
                        ));
                        continue;
                    }
                    let key = SubjectKey {
                        recording: recording.key.clone(),
                        recording_uid: recording.uid.clone(),
                        pod_uid: pod.uid.clone(),
                        container: container.clone(),
                    };
                    if !self.finished.contains(&key) && !self.subjects.contains_key(&key) {
                        taken.insert(place);
                        new.push((key, self.subject(recording, pod, container, now)));
                    }
                }
            }
        }
        let notes: Vec<_> = notes.into_iter().map(|(key, uid, pod, container)| {
            let text = format!(
                "container {container} of pod {pod} was not prepared for this recording when it was made: it is recorded once it is made anew \
                 in a namespace with the label spo.x-k8s.io/enable-recording"
            );
            (key, uid, format!("{pod}/{container}"), text)
        }).collect();
        for (key, uid, about, text) in notes {
            self.note(&key, &uid, "NotPrepared", &about, text);
        }
        for (key, subject) in new {
            if subject.profile.len() > LONGEST {
                let text = format!("{} is too long to be the name of a profile", subject.profile);
                self.note(
                    &key.recording,
                    &key.recording_uid,
                    "NameTooLong",
                    &subject.profile,
                    text,
                );
                self.finished.insert(key);
                continue;
            }
            let told = self.reports.entry(key.recording.clone()).or_default();
            told.of(&key.recording_uid);
            told.began.get_or_insert(now.uptime);
            self.changed.insert(key.clone());
            let tracked = Tracked { subject, revision: 0, ended_at: None, settled: false };
            self.subjects.insert(key, tracked);
        }
    }

    fn subject(&self, recording: &Recording, pod: &Pod, container: &str, now: Moment) -> Subject {
        Subject {
            kind: recording.kind(),
            recorder: recording.recorder(),
            merge: recording.merge,
            disable: recording.disable,
            pod: pod.path(),
            profile: profile_name(&recording.rule.name, container, recording.merge, pod.suffix()),
            ids: Vec::new(),
            seen: Seen::default(),
            began: now.uptime,
            newest: now.uptime,
            newest_at: None,
            lost: 0,
            lost_before: match recording.recorder() {
                Recorder::Bpf => self.losses.of(recording.kind()),
                Recorder::Logs => self.missed,
            },
            overflow: 0,
            ended: false,
        }
    }

    /// Whether the kernel has told of a container of a pod.
    fn is_seen(&self, pod: &Pod) -> bool {
        let uids = pod.uids();
        self.containers
            .values()
            .any(|container| container.pod().is_some_and(|uid| uids.contains(uid)))
    }

    /// Ends recordings whose time is over.
    pub(super) fn stop(&mut self, now: Moment) {
        let mut over = Vec::new();
        for recording in self.recordings.values().filter(|recording| !self.is_over(recording)) {
            let told = self.reports.get(&recording.key).filter(|told| told.uid == recording.uid);
            let began = told.and_then(|told| told.began);
            let own = began.is_some_and(|began| {
                let stop = recording.stop_after.is_some_and(|after| now.since(began) >= after);
                let stable = recording.stable_for.is_some_and(|quiet| {
                    // Of what has not begun nobody can say that it is over.
                    let newest = self.newest(&recording.key);
                    newest.is_some_and(|newest| now.since(newest) >= quiet)
                        && is_quiet_elsewhere(recording, quiet, now)
                });
                stop || stable
            });
            // Nodes that have recorded nothing of it, or do not remember, leave it to those that do, and then to the
            // least patient one: all of them would write at once.
            let patience = if began.is_some() { Duration::ZERO } else { self.patience };
            let stops = recording.stop_after.is_some();
            let said = (stops || began.is_none()) && is_said_to_be_over(recording, patience, now);
            if own || said {
                over.push((recording.key.clone(), recording.uid.clone()));
            }
        }
        for (key, uid) in over {
            let told = self.reports.entry(key).or_default();
            told.of(&uid);
            told.complete = true;
            self.stale = true;
        }
    }

    /// When a recording has last seen something new here.
    fn newest(&self, key: &Key) -> Option<Duration> {
        let here = self
            .subjects
            .iter()
            .filter(|(of, tracked)| of.recording == *key && tracked.subject.newest_at.is_some());
        let here = here.map(|(_, tracked)| tracked.subject.newest).max();
        here.max(self.reports.get(key).and_then(|told| told.newest))
    }

    /// What has ended is settled once the kernel was looked at again, and all names are known that will ever be.
    pub(super) fn settle(&mut self, now: Moment) {
        let open: BTreeSet<&str> = self
            .containers
            .values()
            .filter(|container| container.is_open())
            .filter_map(|container| container.pod())
            .collect();
        let of_pod = |key: &SubjectKey| {
            let pod = self.pods.get(&key.pod_uid);
            let pod = pod.or_else(|| self.gone.get(&key.pod_uid).map(|(pod, _)| pod));
            match pod {
                Some(pod) => pod.uids().iter().any(|uid| open.contains(uid)),
                None => open.contains(&*key.pod_uid),
            }
        };
        for (key, tracked) in &mut self.subjects {
            let Some(ended) = tracked.ended_at.filter(|_| !tracked.settled) else { continue };
            let looked = self.looked.is_some_and(|looked| looked > ended);
            tracked.settled = looked && (!of_pod(key) || now.since(ended) >= NAME);
        }
        // Nobody will ever write of those of which nothing was seen.
        let is_empty = |tracked: &Tracked| tracked.settled && tracked.subject.seen.is_empty();
        let empty: Vec<_> = self
            .subjects
            .iter()
            .filter(|(_, tracked)| is_empty(tracked))
            .map(|(key, _)| key.clone())
            .collect();
        for key in empty {
            self.forget(&key);
        }
    }
}

/// Of recordings with one recorder and kind, a container is recorded for one: the one that it was marked for when it was
/// made, or else the first by name.
fn is_the_one(recording: &Recording, all: &[&Recording], pod: &Pod, container: &str) -> bool {
    let mechanism = (recording.recorder(), recording.kind());
    let mut same = all.iter().filter(|other| (other.recorder(), other.kind()) == mechanism);
    let marked = recording.marked(pod, container);
    let chosen = same.clone().find(|other| Some(&*other.rule.name) == marked);
    chosen.or_else(|| same.next()).is_some_and(|one| one.key == recording.key)
}

/// Whether a recording is over by what its status says, and has been for so long.
fn is_said_to_be_over(recording: &Recording, patience: Duration, now: Moment) -> bool {
    let passed = |since: &Time, wanted: Duration| {
        let seconds = now.wall.duration_since(since.0).as_secs();
        let wanted = wanted.saturating_add(patience).as_secs();
        seconds >= i64::try_from(wanted).unwrap_or(i64::MAX)
    };
    let status = &recording.status;
    let stop = recording.stop_after.zip(status.started_at.as_ref());
    let newest = status.containers.iter().filter_map(|container| container.last_new_at.as_ref());
    let stable = recording.stable_for.zip(newest.max());
    stop.is_some_and(|(after, began)| passed(began, after))
        || stable.is_some_and(|(quiet, newest)| passed(newest, quiet))
}

/// Whether no other node tells of something new within a time.
fn is_quiet_elsewhere(recording: &Recording, quiet: Duration, now: Moment) -> bool {
    let newest = recording
        .status
        .containers
        .iter()
        .filter_map(|container| container.last_new_at.as_ref().map(|time| time.0));
    newest.max().is_none_or(|newest| {
        let since = now.wall.duration_since(newest).as_secs();
        since >= i64::try_from(quiet.as_secs()).unwrap_or(i64::MAX)
    })
}
