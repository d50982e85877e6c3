//! Whose the containers are that were seen, and what becomes of what was seen in them. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use profile::kinds::{Recorder, RecordingKind};
use recorder::{cgroup, cri::Named, kernel::Calls, seen::Seen};

use super::{Moment, NAME, Pod, SubjectKey, Tracker};

/// For how long a container may wait for its pod to become known.
const PATIENCE: Duration = Duration::from_mins(1);

/// Instead of when its first namespace was seen: by no slot is it known.
const UNCOUNTED: u64 = u64::MAX;

/// A container, by its id.
#[derive(Debug)]
pub(super) struct Container {
    /// The uid of its pod, as its cgroup says.
    pub(super) pod: Option<String>,
    pub(super) found: Duration,
    /// When its first namespace was seen, as the kernel counts.
    pub(super) since: u64,
    pub(super) whose: Whose,
    pub(super) asked: bool,
    /// What came before it was known whose it is, by recorder and kind.
    pub(super) waiting: BTreeMap<(Recorder, RecordingKind), Seen>,
    pub(super) subjects: Vec<SubjectKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Unknown,
    /// The uid of a pod in the API, and the container's name there.
    Of(String, String),
    /// Nobody's that could be recorded: a pod's sandbox, a container beside Kubernetes.
    Nobody,
    /// A container's of this pod (`namespace/name`), whose name will never be known.
    Never(String),
}

impl Container {
    pub(super) fn new(pod: Option<String>, now: Moment, since: u64) -> Self {
        Self {
            pod,
            found: now.uptime,
            since,
            whose: Whose::Unknown,
            asked: false,
            waiting: BTreeMap::new(),
            subjects: Vec::new(),
        }
    }

    pub(super) fn pod(&self) -> Option<&str> {
        self.pod.as_deref()
    }

    /// Whether it is not known yet whose it is.
    pub(super) fn is_open(&self) -> bool {
        self.whose == Whose::Unknown
    }
}

