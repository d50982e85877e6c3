//! Takes what is recorded from audit records, as the kernel sends them or a log has them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use recorder::{
    apart,
    kernel::EndedProcesses,
    logs::{Choice, Gathering, Options, Place, Unknown},
    seen::Seen,
};

use super::{follow::Source, target::Target};

/// Audit records, and what they have told of one target.
pub(super) struct Logs {
    gathering: Gathering,
    /// The inodes of the target's mount namespaces.
    ours: BTreeSet<u64>,
    seen: Seen,
    /// Some process of it was there.
    started: bool,
    /// The mount namespace of the host, which is never the target's alone.
    host: Option<u64>,
    /// The processes in the target's cgroup, where it is known by that.
    inside: BTreeSet<u32>,
}

/// When no record has come for so long after the end, none will; and for how long that is waited for.
const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

impl Logs {
    pub(super) fn start() -> anyhow::Result<Self> {
        // Where that is refused, records of processes that have ended too early are told as lost.
        let processes = EndedProcesses::shared().ok();
        let options = Options { source: Choice::Best, processes, ..Options::default() };
        Ok(Self {
            gathering: Gathering::start(&options)?,
            ours: BTreeSet::new(),
            seen: Seen::default(),
            started: false,
            host: apart::first_namespace().ok(),
            inside: BTreeSet::new(),
        })
    }

    /// Waits for records that are still on their way.
    fn settle(&self) {
        let (begun, mut newest) = (Instant::now(), Instant::now());
        let mut records = self.gathering.counts().records();
        while newest.elapsed() < QUIET && begun.elapsed() < PATIENCE {
            std::thread::park_timeout(QUIET / 10);
            let now = self.gathering.counts().records();
            if now != std::mem::replace(&mut records, now) {
                newest = Instant::now();
            }
        }
    }

    /// Whether a command that was started is still there, though nothing is known of where.
    fn is_there(target: &Target) -> bool {
        target.process().is_some_and(|process| apart::namespace(process).is_ok())
    }

    /// A runtime puts a process into its cgroup before it leaves the host's namespace.
    fn add(&mut self, namespaces: impl IntoIterator<Item = u64>) {
        let host = self.host;
        self.ours.extend(namespaces.into_iter().filter(|namespace| host != Some(*namespace)));
    }

    fn is_ours(&self, target: &Target, place: &Place) -> bool {
        place.namespace.is_some_and(|namespace| self.ours.contains(&namespace))
            || target.is_cgroup(&place.cgroup)
    }
}

impl Source for Logs {
    fn look(&mut self, target: &Target) -> anyhow::Result<()> {
        // Before what was told: it is about namespaces that are known by now.
        if let Some(process) = target.process().filter(|_| self.ours.is_empty()) {
            self.gathering.look(process);
        }
        self.inside = inside(target);
        self.started |= target.process().is_some() || !self.inside.is_empty();
        self.add(target.namespaces());
        let found: Vec<_> =
            self.inside.iter().filter_map(|id| apart::namespace(*id).ok()).collect();
        self.add(found);
        if self.began() && self.processes().is_empty() && !Self::is_there(target) {
            self.settle();
        }
        self.add(self.gathering.looked().and_then(|place| place.namespace));
        for (place, seen) in self.gathering.take() {
            if self.is_ours(target, &place) {
                self.add(place.namespace);
                self.started = true;
                self.seen.union(&seen);
            }
        }
        match self.gathering.error() {
            Some(error) => Err(anyhow::Error::new(error)),
            None => Ok(()),
        }
    }

    fn began(&self) -> bool {
        self.started || !self.ours.is_empty()
    }

    fn processes(&self) -> Vec<u32> {
        let apart = self.ours.iter().flat_map(|inode| apart::processes(*inode));
        apart.chain(self.inside.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn selinux_type(&self) -> Option<&str> {
        self.seen.permissions().next()?.scontext.split(':').nth(2)
    }

    fn lost(&self) -> Vec<String> {
        let counted = self.gathering.counts();
        let unknown = |why| counted.unknown.iter().find(|(of, _)| *of == why).map_or(0, |it| it.1);
        let counts = [
            (counted.lost_in_all(), "records that were not read in time, or more"),
            (
                unknown(Unknown::Gone) + unknown(Unknown::Reused),
                "records of processes, maybe of others, that had ended before they could be looked at",
            ),
            (self.gathering.beyond(), "records without room"),
            (self.seen.beyond(), "things beyond what is kept of one container"),
        ];
        let lost: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let mut said = vec![format!("read from {}", self.gathering.describe())];
        said.push(match &lost[..] {
            [] if self.gathering.is_complete() => "nothing lost".to_owned(),
            [] => "nothing is known to be lost".to_owned(),
            lost => format!("lost: {}", lost.join(", ")),
        });
        said
    }
}

/// The processes in the target's cgroup.
fn inside(target: &Target) -> BTreeSet<u32> {
    if !matches!(target, Target::Container(_)) {
        return BTreeSet::new();
    }
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_in = |process: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.splitn(3, ':').nth(2))
            .any(|path| target.is_cgroup(path))
    };
    processes.filter(is_in).collect()
}
