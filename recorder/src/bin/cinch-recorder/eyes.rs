//! What looks at the kernel: programs are there only while they are needed, and what they have seen is told to the
//! tracker.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use daemon::error::chain;
use recorder::{
    apart,
    kernel::{KernelError, Lost, Recording, Slot, Watch},
    selinuxfs::SelinuxFs,
};

use crate::tracker::{Losses, Moment, Needs, Tracker};

/// How often is looked which mount namespaces there are.
const SWEEP: Duration = Duration::from_secs(30);

/// After this is tried again what the kernel has refused.
const AGAIN: Duration = Duration::from_secs(30);

/// The programs, while there are some.
#[derive(Debug)]
pub(crate) struct Eyes {
    /// None where nothing stays in the kernel while no process of ours runs.
    folder: Option<PathBuf>,
    open: Option<Open>,
    refused: Option<(Duration, String)>,
    /// What could not be loaded when nobody needed it yet.
    given_up: Option<Watch>,
    swept: Option<Duration>,
    /// Slots that nobody needs any more, once what was in them is on the disk: by place, with the namespace.
    leaving: Vec<(u32, u64)>,
    /// Whether an earlier process may have left programs in the kernel.
    left: bool,
}

/// Programs that are loaded, and may run.
#[derive(Debug)]
struct Open {
    /// What they were to be loaded for, and what they could be loaded for.
    asked: Watch,
    loaded: Watch,
    /// What is to be watched, and what of it is.
    needed: Watch,
    watched: Watch,
    recording: Recording,
}

