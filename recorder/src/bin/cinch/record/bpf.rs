//! Takes what is recorded from programs in the kernel.

use std::collections::{BTreeMap, BTreeSet};

use recorder::{
    apart,
    kernel::{KernelError, Muted, Recording, Watch},
    learned,
    seen::Seen,
};

use super::{follow::Source, target::Target};
use crate::{
    args::{KindFlag, RecordFlags},
    capabilities,
};

/// Programs in the kernel, and what they have told of one target.
pub(super) struct Bpf {
    recording: Recording,
    /// The target's mount namespaces, by their ids, and with the inode of each.
    ours: BTreeMap<u64, u64>,
    /// Those of others, once they were found twice.
    others: BTreeSet<u64>,
    doubtful: BTreeSet<u64>,
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
            recording: Recording::start(watch).map_err(explained)?,
            ours: BTreeMap::new(),
            others: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            seen: Seen::default(),
            waiting: BTreeMap::new(),
            context: None,
            overflow: BTreeMap::new(),
        })
    }

    /// Tells the target's namespaces, and those that were made in them, from all others, of which nothing more is wanted.
    fn sort(&mut self, target: &Target) -> anyhow::Result<()> {
        let mut found: Vec<_> = self.recording.slots().collect::<Result<_, _>>()?;
        // A namespace may be found before the one in which it was made.
        loop {
            let known = self.ours.len();
            for (_, slot) in &found {
                if target.is_in(slot) || self.ours.contains_key(&slot.above) {
                    self.ours.insert(slot.namespace, slot.inode);
                }
            }
            if self.ours.len() == known {
                break;
            }
        }
        let machine = learned::machine();
        for (_, slot) in found.extract_if(.., |(_, slot)| self.ours.contains_key(&slot.namespace)) {
            // What came before the workload's own exec is none of the profile's business.
            self.seen.calls(machine, &slot.workload);
            self.seen.denied_calls(machine, &slot.denied);
            self.overflow.insert(slot.namespace, slot.overflow);
        }
        for (place, slot) in found {
            // When it was found for the first time, that in which it was made may not have been.
            if !self.doubtful.insert(slot.namespace) && self.others.insert(slot.namespace) {
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
        recording.accesses(&mut |namespace, access| {
            if ours.contains_key(&namespace) {
                seen.access(access);
            } else if !others.contains(&namespace) {
                waiting.entry(namespace).or_default().access(access);
            }
        });
        // What is recorded here ends with this process.
        recording.kept()?;
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

/// Names the capabilities that are missing, where it is for want of one.
fn explained(error: KernelError) -> anyhow::Error {
    match error {
        KernelError::Refused(_) => {
            let advice = capabilities::advice(&["CAP_BPF", "CAP_PERFMON"]);
            anyhow::anyhow!("the kernel refuses the programs that record: {advice}")
        }
        error => error.into(),
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

    fn processes(&self) -> Vec<u32> {
        self.ours.values().flat_map(|inode| apart::processes(*inode)).collect()
    }

    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn selinux_type(&self) -> Option<&str> {
        self.context.as_deref()?.split(':').nth(2)
    }

    fn how(&self) -> Vec<String> {
        let tiers = self.recording.tier();
        tiers.map(|tiers| format!("accesses are told {tiers}")).into_iter().collect()
    }

    fn lost(&self) -> Vec<String> {
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
}
