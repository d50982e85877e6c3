//! Whose record it is: the container of the process that it names, or an honest "unknown".
//!
//! A record names a process by number, and the process may have ended since. So it is looked at at once, what was found is
//! kept, and two things make sure that a number is never taken for another process with the same one: a process that began
//! after the record cannot have caused it, and numbers are given out in turn, so that one cannot come again before the kernel
//! has started as many processes as there are numbers.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    audit::{Record, Subject},
    cgroup::Container,
};

pub use ended::{Ended, Processes};

mod ended;
mod process;

/// The most processes that are kept.
const MOST: usize = 16 * 1024;

/// For how long what was found is not looked at again: of a process in a container, and of one of the host, which may be a
/// runtime's on its way into one.
const FRESH: Duration = Duration::from_secs(1);
const FRESH_ON_HOST: Duration = Duration::from_millis(50);

/// A process of the host that is older than this many milliseconds is no runtime's on its way into a container.
const YOUNG: u64 = 10_000;

/// How often is counted how many processes the kernel has started.
const COUNT: Duration = Duration::from_millis(100);

/// Milliseconds by which a process may seem to begin after its first record: both times are cut to the kernel's tick.
const TOLERANCE: u64 = 30;

/// Why nobody knows whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unknown {
    /// It names no process.
    Unnamed,
    /// The process had ended before it could be looked at.
    Gone,
    /// Its number is another one's now.
    Reused,
    /// A program has written it, about whomever it liked.
    Program,
    /// This program may not look at the process.
    Hidden,
}

impl Unknown {
    pub const ALL: [Self; 5] =
        [Self::Unnamed, Self::Gone, Self::Reused, Self::Program, Self::Hidden];

    /// As it is called in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unnamed => "unnamed",
            Self::Gone => "gone",
            Self::Reused => "reused",
            Self::Program => "program",
            Self::Hidden => "hidden",
        }
    }
}

/// Where a process is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// None of the host's own processes.
    pub container: Option<Container>,
    /// The inode of its mount namespace, where that may be looked at.
    pub namespace: Option<u64>,
    /// The path of its cgroup, the longest where there are several hierarchies.
    pub cgroup: String,
}

/// Whose record it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Known(Arc<Place>),
    Unknown(Unknown),
}

impl Origin {
    /// The container, where it is known, and is one.
    pub fn container(&self) -> Option<&Container> {
        match self {
            Self::Known(place) => place.container.as_ref(),
            Self::Unknown(_) => None,
        }
    }
}

/// What was found of processes.
#[derive(Debug)]
pub struct Origins {
    proc: PathBuf,
    known: HashMap<u32, Known>,
    places: HashSet<Arc<Place>>,
    numbers: Numbers,
    /// The host's mount namespace, where that may be looked at.
    host: Option<u64>,
    told: Witness,
    ended: Option<Arc<dyn Processes>>,
}

/// Looks at processes in the place of [`Origins`], from another thread: as soon as one is started, say.
#[derive(Clone, Debug)]
pub struct Witness {
    proc: PathBuf,
    found: Arc<Mutex<Vec<(u32, process::Found)>>>,
}