impl Eyes {
    /// `folder` is where programs and what they have seen are kept while no process of ours runs.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            open: None,
            refused: None,
            given_up: None,
            swept: None,
            leaving: Vec::new(),
            left: true,
        }
    }

    /// Why nothing is seen, or not all, where that is so.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_ref().map(|(_, why)| &**why)
    }

    /// What is watched.
    pub(crate) fn watch(&self) -> Watch {
        self.open.as_ref().map_or_else(Watch::default, |open| open.watched)
    }

    /// What could not be recorded.
    pub(crate) fn lost(&self) -> Lost {
        self.open.as_ref().map_or_else(Lost::default, |open| open.recording.lost())
    }

    /// Runs programs in the kernel that see what is needed, and ends those that are not. Those that may be needed soon are
    /// loaded, so that they run before a container does that is only just told of.
    pub(crate) fn open(
        &mut self,
        needs: Needs,
        foreseen: Needs,
        tracker: &mut Tracker,
        now: Moment,
    ) {
        let (needed, none) = (watch(needs), Watch::default());
        let wanted = needed.union(watch(foreseen));
        if needed == none {
            self.refused = None;
            let watched = self.open.as_ref().is_some_and(|open| open.needed != none);
            // Until it is known that nothing is to be recorded, what an earlier process has begun goes on.
            if watched
                || wanted == none && self.open.is_some()
                || self.left && tracker.is_complete()
            {
                self.close(tracker);
            }
            if wanted == none || self.left {
                return;
            }
        }
        let open = self.open.as_ref();
        let is_all = open.is_some_and(|open| open.asked.covers(wanted));
        if needed == none {
            // What is loaded for more than is wanted goes when nothing is wanted: recordings come and go.
            if !is_all && self.given_up != Some(wanted) {
                self.load(wanted, needed, now);
            }
            return;
        }
        let again = |(since, _): &(Duration, String)| now.since(*since) >= AGAIN;
        let is_time = self.refused.as_ref().is_none_or(again);
        let is_enough = open.is_some_and(|open| open.loaded.covers(needed) && is_all);
        if is_time && (!is_enough || self.refused.is_some()) {
            self.refused = None;
            self.load(wanted, needed, now);
        } else if let Some(mut open) = self.open.take_if(|open| open.needed != needed) {
            let refused =
                fewer(needed).into_iter().map_while(|fewer| open.run(needed, fewer).err());
            let refused: Vec<_> = refused.collect();
            // What all of it was refused to is tried again with everything else, and no sooner.
            open.needed = needed;
            self.open = Some(open);
            for error in refused {
                self.refuse(&error, needed, now);
            }
        }
    }

    /// Loads programs, and runs those that are needed at once. What was watched before is watched until then, and still
    /// where nothing could be loaded. What cannot be loaded matters only to what is needed.
    fn load(&mut self, wanted: Watch, needed: Watch, now: Moment) {
        self.given_up = None;
        let mut errors = Vec::new();
        for part in fewer(wanted) {
            let began = Instant::now();
            let ready = self.ready(part).and_then(|recording| {
                let none = Watch::default();
                let (asked, loaded) = (wanted, part);
                let Watch { calls, accesses, permissions, denials: _ } = loaded;
                tracing::info!(calls, accesses, permissions, milliseconds = since(began), "loaded");
                let mut open = Open { asked, loaded, needed: none, watched: none, recording };
                if needed != none {
                    open.run(needed, needed)?;
                }
                Ok(open)
            });
            match ready {
                Ok(open) => {
                    let is_enough = open.loaded.covers(needed);
                    self.open = Some(open);
                    self.left = false;
                    return self.failed(errors, !is_enough, now);
                }
                Err(error) => errors.push((part, error)),
            }
        }
        self.given_up = Some(wanted);
        self.failed(errors, needed != Watch::default(), now);
    }

    fn failed(&mut self, errors: Vec<(Watch, KernelError)>, is_needed: bool, now: Moment) {
        for (part, error) in errors {
            if is_needed {
                self.refuse(&error, part, now);
            } else {
                tracing::debug!(error = chain(&error), watch = ?part, "cannot be watched here");
            }
        }
    }

    fn refuse(&mut self, error: &KernelError, watch: Watch, now: Moment) {
        let error = chain(error);
        tracing::error!(error, ?watch, "cannot watch");
        self.refused.get_or_insert((now.uptime, error));
    }

    fn ready(&self, watch: Watch) -> Result<Recording, KernelError> {
        let Some(folder) = &self.folder else { return Recording::ready(watch) };
        match Recording::ready_pinned(folder, watch) {
            Err(error @ KernelError::NotBpffs(..)) => {
                let error = chain(&error);
                tracing::warn!(error, "what is seen while no recorder runs will be lost");
                Recording::ready(watch)
            }
            ready => ready,
        }
    }

    fn close(&mut self, tracker: &mut Tracker) {
        let watched = self.open.take().is_some_and(|open| open.needed != Watch::default());
        match self.folder.as_deref().map_or(Ok(()), Recording::unpin) {
            Err(KernelError::NotBpffs(..)) | Ok(()) => self.left = false,
            Err(error) => tracing::error!(error = chain(&error), "programs stay in the kernel"),
        }
        tracker.forget_slots();
        self.leaving.clear();
        if watched {
            tracing::info!("nothing is watched any more");
        }
    }

    /// Tells the tracker what was seen, and the kernel what is wanted. Gives the containers whose names a runtime may know.
    pub(crate) fn look(
        &mut self,
        tracker: &mut Tracker,
        now: Moment,
    ) -> Result<Vec<String>, KernelError> {
        let open = self.open.as_mut().filter(|open| open.needed != Watch::default());
        let Some(Open { watched, recording, .. }) = open else {
            tracker.look([], Losses::default(), &|_| None, now);
            tracker.step(now);
            return Ok(tracker.wanted(None, now).ask);
        };
        let leaving = &self.leaving;
        let slots = |recording: &Recording| -> Result<Vec<_>, _> {
            let is_leaving = |place, slot: &Slot| leaving.contains(&(place, slot.namespace));
            let slots = recording.slots();
            slots
                .filter(|slot| !slot.as_ref().is_ok_and(|(place, slot)| is_leaving(*place, slot)))
                .collect()
        };
        let lost = recording.lost();
        let losses = Losses {
            namespaces: lost.namespaces,
            accesses: lost.accesses,
            permissions: lost.permissions,
        };
        tracker.look(slots(recording)?, losses, &cgroup_of, now);
        // Of namespaces that have come since the slots were looked at.
        let (mut accesses, mut permissions) = (Vec::new(), Vec::new());
        recording.accesses(&mut |namespace, access| {
            if tracker.knows(namespace) {
                tracker.access(namespace, &access, now);
            } else {
                accesses.push((namespace, access));
            }
        });
        recording.permissions(&mut |namespace, permission| {
            if tracker.knows(namespace) {
                tracker.permission(namespace, &permission, now);
            } else {
                permissions.push((namespace, permission));
            }
        })?;
        if !accesses.is_empty() || !permissions.is_empty() {
            tracker.look(slots(recording)?, losses, &cgroup_of, now);
        }
        for (namespace, access) in &accesses {
            tracker.access(*namespace, access, now);
        }
        for (namespace, permission) in &permissions {
            tracker.permission(*namespace, permission, now);
        }
        // Subjects begin and end by what was found.
        tracker.step(now);
        if watched.permissions && tracker.take_refresh() {
            // What a context was refused before is told once only, and is news for who has come.
            if let Err(error) = SelinuxFs::default().forget_decisions() {
                tracing::warn!(%error, "what was refused before may not be told again");
            }
        }
        let alive = if self.swept.is_none_or(|swept| now.since(swept) >= SWEEP) {
            self.swept = Some(now.uptime);
            Some(alive())
        } else {
            None
        };
        let wanted = tracker.wanted(alive.as_ref(), now);
        for (place, muted) in &wanted.mute {
            recording.mute(*place, *muted)?;
        }
        self.leaving.extend(wanted.release);
        Ok(wanted.ask)
    }

    /// All that was seen is on the disk: the kernel may forget it.
    pub(crate) fn kept(&mut self, tracker: &Tracker) -> Result<(), KernelError> {
        let open = self.open.as_mut().filter(|open| open.needed != Watch::default());
        let Some(Open { recording, .. }) = open else { return Ok(()) };
        if !self.leaving.is_empty() {
            // They were gone at two sweeps, between which they were looked at: nothing is new in them.
            recording.release(&std::mem::take(&mut self.leaving))?;
        }
        if tracker.is_waiting() { Ok(()) } else { recording.kept() }
    }
}

