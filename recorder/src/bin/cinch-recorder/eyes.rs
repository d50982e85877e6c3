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
    /// What was asked for, what of it there is, and the programs.
    recording: Option<(Watch, Watch, Recording)>,
    refused: Option<(Duration, String)>,
    swept: Option<Duration>,
    /// Slots that nobody needs any more, once what was in them is on the disk: by place, with the namespace.
    leaving: Vec<(u32, u64)>,
    /// Whether an earlier process may have left programs in the kernel.
    left: bool,
}

impl Eyes {
    /// `folder` is where programs and what they have seen are kept while no process of ours runs.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            recording: None,
            refused: None,
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
        self.recording.as_ref().map_or_else(Watch::default, |(_, watch, _)| *watch)
    }

    /// What could not be recorded.
    pub(crate) fn lost(&self) -> Lost {
        self.recording.as_ref().map_or_else(Lost::default, |(.., recording)| recording.lost())
    }

    /// Puts programs into the kernel that see what is needed, and takes away those that are not.
    pub(crate) fn open(&mut self, needs: Needs, tracker: &mut Tracker, now: Moment) {
        let watch = Watch {
            calls: needs.calls,
            denials: false,
            accesses: needs.accesses,
            permissions: needs.permissions,
        };
        let asked = self.recording.as_ref().map_or_else(Watch::default, |(asked, ..)| *asked);
        let again = |(since, _): &(Duration, String)| now.since(*since) >= AGAIN;
        let again = self.refused.as_ref().is_some_and(again);
        if watch == Watch::default() {
            // Until it is known that nothing is to be recorded, what an earlier process has begun goes on.
            if self.recording.is_some() || self.left && tracker.is_complete() {
                self.close(tracker);
            }
            return;
        }
        if watch == asked && !again || self.recording.is_none() && self.refused.is_some() && !again
        {
            return;
        }
        let began = Instant::now();
        self.refused = None;
        for fewer in fewer(watch) {
            match self.start(fewer) {
                Ok(recording) => {
                    let Watch { calls, accesses, permissions, denials: _ } = fewer;
                    let milliseconds =
                        u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(calls, accesses, permissions, milliseconds, "watching");
                    self.recording = Some((watch, fewer, recording));
                    return;
                }
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(error, watch = ?fewer, "cannot watch");
                    self.refused.get_or_insert((now.uptime, error));
                }
            }
        }
        // What was watched before is watched still.
    }

    fn start(&self, watch: Watch) -> Result<Recording, KernelError> {
        let Some(folder) = &self.folder else { return Recording::start(watch) };
        match Recording::pinned(folder, watch) {
            Err(error @ KernelError::NotBpffs(..)) => {
                let error = chain(&error);
                tracing::warn!(error, "what is seen while no recorder runs will be lost");
                Recording::start(watch)
            }
            started => started,
        }
    }

    fn close(&mut self, tracker: &mut Tracker) {
        let watched = self.recording.take().is_some();
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
        let Some((_, watch, recording)) = &mut self.recording else {
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
        if watch.permissions && tracker.take_refresh() {
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
        let Some((.., recording)) = &mut self.recording else { return Ok(()) };
        if !self.leaving.is_empty() {
            // They were gone at two sweeps, between which they were looked at: nothing is new in them.
            recording.release(&std::mem::take(&mut self.leaving))?;
        }
        if tracker.is_waiting() { Ok(()) } else { recording.kept() }
    }
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
