//! Which container a mount namespace of the kernel's is of, and what of its slot is wanted. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use profile::kinds::{Recorder, RecordingKind};
use recorder::{
    cgroup,
    kernel::{Calls, Muted, Slot},
    seen::Seen,
};

use super::{
    Moment, Tracker,
    containers::{Container, Whose},
};

/// For how long a namespace may be told to be a container's: some runtimes move a process to its cgroup late.
const SETTLING: Duration = Duration::from_secs(3);

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
    pub(super) container: Option<String>,
    /// Whether it is of no container that could be recorded.
    foreign: bool,
    pub(super) calls: Calls,
    overflow: u64,
    /// What came before it was known whose it is.
    waiting: Seen,
    muted: Muted,
    /// Whether it is gone, and was so before the last look.
    gone: bool,
    /// Whether it is what an earlier recorder has left: nothing more comes.
    former: bool,
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