impl Open {
    /// Runs a part of what is needed, as far as it is loaded, and ends the rest.
    fn run(&mut self, needed: Watch, part: Watch) -> Result<(), KernelError> {
        let began = Instant::now();
        let watched = part.common(self.loaded);
        self.recording.run(watched)?;
        let Watch { calls, accesses, permissions, denials: _ } = watched;
        tracing::info!(calls, accesses, permissions, milliseconds = since(began), "watching");
        (self.needed, self.watched) = (needed, watched);
        Ok(())
    }
}

fn since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn watch(needs: Needs) -> Watch {
    let Needs { calls, accesses, permissions, logs: _ } = needs;
    Watch { calls, denials: false, accesses, permissions }
}

/// The same with less: what one part of the kernel refuses must not stop the others.
fn fewer(watch: Watch) -> Vec<Watch> {
    let mut tries = vec![watch];
    for part in [
        Watch { permissions: false, ..watch },
        Watch { accesses: false, ..watch },
        Watch { permissions: false, accesses: false, ..watch },
    ] {
        if part != Watch::default() && !tries.contains(&part) {
            tries.push(part);
        }
    }
    tries
}

fn cgroup_of(process: u64) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{process}/cgroup")).ok()
}

/// The inodes of all mount namespaces that have a process.
fn alive() -> BTreeSet<u64> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    processes.filter_map(|process| apart::namespace(process).ok()).collect()
}