impl Tracker {
    /// Takes in what was seen in a container.
    pub(crate) fn route(
        &mut self,
        id: &str,
        recorder: Recorder,
        kind: RecordingKind,
        what: &dyn Fn(&mut Seen) -> bool,
        now: Moment,
    ) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if container.whose == Whose::Unknown {
            what(container.waiting.entry((recorder, kind)).or_default());
            return;
        }
        for key in &container.subjects {
            if let Some(tracked) = self.subjects.get_mut(key)
                && (tracked.subject.recorder, tracked.subject.kind) == (recorder, kind)
                && !tracked.settled
                && what(&mut tracked.subject.seen)
            {
                tracked.revision += 1;
                (tracked.subject.newest, tracked.subject.newest_at) = (now.uptime, Some(now.wall));
                self.changed.insert(key.clone());
            }
        }
    }

    /// Records have told of a container.
    pub(crate) fn heard(&mut self, container: &cgroup::Container, heard: &Seen, now: Moment) {
        let id = &container.id;
        // What a log tells of has no place among what the kernel counts.
        let new = || Container::new(container.pod.clone(), now, UNCOUNTED);
        self.containers.entry(id.clone()).or_insert_with(new);
        let (mut calls, mut permissions) = (Seen::default(), Seen::default());
        for (arch, number) in heard.called() {
            calls.call(arch, number);
        }
        for permission in heard.permissions() {
            permissions.permission(permission.clone());
        }
        let mut others = heard.since(&calls);
        others = others.since(&permissions);
        for (kind, part) in [
            (RecordingKind::SeccompProfile, calls),
            (RecordingKind::AppArmorProfile, others),
            (RecordingKind::SelinuxProfile, permissions),
        ] {
            let what = |seen: &mut Seen| {
                let before = seen.clone();
                seen.union(&part);
                *seen != before
            };
            if !part.is_empty() {
                self.route(id, Recorder::Logs, kind, &what, now);
            }
        }
    }

    /// So many records were missed since somebody listens.
    pub(crate) fn missed(&mut self, records: u64) {
        self.missed = records;
    }

    /// A runtime has told of a container.
    pub(crate) fn named(&mut self, named: &Named, now: Moment) {
        let pod = named.pod_uid.clone();
        let whose = match &named.container {
            None => Whose::Nobody,
            Some(name) => Whose::Of(
                self.pod_of(&pod).map_or_else(|| pod.clone(), |pod| pod.uid.clone()),
                name.clone(),
            ),
        };
        if self.containers.get(&named.id).is_some_and(Container::is_open) {
            self.found_out(&named.id, whose, now);
        }
    }

    fn pod_of(&self, uid: &str) -> Option<&Pod> {
        let gone = self.gone.values().map(|(pod, _)| pod);
        self.pods.values().chain(gone).find(|pod| pod.uids().contains(uid))
    }

    /// Finds out whose containers are.
    pub(super) fn resolve(&mut self, now: Moment) {
        let open: Vec<_> = self
            .containers
            .iter()
            .filter(|(_, container)| container.is_open())
            .map(|(id, _)| id.clone())
            .collect();
        for id in open {
            let Some(whose) = self.whose(&id, now) else { continue };
            self.found_out(&id, whose, now);
        }
    }

    /// None while it has to be waited.
    fn whose(&self, id: &str, now: Moment) -> Option<Whose> {
        let container = self.containers.get(id)?;
        let gone = self.gone.values().map(|(pod, _)| pod);
        let told = self
            .pods
            .values()
            .chain(gone)
            .find_map(|pod| Some(Whose::Of(pod.uid.clone(), pod.ids.get(id)?.clone())));
        // A subject of an earlier process's.
        let kept =
            self.subjects.iter().find(|(_, tracked)| tracked.subject.ids.iter().any(|of| of == id));
        let kept = kept.map(|(key, _)| Whose::Of(key.pod_uid.clone(), key.container.clone()));
        if !self.is_complete() {
            // Recordings that select it may not be told of yet, and what it did must wait for them.
            return kept;
        }
        if let Some(whose) = told.or(kept) {
            return Some(whose);
        }
        let waited = now.since(container.found);
        let Some(pod) = container.pod().and_then(|uid| self.pod_of(uid)) else {
            let known = self.known.pods && self.known.pods_fresh;
            return (waited >= PATIENCE && known).then_some(Whose::Nobody);
        };
        // The first thing that runs in a pod is its sandbox, whose id no status has.
        let uids = pod.uids();
        let others = self.containers.iter();
        let others = others.filter(|(_, other)| other.pod().is_some_and(|uid| uids.contains(uid)));
        let mut others: Vec<_> = others.map(|(id, other)| (other.since, id)).collect();
        others.sort_unstable();
        let counted = container.since != UNCOUNTED;
        let first = counted && others.first().is_some_and(|(_, first)| *first == id);
        let told = |name: &String| pod.ids.values().any(|of| of == name);
        let gone = self.gone.get(&pod.uid).map(|(_, at)| now.since(*at));
        let over = gone.or_else(|| pod.done.then_some(waited));
        if first && others.len() > 1 && (over.is_some() || pod.containers.iter().all(told)) {
            return Some(Whose::Nobody);
        }
        if over.is_some()
            && !first
            && let Some(only) = pod.only_container()
        {
            return Some(Whose::Of(pod.uid.clone(), only.to_owned()));
        }
        over.filter(|over| *over >= NAME && waited >= NAME).map(|_| Whose::Never(pod.path()))
    }

    /// What a container did whose name nobody tells any more is in no profile: people are told.
    fn tell_of_unnamed(&mut self, id: &str, pod: &str) {
        let subjects = self.subjects.iter().filter(|(_, tracked)| tracked.subject.pod == *pod);
        let recordings: BTreeSet<_> =
            subjects.map(|(key, _)| (key.recording.clone(), key.recording_uid.clone())).collect();
        for (key, uid) in recordings {
            let text = format!(
                "nobody has told which container of pod {pod} had the id {id}: what it did is in no profile"
            );
            self.note(&key, &uid, "NotAttributed", id, text);
        }
    }

    fn found_out(&mut self, id: &str, whose: Whose, now: Moment) {
        let whose = match whose {
            Whose::Never(pod) => {
                self.tell_of_unnamed(id, &pod);
                Whose::Nobody
            }
            whose => whose,
        };
        if let Some(container) = self.containers.get_mut(id) {
            container.whose = whose;
        }
        self.link(id);
        let waiting =
            self.containers.get_mut(id).map(|container| std::mem::take(&mut container.waiting));
        for ((recorder, kind), before) in waiting.unwrap_or_default() {
            let what = |seen: &mut Seen| {
                let len = seen.len();
                seen.union(&before);
                seen.len() > len
            };
            self.route(id, recorder, kind, &what, now);
        }
    }

    /// Subjects have come or gone: finds for each container those that it is of.
    pub(super) fn reroute(&mut self) {
        let ids: Vec<_> = self.containers.keys().cloned().collect();
        for id in ids {
            self.link(&id);
        }
    }

    fn link(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let Whose::Of(pod, name) = &container.whose else { return };
        let mut linked = Vec::new();
        for (key, tracked) in &mut self.subjects {
            if key.pod_uid == *pod && key.container == *name && !tracked.settled {
                linked.push(key.clone());
                if !tracked.subject.ids.iter().any(|of| of == id) {
                    tracked.subject.ids.push(id.to_owned());
                    self.changed.insert(key.clone());
                }
            }
        }
        if linked != container.subjects {
            let is_selinux = |key: &SubjectKey| {
                let subject = self.subjects.get(key).map(|tracked| &tracked.subject);
                subject.is_some_and(|subject| subject.kind == RecordingKind::SelinuxProfile)
            };
            self.refresh |= linked.iter().any(is_selinux);
            container.subjects = linked;
            // What was seen before is news for who has come.
            for space in
                self.spaces.values_mut().filter(|space| space.container.as_deref() == Some(id))
            {
                space.calls = Calls::default();
            }
        }
    }
}