impl Witness {
    /// Looks at a process, which is known from then on.
    pub fn look(&self, process: u32) {
        if let Ok(Some(found)) = process::look(&self.proc, process) {
            let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() < MOST {
                all.push((process, found));
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Known {
    place: Arc<Place>,
    start: u64,
    looked: Instant,
    /// The same in milliseconds since 1970.
    looked_at: u64,
    /// How many processes there had been by then.
    started: u64,
}

/// How process numbers are given out.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    /// So many processes may be started before a number can come again.
    turn: u64,
    started: u64,
    counted: Option<Instant>,
}

impl Origins {
    /// With the `/proc` of the host, and who knows of processes that have ended, where somebody does.
    pub fn new(proc: &Path, ended: Option<Arc<dyn Processes>>) -> Self {
        let most = std::fs::read_to_string(proc.join("sys/kernel/pid_max"));
        let most = most.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(32_768_u64);
        Self {
            proc: proc.to_owned(),
            known: HashMap::new(),
            places: HashSet::new(),
            // Half: some numbers are in use and left out, and what fails to start takes one as well.
            numbers: Numbers { turn: most / 2, started: 0, counted: None },
            // A thread of the kernel has it, and may be looked at also where the first process may not.
            told: Witness { proc: proc.to_owned(), found: Arc::default() },
            ended,
            host: process::look(proc, 2).ok().flatten().and_then(|found| found.namespace),
        }
    }

    /// Who looks at processes in the place of this one.
    pub fn witness(&self) -> Witness {
        self.told.clone()
    }

    /// Looks at all processes that are not known yet: of those that live long enough for it, nothing is missed later.
    pub fn sweep(&mut self, now: Instant) {
        self.count(now);
        let entries = std::fs::read_dir(&self.proc).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            let known = self.known.get(&process).filter(|known| self.numbers.hold(known));
            // One that has been on the host for a while stays there.
            let stays = known.is_some_and(|known| {
                known.place.is_settled(self.host)
                    || known.start.saturating_add(YOUNG) < process::now()
            });
            if !stays && let Ok(Some(found)) = process::look(&self.proc, process) {
                self.keep_found(process, found, now);
            }
        }
    }

    /// Whether the processes here are those of the host, as records name them: the second one is a thread of the kernel.
    pub fn are_of_host(&self) -> bool {
        std::fs::read_to_string(self.proc.join("2/comm")).is_ok_and(|name| name == "kthreadd\n")
    }

    /// Whether it is not just anywhere on the host: in a container, or in a mount namespace of its own.
    pub fn is_apart(&self, place: &Place) -> bool {
        place.is_settled(self.host)
    }

    /// Whose record it is.
    pub fn of(&mut self, record: &Record<'_>) -> Origin {
        let subject = match record {
            Record::Seccomp(record) => &record.subject,
            Record::AppArmor(record) => &record.subject,
            Record::Selinux(record) if record.by_program => {
                return Origin::Unknown(Unknown::Program);
            }
            Record::Selinux(record) => &record.subject,
            Record::Lost(_) | Record::LostInAll(_) => return Origin::Unknown(Unknown::Unnamed),
        };
        self.of_subject(subject, Instant::now())
    }

    fn of_subject(&mut self, subject: &Subject<'_>, now: Instant) -> Origin {
        let Some(process) = subject.pid else { return Origin::Unknown(Unknown::Unnamed) };
        let began_before = |start: u64| start <= subject.stamp.millis.saturating_add(TOLERANCE);
        self.count(now);
        let known = self.known.get(&process).filter(|known| self.numbers.hold(known));
        let is_settled = |known: &Known| known.place.is_settled(self.host);
        let is_fresh = |known: &&Known| known.is_fresh(now, is_settled(known), subject);
        if let Some(known) = known.filter(is_fresh) {
            return if began_before(known.start) {
                Origin::Known(Arc::clone(&known.place))
            } else {
                Origin::Unknown(Unknown::Reused)
            };
        }
        match process::look(&self.proc, process) {
            // Without a namespace it is on its way out, and has been told to whoever knows of those.
            Ok(Some(found)) if found.namespace.is_some() || self.ended.is_none() => {
                let start = found.start;
                let place = self.keep_found(process, found, now);
                if began_before(start) {
                    Origin::Known(place)
                } else {
                    Origin::Unknown(Unknown::Reused)
                }
            }
            Ok(found) => {
                if let Some(place) = self.of_ended(process, subject, now) {
                    return Origin::Known(place);
                }
                if let Some(found) = found {
                    self.keep_found(process, found, now);
                }
                self.hear(now);
                // What was found while it was there. Of the host's, it may have gone into a container since.
                let known = self.known.get(&process).filter(|known| self.numbers.hold(known));
                match known.filter(|known| known.place.is_settled(self.host)) {
                    Some(known) if began_before(known.start) => {
                        Origin::Known(Arc::clone(&known.place))
                    }
                    _ => Origin::Unknown(Unknown::Gone),
                }
            }
            Err(_) => Origin::Unknown(Unknown::Hidden),
        }
    }

    /// Where a process was that has ended, if it is the one that a record is of.
    fn of_ended(
        &mut self,
        process: u32,
        subject: &Subject<'_>,
        now: Instant,
    ) -> Option<Arc<Place>> {
        let ended = self.ended.as_ref()?.ended(process)?;
        let (start, end) = ended.times(process::booted());
        let stamp = subject.stamp.millis;
        let is_it =
            start <= stamp.saturating_add(TOLERANCE) && stamp <= end.saturating_add(TOLERANCE);
        is_it.then(|| self.keep(process, start, ended.into_place(), now))
    }

    /// Takes over what others have looked at.
    fn hear(&mut self, now: Instant) {
        let told = Arc::clone(&self.told.found);
        let told = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
        for (process, found) in told {
            self.keep_found(process, found, now);
        }
    }

    fn keep_found(&mut self, process: u32, found: process::Found, now: Instant) -> Arc<Place> {
        let process::Found { start, container, namespace, cgroup } = found;
        self.keep(process, start, Place { container, namespace, cgroup }, now)
    }

    fn keep(&mut self, process: u32, start: u64, place: Place, now: Instant) -> Arc<Place> {
        if self.known.len() >= MOST && !self.known.contains_key(&process) {
            self.forget();
        }
        let place = self.places.get(&place).cloned().unwrap_or_else(|| Arc::new(place));
        self.places.insert(Arc::clone(&place));
        let started = self.numbers.started;
        let looked_at = process::now();
        let known = Known { place: Arc::clone(&place), start, looked: now, looked_at, started };
        self.known.insert(process, known);
        place
    }

    /// Forgets the half that was not looked at for longest.
    fn forget(&mut self) {
        let mut times: Vec<_> = self.known.values().map(|known| known.looked).collect();
        let half = times.len() / 2;
        let (_, middle, _) = times.select_nth_unstable(half);
        let middle = *middle;
        self.known.retain(|_, known| known.looked > middle);
        self.places.retain(|place| Arc::strong_count(place) > 1);
    }

    /// Counts, now and then, how many processes there have been.
    fn count(&mut self, now: Instant) {
        if self.numbers.counted.is_some_and(|counted| now.duration_since(counted) < COUNT) {
            return;
        }
        self.numbers.counted = Some(now);
        let text = std::fs::read_to_string(self.proc.join("stat")).unwrap_or_default();
        let started = text.lines().find_map(|line| line.strip_prefix("processes ")?.parse().ok());
        // Not knowing is as if all numbers had come again.
        self.numbers.started =
            started.unwrap_or_else(|| self.numbers.started.saturating_add(self.numbers.turn));
    }
}

impl Place {
    /// Whether a process stays where it is, as far as matters: it is in a container, or in a mount namespace that is not the
    /// host's. A runtime puts one into its cgroup before its namespace.
    fn is_settled(&self, host: Option<u64>) -> bool {
        self.container.is_some()
            || self.namespace.is_some_and(|own| host.is_some_and(|host| own != host))
    }
}

impl Known {
    fn is_fresh(&self, now: Instant, settled: bool, subject: &Subject<'_>) -> bool {
        if settled {
            return now.duration_since(self.looked) < FRESH;
        }
        // One that has just begun may have gone into a container between the look and the record.
        let is_young = self.looked_at <= self.start.saturating_add(YOUNG);
        let looked_before = self.looked_at < subject.stamp.millis.saturating_add(TOLERANCE);
        !(is_young && looked_before) && now.duration_since(self.looked) < FRESH_ON_HOST
    }
}

impl Numbers {
    /// Whether the number of a process can be nobody else's yet.
    fn hold(self, known: &Known) -> bool {
        self.started.saturating_sub(known.started) < self.turn
    }
}

#[cfg(test)]
mod tests;
