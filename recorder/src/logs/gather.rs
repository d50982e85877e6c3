//! Follows in a thread of its own, and gathers what was seen by whose it is: what is told a thousand times takes no more room
//! than what is told once.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    Event, Follower, Options, SourceError,
    counts::{Counted, Counts},
    origin::{Origin, Place, Witness},
};
use crate::{audit::Record, seen::Seen};

/// How long the thread waits before it asks whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often is looked which processes are new.
const SWEEP: Duration = Duration::from_millis(200);

/// The most places of which something is kept that nobody has taken.
const MOST: usize = 4096;

/// Why nothing is gathered.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("cannot start a thread that reads audit records")]
    Thread(#[source] io::Error),
}

/// A thread that follows, until this is dropped.
#[derive(Debug)]
pub struct Gathering {
    shared: Arc<Shared>,
    counts: Counts,
    source: String,
    complete: bool,
    witness: Witness,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    new: Mutex<HashMap<Arc<Place>, Seen>>,
    /// What had no place in it.
    beyond: AtomicU64,
    stop: AtomicBool,
    error: Mutex<Option<Arc<SourceError>>>,
    /// A process, and where its records are from.
    looked: AtomicU32,
    found: Mutex<Option<Arc<Place>>>,
}

impl Gathering {
    /// Opens a source and begins.
    pub fn start(options: &Options) -> Result<Self, GatherError> {
        Self::with(options, |_| {})
    }

    /// Opens a source and begins. `also` hears every event before it is gathered, in the thread that reads: it must not wait
    /// for anything.
    pub fn with(
        options: &Options,
        mut also: impl FnMut(&Event<'_>) + Send + 'static,
    ) -> Result<Self, GatherError> {
        let mut follower = Follower::open(options)?;
        let witness = follower.witness();
        let shared = Arc::new(Shared::default());
        let (counts, source) = (follower.counts(), follower.describe());
        let complete = follower.is_complete();
        let inner = Arc::clone(&shared);
        let run = move || {
            let mut swept: Option<Instant> = None;
            while !inner.stop.load(Relaxed) {
                if swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
                    follower.sweep();
                    swept = Some(Instant::now());
                }
                let read = follower.read(PATIENCE, &mut |event| {
                    also(&event);
                    inner.take_in(&event);
                });
                if let Err(error) = read {
                    let chain = &error as &dyn std::error::Error;
                    tracing::error!(error = chain, "no more audit records are read");
                    *lock(&inner.error) = Some(Arc::new(error));
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(run);
        let thread = thread.map_err(GatherError::Thread)?;
        Ok(Self { shared, counts, source, complete, witness, thread: Some(thread) })
    }

    /// Looks at a process as soon as it is started: it may have ended before its first record comes.
    pub fn look(&self, process: u32) {
        self.shared.looked.store(process, Relaxed);
        self.witness.look(process);
    }

    /// Where the first record of the process came from that was looked at last.
    pub fn looked(&self) -> Option<Arc<Place>> {
        lock(&self.shared.found).clone()
    }

    /// What was seen since this was called last, by whose it is: of containers, and of what is in a mount namespace of its
    /// own.
    pub fn take(&self) -> Vec<(Arc<Place>, Seen)> {
        std::mem::take(&mut *lock(&self.shared.new)).into_iter().collect()
    }

    /// How many records there were, whose, and what was lost.
    pub fn counts(&self) -> Counted {
        self.counts.now()
    }

    /// Records that had no place, because nobody took what there was.
    pub fn beyond(&self) -> u64 {
        self.shared.beyond.load(Relaxed)
    }

    /// What is read, and what it may not tell.
    pub fn describe(&self) -> &str {
        &self.source
    }

    /// Whether all there is is told, as long as nothing is counted as lost.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Why nothing is read any more; none while it goes on.
    pub fn error(&self) -> Option<Arc<SourceError>> {
        lock(&self.shared.error).clone()
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn take_in(&self, event: &Event<'_>) {
        let Event::Record(record, Origin::Known(place), apart) = event else { return };
        if !*apart {
            return;
        }
        if record.process().is_some_and(|process| process == self.looked.load(Relaxed)) {
            lock(&self.found).get_or_insert_with(|| Arc::clone(place));
        }
        let mut new = lock(&self.new);
        if new.len() >= MOST && !new.contains_key(place) {
            self.beyond.fetch_add(1, Relaxed);
            return;
        }
        take_in(new.entry(Arc::clone(place)).or_default(), record);
        drop(new);
    }
}

fn take_in(seen: &mut Seen, record: &Record<'_>) {
    match record {
        Record::Seccomp(record) => {
            if let Some((arch, number)) = record.call() {
                if record.action.denies() {
                    seen.denied_call(arch, number);
                } else {
                    seen.call(arch, number);
                }
            }
        }
        Record::AppArmor(record) => {
            for access in record.accesses() {
                seen.access(access);
            }
        }
        Record::Selinux(record) => {
            for permission in record.permitted() {
                seen.permission(permission);
            }
        }
        Record::Lost(_) | Record::LostInAll(_) => {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::parse,
        seen::{Access, Ways},
    };

    fn tell(shared: &Shared, line: &str, place: &Arc<Place>, apart: bool) {
        let record = parse(line).unwrap();
        shared.take_in(&Event::Record(&record, Origin::Known(Arc::clone(place)), apart));
    }

    const CALL: &str = "1326 audit(1.1:1): pid=1 arch=c000003e syscall=39 code=";

    #[test]
    fn what_is_told_often_is_seen_once() {
        let shared = Shared::default();
        let place = Arc::new(Place { namespace: Some(7), ..Place::default() });
        for _ in 0..3 {
            tell(&shared, &format!("{CALL}0x7ffc0000"), &place, true);
            tell(&shared, &format!("{CALL}0x50001"), &place, true);
            let line = r#"type=1400 audit(1.1:1): apparmor="ALLOWED" operation="open" profile="p" name="/f" requested_mask="r""#;
            tell(&shared, line, &place, true);
            let line = "type=1400 audit(1.1:1): avc:  denied  { read open } for  scontext=u:r:a:s0 tcontext=u:r:b:s0 tclass=file permissive=1";
            tell(&shared, line, &place, true);
        }
        tell(&shared, &format!("{CALL}0x7ffc0000"), &Arc::default(), false);
        let new = shared.new.into_inner().unwrap();
        assert_eq!(new.len(), 1, "what is anywhere on the host is none of it");
        let mut right = Seen::default();
        let arch = profile::kinds::seccomp::Arch::X86_64;
        right.call(arch, 39);
        right.denied_call(arch, 39);
        right.access(Access::File { path: "/f".into(), ways: Ways::READ });
        for permission in ["read", "open"] {
            right.permission(crate::seen::Permission {
                scontext: "u:r:a:s0".into(),
                tcontext: "u:r:b:s0".into(),
                tclass: "file".into(),
                permission: permission.into(),
            });
        }
        assert_eq!(new[&place], right);
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_counted() {
        let shared = Shared::default();
        for namespace in 0..MOST as u64 + 5 {
            let place = Arc::new(Place { namespace: Some(namespace), ..Place::default() });
            tell(&shared, &format!("{CALL}0x7ffc0000"), &place, true);
        }
        assert_eq!(shared.beyond.into_inner(), 5);
        assert_eq!(shared.new.into_inner().unwrap().len(), MOST);
    }
}
