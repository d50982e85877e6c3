//! Which container a mount namespace of the kernel's is of, and what was seen in it. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use profile::kinds::{Recorder, RecordingKind};
use recorder::{
    cgroup,
    cri::Named,
    kernel::{Calls, Muted, Slot},
    seen::Seen,
};

use super::{Moment, NAME, Pod, SubjectKey, Tracker};

/// For how long a namespace may be told to be a container's: some runtimes move a process to its cgroup late.
const SETTLING: Duration = Duration::from_secs(3);

/// For how long a container may wait for its pod to become known.
const PATIENCE: Duration = Duration::from_mins(1);

/// Instead of when its first namespace was seen: by no slot is it known.
const UNCOUNTED: u64 = u64::MAX;

/// After this somebody else is asked for its name.
const ASK: Duration = Duration::from_secs(1);

/// A mount namespace.
#[derive(Debug)]
pub(super) struct Space {
    found: Duration,
    /// When it was first seen, as the kernel counts.
    since: u64,
    inode: u64,
    /// None while it is not known.
    container: Option<String>,
    /// Whether it is of no container that could be recorded.
    foreign: bool,
    calls: Calls,
    overflow: u64,
    /// What came before it was known whose it is.
    waiting: Seen,
    muted: Muted,
    /// Whether it is gone, and was so before the last look.
    gone: bool,
    /// Whether it is what an earlier recorder has left: nothing more comes.
    former: bool,
}

/// A container, by its id.
#[derive(Debug)]
pub(super) struct Container {
    /// The uid of its pod, as its cgroup says.
    pod: Option<String>,
    found: Duration,
    /// When its first namespace was seen, as the kernel counts.
    since: u64,
    whose: Whose,
    asked: bool,
    /// What came before it was known whose it is, by recorder and kind.
    waiting: BTreeMap<(Recorder, RecordingKind), Seen>,
    subjects: Vec<SubjectKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    Unknown,
    /// The uid of a pod in the API, and the container's name there.
    Of(String, String),
    /// Nobody's that could be recorded: a pod's sandbox, a container beside Kubernetes.
    Nobody,
    /// A container's of this pod (`namespace/name`), whose name will never be known.
    Never(String),
}

/// Events that were lost, since the programs were loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    pub(crate) namespaces: u64,
    pub(crate) accesses: u64,
    pub(crate) permissions: u64,
}

impl Losses {
    /// Those that a recording of this kind may have suffered from.
    pub(super) fn of(self, kind: RecordingKind) -> u64 {
        let own = match kind {
            RecordingKind::SeccompProfile => 0,
            RecordingKind::AppArmorProfile => self.accesses,
            RecordingKind::SelinuxProfile => self.permissions,
        };
        own.saturating_add(self.namespaces)
    }
}

/// What became of a look at the slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Slots of which other things are wanted than before, with the bits.
    pub(crate) mute: Vec<(u32, Muted)>,
    /// Slots that nobody needs any more, each with its namespace.
    pub(crate) release: Vec<(u32, u64)>,
    /// Containers of which a runtime may know the name.
    pub(crate) ask: Vec<String>,
}

