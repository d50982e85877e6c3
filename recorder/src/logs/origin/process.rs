//! What `/proc` says of one process.

use std::{
    ffi::CStr,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, openat, readlinkat},
    io::Errno,
    time::{ClockId, clock_gettime},
};

use crate::cgroup::Container;

/// The longest text that is read of a process: the cgroups of one are at most some thousand bytes.
const LONGEST: u64 = 64 * 1024;

/// `PF_EXITING` of the kernel's `linux/sched.h`: what such a process is told to be in may be gone already.
const EXITING: u64 = 4;

/// Milliseconds of the unit in which `/proc` gives times, which is a hundredth of a second on every architecture
/// (`USER_HZ`).
const TICK: u64 = 10;

/// A process, as long as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// When it began: milliseconds since 1970 by the clock of now.
    pub(super) start: u64,
    /// Where it is in; none of the host's processes.
    pub(super) container: Option<Container>,
    /// The inode of its mount namespace, where that may be looked at.
    pub(super) namespace: Option<u64>,
    pub(super) cgroup: String,
}

/// Looks at a process. None when it is not there, or on its way out.
pub(super) fn look(proc: &Path, process: u32) -> io::Result<Option<Found>> {
    let folder = match open(&proc.join(process.to_string())) {
        Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
        other => other?,
    };
    // All through the folder: when the process ends, another one with its number cannot take its place in it.
    let read = || -> io::Result<_> {
        let cgroup = text(&folder, c"cgroup")?;
        let namespace =
            readlinkat(&folder, c"ns/mnt", Vec::new()).ok().and_then(|link| inode(&link));
        // Last: what was said before holds when it is not ending by now.
        let stat = text(&folder, c"stat")?;
        Ok((cgroup, namespace, stat))
    };
    let (cgroup, namespace, stat) = match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_gone(&error) => {
            return Ok(None);
        }
        other => other?,
    };
    let Some(stat) = Stat::read(&stat) else { return Ok(None) };
    let container = Container::of_process(&cgroup);
    if stat.ending && container.is_none() && namespace.is_none() {
        return Ok(None);
    }
    let start = stat.start.saturating_mul(TICK).saturating_add(booted());
    let paths = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let cgroup = paths.max_by_key(|path| path.len()).unwrap_or_default();
    Ok(Some(Found { start, container, namespace, cgroup: cgroup.to_owned() }))
}

/// What of `/proc/PID/stat` matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    /// Ticks since the machine was started.
    start: u64,
    ending: bool,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The second field is a name in brackets, which may have brackets and spaces in it.
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        // The third one was the state; the ninth has flags, the 22nd the start.
        let flags: u64 = fields.nth(5)?.parse().ok()?;
        let start = fields.nth(12)?.parse().ok()?;
        Some(Self { start, ending: matches!(state, "Z" | "X" | "x") || flags & EXITING != 0 })
    }
}

fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

fn text(folder: &OwnedFd, name: &CStr) -> io::Result<String> {
    let file = openat(folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(512);
    std::fs::File::from(file).take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// `mnt:[4026531832]`.
fn inode(link: &CStr) -> Option<u64> {
    link.to_str().ok()?.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok()
}

/// When the machine was started: milliseconds since 1970 by the clock of now.
pub(super) fn booted() -> u64 {
    now().saturating_sub(millis(ClockId::Boottime))
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    millis(ClockId::Realtime)
}

fn millis(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or_default() * 1000
        + u64::try_from(time.tv_nsec).unwrap_or_default() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_and_state_are_found_behind_any_name() {
        let stat = |name: &str, state: &str, flags: u64| {
            format!(
                "7 ({name}) {state} 1 2 3 4 5 {flags} 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
            )
        };
        for name in ["sh", "a b", ") R 1 2 (", "x)"] {
            let read = Stat::read(&stat(name, "S", 0x40_0000));
            assert_eq!(read, Some(Stat { start: 4711, ending: false }), "{name}");
        }
        assert!(Stat::read(&stat("sh", "Z", 0)).unwrap().ending);
        assert!(Stat::read(&stat("sh", "R", EXITING)).unwrap().ending);
        assert_eq!(Stat::read("7 (sh) R 1"), None);
        assert_eq!(Stat::read(""), None);
    }

    #[test]
    fn this_process_began_before_now_and_is_where_it_is() {
        let own = look(Path::new("/proc"), std::process::id()).unwrap().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = u64::try_from(now.as_millis()).unwrap();
        assert!(own.start <= now && own.start > now - 3_600_000, "{} {now}", own.start);
        assert_eq!(own.namespace, crate::apart::namespace(std::process::id()).ok());
    }

    #[test]
    fn a_process_that_has_ended_is_not_there() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = child.id();
        child.wait().unwrap();
        assert_eq!(look(Path::new("/proc"), id).unwrap(), None);
    }
}
