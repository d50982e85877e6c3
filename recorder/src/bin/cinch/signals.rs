//! Signals as something to wait for, with who sent them.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use libc::{
    SIG_BLOCK, SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
    signalfd_siginfo, sigset_t,
};

/// What is waited for: a child's end, and what somebody may send to end or to prompt a program.
const WATCHED: [libc::c_int; 8] =
    [SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM];

/// Signals that do nothing to this process until they are asked for.
pub(crate) struct Signals {
    from: OwnedFd,
    before: sigset_t,
}

/// One signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) number: libc::c_int,
    /// The process that sent it; none when the kernel did, for a key that was pressed or a terminal that is gone. Then all
    /// processes of the terminal's group have got it as well.
    pub(crate) sender: Option<u32>,
}

impl Signals {
    /// Blocks them and listens. There must be no other thread yet.
    #[expect(unsafe_code, reason = "there is no safe way to block signals")]
    pub(crate) fn listen() -> io::Result<Self> {
        let mut set = MaybeUninit::<sigset_t>::uninit();
        // SAFETY: the call writes the set.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        for signal in WATCHED {
            // SAFETY: the set was written above, and the numbers are those of signals.
            unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
        }
        // SAFETY: it was written above.
        let set = unsafe { set.assume_init() };
        let mut before = MaybeUninit::<sigset_t>::uninit();
        // SAFETY: the call reads the one and writes the other.
        match unsafe { libc::sigprocmask(SIG_BLOCK, &raw const set, before.as_mut_ptr()) } {
            0 => {}
            _ => return Err(io::Error::last_os_error()),
        }
        // SAFETY: the call has succeeded and so has written it.
        let before = unsafe { before.assume_init() };
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the call reads the set.
        let from = unsafe { libc::signalfd(-1, &raw const set, flags) };
        if from < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is new, and nobody else's.
        let from = unsafe { OwnedFd::from_raw_fd(from) };
        Ok(Self { from, before })
    }

    /// The signals that were blocked before, and are to be for who is started.
    pub(crate) fn before(&self) -> &sigset_t {
        &self.before
    }

    /// Lets those that come from now on do again what they did before.
    #[expect(unsafe_code, reason = "there is no safe way to unblock signals")]
    pub(crate) fn restore(&self) -> io::Result<()> {
        while self.next().is_some() {}
        let none = std::ptr::null_mut();
        // SAFETY: the call reads the set.
        match unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.before, none) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The next signal that has come.
    #[expect(unsafe_code, reason = "the kernel writes a structure")]
    pub(crate) fn next(&self) -> Option<Signal> {
        let mut one = MaybeUninit::<signalfd_siginfo>::zeroed();
        let size = size_of::<signalfd_siginfo>();
        // SAFETY: there is room for as much.
        let got = unsafe { libc::read(self.from.as_raw_fd(), one.as_mut_ptr().cast(), size) };
        if usize::try_from(got) != Ok(size) {
            return None;
        }
        // SAFETY: it was written whole, and any bytes are such numbers.
        let one = unsafe { one.assume_init() };
        // Codes above 0 are the kernel's.
        let sender = (one.ssi_code <= 0).then_some(one.ssi_pid);
        Some(Signal { number: one.ssi_signo.cast_signed(), sender })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.from.as_fd()
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Signal {
    /// Whether a process must be told of it that runs beside this one in the terminal's group: what the kernel sends, it
    /// sends to both, and what comes from the process or what it has started is not for itself.
    pub(crate) fn is_for(self, process: u32) -> bool {
        self.number != SIGCHLD && self.sender.is_some_and(|sender| !descends(sender, process))
    }
}

/// Whether a process is another or was started by it.
fn descends(mut process: u32, from: u32) -> bool {
    while process > 1 {
        if process == from {
            return true;
        }
        let Some(parent) = parent(process) else { return false };
        process = parent;
    }
    false
}

fn parent(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Sends a signal to a child that was not waited for yet, so that its number is still its own.
pub(crate) fn send(signal: libc::c_int, child: u32) {
    let (Some(child), Some(signal)) = (
        i32::try_from(child).ok().and_then(rustix::process::Pid::from_raw),
        rustix::process::Signal::from_named_raw(signal),
    ) else {
        return;
    };
    // It may have ended on its own.
    rustix::process::kill_process(child, signal).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_started_is_known_as_such() {
        let own = std::process::id();
        assert!(descends(own, own) && descends(own, parent(own).unwrap()));
        assert!(!descends(parent(own).unwrap(), own));
    }

    #[test]
    fn what_the_terminal_sends_has_reached_the_command_already() {
        let own = std::process::id();
        let signal = |number, sender| Signal { number, sender };
        assert!(!signal(SIGINT, None).is_for(own));
        assert!(!signal(SIGTERM, Some(own)).is_for(own), "its own");
        assert!(signal(SIGTERM, parent(own)).is_for(own));
        assert!(!signal(SIGCHLD, parent(own)).is_for(own));
    }
}
