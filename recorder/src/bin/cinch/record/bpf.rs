//! Takes what is recorded from programs in the kernel.

use std::collections::{BTreeMap, BTreeSet};

use recorder::{
    apart,
    kernel::{Muted, Recording, Watch},
    learned,
    seen::Seen,
};

use super::{follow::Source, target::Target};
use crate::args::{KindFlag, RecordFlags};

/// Programs in the kernel, and what they have told of one target.
pub(super) struct Bpf {
    recording: Recording,
    /// The target's mount namespaces, by their ids, and with the inode of each.
    ours: BTreeMap<u64, u64>,
    others: BTreeSet<u64>,
    seen: Seen,
    /// Of namespaces of which nobody knows yet whose they are.
    waiting: BTreeMap<u64, Seen>,
    /// The target's SELinux type, as it was last.
    context: Option<String>,
    /// Calls with numbers beyond the kernel's table, by namespace.
    overflow: BTreeMap<u64, u64>,
}

impl Bpf {
    pub(super) fn start(flags: &RecordFlags) -> anyhow::Result<Self> {
        let kinds = flags.kind.kinds();
        let watch = Watch {
            // By its calls a container is found, whatever else it does.
            calls: true,
            // What is started here is under no filter.
            denials: kinds.contains(&KindFlag::Seccomp) && flags.command.is_empty(),
            accesses: kinds.contains(&KindFlag::Apparmor),
            permissions: kinds.contains(&KindFlag::Selinux),
        };
        Ok(Self {
            recording: Recording::start(watch)?,
            ours: BTreeMap::new(),
            others: BTreeSet::new(),
            seen: Seen::default(),
            waiting: BTreeMap::new(),
            context: None,
            overflow: BTreeMap::new(),
        })
    }

    /// The SELinux type that the target ran under when it was looked at last.
    pub(super) fn selinux_type(&self) -> Option<&str> {
        self.context.as_deref()?.split(':').nth(2)
    }

    /// What could not be recorded, in lines for people.
    pub(super) fn lost(&self) -> Vec<String> {
        let lost = self.recording.lost();
        let counts = [
            (self.overflow.values().sum(), "calls with numbers beyond the table"),
            (lost.namespaces, "things in namespaces without room"),
            (lost.accesses, "accesses"),
            (lost.permissions, "permissions"),
            (self.seen.beyond(), "things beyond what is kept of one container"),
        ];
        let lost: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        vec![if lost.is_empty() {
            "nothing lost".to_owned()
        } else {
            format!("lost: {}", lost.join(", "))
        }]
    }

    /// Tells the target's namespaces from all others, of which nothing more is wanted.
    fn sort(&mut self, target: &Target) -> anyhow::Result<()> {
        for found in self.recording.slots() {
            let (place, slot) = found?;
            if target.is_in(&slot) {
                self.ours.insert(slot.namespace, slot.inode);
                // What came before the workload's own exec is none of the profile's business.
                self.seen.calls(learned::machine(), &slot.workload);
                self.seen.denied_calls(learned::machine(), &slot.denied);
                self.overflow.insert(slot.namespace, slot.overflow);
            } else if self.others.insert(slot.namespace) {
                // What SELinux reports of others may be what this one does as well: it is reported once.
                self.recording.mute(place, Muted { accesses: true, permissions: false })?;
            }
        }
        for (namespace, seen) in std::mem::take(&mut self.waiting) {
            if self.ours.contains_key(&namespace) {
                self.seen.union(&seen);
            }
        }
        Ok(())
    }

    /// The context of one of the target's processes. None before the workload has begun: until then it is the runtime's.
    fn context_now(&self) -> Option<String> {
        self.seen.called().next()?;
        let mut processes = self.ours.values().flat_map(|inode| apart::processes(*inode));
        let context =
            |process| std::fs::read_to_string(format!("/proc/{process}/attr/current")).ok();
        Some(processes.find_map(context)?.trim_end_matches(['\0', '\n']).to_owned())
    }

    fn drain(&mut self) -> anyhow::Result<()> {
        let Self { recording, ours, others, seen, waiting, .. } = self;
        recording.permissions(&mut |namespace, permission| {
            if ours.contains_key(&namespace) {
                seen.permission(permission);
            } else if !others.contains(&namespace) {
                waiting.entry(namespace).or_default().permission(permission);
            }
        })?;
        Ok(())
    }
}

impl Source for Bpf {
    fn look(&mut self, target: &Target) -> anyhow::Result<()> {
        self.context = self.context_now().or_else(|| self.context.take());
        self.sort(target)?;
        self.drain()
    }

    fn began(&self) -> bool {
        !self.ours.is_empty()
    }

    fn processes(&self) -> usize {
        self.ours.values().map(|inode| apart::processes(*inode).len()).sum()
    }

    fn seen(&self) -> &Seen {
        &self.seen
    }
}