impl Container {
    fn new(pod: Option<String>, now: Moment, since: u64) -> Self {
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
    /// Takes in what the slots hold. `cgroup_of` reads `/proc/PID/cgroup`.
    pub(crate) fn look(
        &mut self,
        slots: impl IntoIterator<Item = (u32, Slot)>,
        losses: Losses,
        cgroup_of: &dyn Fn(u64) -> Option<String>,
        now: Moment,
    ) {
        for (place, slot) in slots {
            self.look_at(place, &slot, cgroup_of, now);
        }
        self.losses = losses;
        for (key, tracked) in &mut self.subjects {
            let subject = &mut tracked.subject;
            let total = match subject.recorder {
                Recorder::Bpf => losses.of(subject.kind),
                Recorder::Logs => self.missed,
            };
            let lost = total.saturating_sub(subject.lost_before);
            if !tracked.settled && lost > subject.lost {
                subject.lost = lost;
                self.changed.insert(key.clone());
            }
        }
        self.looked = Some(now.uptime);
    }

    fn look_at(
        &mut self,
        place: u32,
        slot: &Slot,
        cgroup_of: &dyn Fn(u64) -> Option<String>,
        now: Moment,
    ) {
        let namespace = slot.namespace;
        // One that was made within a container's is the container's.
        let above = self.spaces.range((slot.above, 0)..=(slot.above, u32::MAX)).next();
        let above = above.and_then(|(_, space)| space.container.clone());
        let own = self.own_cgroup(slot, cgroup_of, &(namespace, place));
        let space = self.spaces.entry((namespace, place)).or_insert_with(|| Space {
            found: now.uptime,
            since: slot.since,
            inode: slot.inode,
            container: None,
            foreign: false,
            calls: Calls::default(),
            overflow: 0,
            waiting: Seen::default(),
            muted: Muted::default(),
            gone: false,
            former: slot.former,
        });
        if space.foreign {
            return;
        }
        if space.container.is_none() {
            let found = own
                .or_else(|| cgroup::Container::of_names(&slot.leaf, &slot.parent))
                .or_else(|| above.map(|id| cgroup::Container { pod: None, id }))
                .or_else(|| cgroup::Container::of_process(&cgroup_of(slot.first)?));
            let Some(found) = found else {
                space.foreign = now.since(space.found) >= SETTLING;
                if space.foreign {
                    space.waiting = Seen::default();
                }
                return;
            };
            space.container = Some(found.id.clone());
            let waiting = std::mem::take(&mut space.waiting);
            let container = self
                .containers
                .entry(found.id)
                .or_insert_with(|| Container::new(None, now, slot.since));
            container.pod = container.pod.take().or(found.pod);
            container.since = container.since.min(slot.since);
            for kind in [RecordingKind::AppArmorProfile, RecordingKind::SelinuxProfile] {
                container.waiting.entry((Recorder::Bpf, kind)).or_default().union(&waiting);
            }
            self.stale = true;
        }
        let Some(space) = self.spaces.get_mut(&(namespace, place)) else { return };
        if space.calls == slot.workload && space.overflow == slot.overflow {
            return;
        }
        let id = space.container.clone().unwrap_or_default();
        let whose = self.containers.get(&id).map(|container| &container.whose);
        // The slot keeps them until it is known whose they are.
        if !matches!(whose, Some(Whose::Of(..))) {
            return;
        }
        (space.calls, space.overflow) = (slot.workload.clone(), slot.overflow);
        let machine = self.machine;
        let what = |seen: &mut Seen| seen.calls(machine, &slot.workload);
        self.route(&id, Recorder::Bpf, RecordingKind::SeccompProfile, &what, now);
        for key in
            self.containers.get(&id).map(|container| container.subjects.clone()).unwrap_or_default()
        {
            if let Some(tracked) = self.subjects.get_mut(&key)
                && tracked.subject.kind == RecordingKind::SeccompProfile
                && tracked.subject.recorder == Recorder::Bpf
            {
                tracked.subject.overflow = tracked.subject.overflow.max(slot.overflow);
            }
        }
    }

    /// Whether a slot of this namespace was looked at.
    pub(crate) fn knows(&self, namespace: u64) -> bool {
        self.spaces.range((namespace, 0)..=(namespace, u32::MAX)).next().is_some()
    }

    /// Whether something was seen of which it is not known yet whose it is: it is nowhere but here and in the kernel.
    pub(crate) fn is_waiting(&self) -> bool {
        let by_bpf = |container: &Container| {
            container.waiting.iter().any(|((by, _), seen)| *by == Recorder::Bpf && !seen.is_empty())
        };
        self.spaces.values().any(|space| !space.waiting.is_empty())
            || self.containers.values().any(by_bpf)
    }

    /// The cgroup that a namespace was first seen in, where it was named, or one above it was.
    fn own_cgroup(
        &self,
        slot: &Slot,
        cgroup_of: &dyn Fn(u64) -> Option<String>,
        space: &(u64, u32),
    ) -> Option<cgroup::Container> {
        let known = |space: &Space| space.foreign || space.container.is_some();
        if self.cgroups.is_empty() || self.spaces.get(space).is_some_and(known) {
            return None;
        }
        let text = cgroup_of(slot.first).unwrap_or_default();
        let paths: Vec<_> = text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
        let is = |named: &&String| {
            let below = |path: &&str| {
                path.strip_prefix(&***named)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            // Of a process that has ended two names are known.
            let (above, leaf) = named.rsplit_once('/').unwrap_or_default();
            let parent = above.rsplit('/').next().unwrap_or_default();
            let by_name = (&*slot.parent, &*slot.leaf) == (parent, leaf) || slot.parent == *leaf;
            if paths.is_empty() { by_name } else { paths.iter().any(below) }
        };
        let path = self.cgroups.iter().find(is)?;
        Some(cgroup::Container { pod: None, id: path.clone() })
    }

    /// Takes in what was seen in a namespace.
    pub(super) fn route_space(
        &mut self,
        namespace: u64,
        kind: RecordingKind,
        what: &dyn Fn(&mut Seen) -> bool,
        now: Moment,
    ) {
        // If rarely, a namespace has two slots: either leads to its container.
        let mut spaces = self.spaces.range_mut((namespace, 0)..=(namespace, u32::MAX));
        let Some((_, space)) = spaces.next() else { return };
        match space.container.clone() {
            Some(id) => self.route(&id, Recorder::Bpf, kind, what, now),
            None if !space.foreign => drop(what(&mut space.waiting)),
            None => {}
        }
    }

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

    /// Whether a container has come of which SELinux may have told before.
    pub(crate) fn take_refresh(&mut self) -> bool {
        std::mem::take(&mut self.refresh)
    }

    /// What is wanted of the slots now. `alive` tells which mount namespaces there are, by inode; none when it was not
    /// looked.
    pub(crate) fn wanted(&mut self, alive: Option<&BTreeSet<u64>>, now: Moment) -> Looked {
        let mut looked = Looked::default();
        // Of two with one inode the older one is gone.
        let mut newest = BTreeMap::<u64, u64>::new();
        for space in self.spaces.values().filter(|space| !space.former) {
            let since = newest.entry(space.inode).or_default();
            *since = space.since.max(*since);
        }
        for ((namespace, place), space) in &mut self.spaces {
            let container = space.container.as_ref().and_then(|id| self.containers.get(id));
            let wanted = |kind| {
                let keys = container.map(|container| &container.subjects).into_iter().flatten();
                keys.filter_map(|key| self.subjects.get(key)).any(|tracked| {
                    let subject = &tracked.subject;
                    subject.kind == kind && subject.recorder == Recorder::Bpf && !tracked.settled
                })
            };
            let open = container.map_or(!space.foreign, Container::is_open);
            let muted = Muted {
                accesses: !open && !wanted(RecordingKind::AppArmorProfile),
                permissions: !open && !wanted(RecordingKind::SelinuxProfile),
            };
            if muted != space.muted {
                space.muted = muted;
                looked.mute.push((*place, muted));
            }
            if let Some(alive) = alive {
                let gone = space.former
                    || !alive.contains(&space.inode)
                    || newest.get(&space.inode) != Some(&space.since);
                // Twice: what it did last was looked at in between.
                if gone && space.gone && !open {
                    looked.release.push((*place, *namespace));
                }
                space.gone = gone;
            }
        }
        for (place, namespace) in &looked.release {
            self.spaces.remove(&(*namespace, *place));
        }
        if alive.is_some() || self.spaces.is_empty() {
            let used: BTreeSet<_> =
                self.spaces.values().filter_map(|space| space.container.clone()).collect();
            self.containers.retain(|id, container| {
                used.contains(id) || !container.subjects.is_empty() || container.is_open()
            });
        }
        let subjects = &self.subjects;
        for (id, container) in &mut self.containers {
            let of_subject = |uid: &str| subjects.keys().any(|key| key.pod_uid == *uid);
            let recorded = container.pod().is_none_or(of_subject);
            if container.is_open()
                && !container.asked
                && recorded
                && now.since(container.found) >= ASK
            {
                container.asked = true;
                looked.ask.push(id.clone());
            }
        }
        looked
    }

    /// The programs were taken out of the kernel: the slots are gone.
    pub(crate) fn forget_slots(&mut self) {
        self.spaces.clear();
    }
}
