//! Which processes are the command's: those that it has begun, those that they have, and so on.
//!
//! The kernel tells of each process that begins (its process connector, `linux/cn_proc.h`). A process that a call has ended
//! is often gone when that is read, and then nobody else knows whose it was.

use std::{collections::BTreeSet, io, os::fd::OwnedFd};

use rustix::{
    fd::{AsFd, BorrowedFd},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind,
        netlink::{self, SocketAddrNetlink},
        recvfrom, send, socket_with, sockopt,
    },
};

/// `CN_IDX_PROC` and `CN_VAL_PROC`; the first is the multicast group too.
const PROCESSES: u32 = 1;

/// `PROC_CN_MCAST_LISTEN` and `PROC_CN_MCAST_IGNORE`.
const LISTEN: u32 = 1;
const IGNORE: u32 = 2;

/// `PROC_EVENT_NONE`, an answer to the above, and `PROC_EVENT_FORK`.
const ANSWER: u32 = 0;
const FORK: u32 = 1;

/// Of `struct nlmsghdr` and of `struct cn_msg`, which begins where the other ends.
const HEADER: usize = 16;
const MESSAGE: usize = 20;

/// Where in a datagram the kind of event is, and what is told of it: behind a processor and a time.
const KIND: usize = HEADER + MESSAGE;
const ABOUT: usize = KIND + 16;

/// Bytes that the kernel keeps while nobody reads; an event takes less than a thousand.
const ROOM: usize = 16 << 20;

/// The processes of a command, as far as they are known.
#[derive(Debug)]
pub(crate) struct Forks {
    /// None where the kernel does not tell.
    events: Option<OwnedFd>,
    ours: BTreeSet<u32>,
}

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Ours,
    Others,
    /// It is gone, or has lost its parent, and nobody has told of its beginning.
    Unknown,
}

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Begun { parent: u32, child: u32 },
    Refused,
}

impl Forks {
    /// All that this process begins from now on.
    pub(crate) fn follow() -> Self {
        // A child that is begun as its parent's sibling counts as ours, which begins nothing but the command.
        let ours = BTreeSet::from([std::process::id()]);
        Self { events: listen().ok(), ours }
    }

    /// A process that is ours.
    pub(crate) fn add(&mut self, process: u32) {
        self.ours.insert(process);
    }

    /// Takes in what was told until now.
    pub(crate) fn read(&mut self) {
        let Some(events) = &self.events else { return };
        let mut datagram = [0; 256];
        loop {
            let event = match recvfrom(events, &mut datagram, RecvFlags::empty()) {
                Ok((length, _, from)) => {
                    let port = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                    // Port 0 is the kernel; nobody else is believed.
                    if port.is_none_or(|from| from.pid() != 0) {
                        continue;
                    }
                    datagram.get(..length).and_then(event)
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return,
                // Some are missing: from now on who is there is asked.
                Err(_) => Some(Event::Refused),
            };
            match event {
                Some(Event::Begun { parent, child }) => begun(&mut self.ours, parent, child),
                Some(Event::Refused) => {
                    self.events = None;
                    return;
                }
                None => {}
            }
        }
    }

    /// Whose a process is, by what was read and by what `/proc` says.
    pub(crate) fn whose(&self, process: u32) -> Whose {
        if self.ours.contains(&process) {
            Whose::Ours
        } else if self.events.is_some() {
            Whose::Others
        } else {
            self.descent(process)
        }
    }

    fn descent(&self, process: u32) -> Whose {
        let mut at = process;
        // A chain cannot be longer than there are processes; whoever makes one of this length wants to be searched for.
        for _ in 0..256 {
            match parent(at) {
                Some(parent) if self.ours.contains(&parent) => return Whose::Ours,
                // Whose parent is gone belongs to the first process, or to one that asked for it.
                None | Some(0 | 1) => return Whose::Unknown,
                Some(parent) => at = parent,
            }
        }
        Whose::Unknown
    }

    /// What to wait for, where the kernel tells.
    pub(crate) fn waited(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Forks {
    fn drop(&mut self) {
        if let Some(events) = &self.events {
            // Older kernels go on counting this listener otherwise.
            ask(events, IGNORE).unwrap_or_default();
        }
    }
}

/// A number is given to another process only when the one that had it is gone.
fn begun(ours: &mut BTreeSet<u32>, parent: u32, child: u32) {
    if ours.contains(&parent) {
        ours.insert(child);
    } else {
        ours.remove(&child);
    }
}

fn listen() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = Some(netlink::CONNECTOR);
    let events = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?;
    if sockopt::set_socket_recv_buffer_size_force(&events, ROOM).is_err() {
        sockopt::set_socket_recv_buffer_size(&events, ROOM)?;
    }
    bind(&events, &SocketAddrNetlink::new(0, PROCESSES))?;
    ask(&events, LISTEN)?;
    Ok(events)
}

fn ask(events: &OwnedFd, what: u32) -> io::Result<()> {
    let message = question(what);
    send(events, &message, SendFlags::empty())?;
    Ok(())
}

fn question(what: u32) -> Vec<u8> {
    let length = HEADER + MESSAGE + size_of::<u32>();
    let done = libc::NLMSG_DONE.cast_unsigned();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(u32::try_from(length).unwrap_or_default().to_ne_bytes());
    // The kind, no flags, no sequence, and the kernel fills in who asks.
    bytes.extend(u16::try_from(done).unwrap_or_default().to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend([PROCESSES, PROCESSES, 0, 0].map(u32::to_ne_bytes).as_flattened());
    // The length of what follows, and no flags.
    bytes.extend(4_u16.to_ne_bytes());
    bytes.extend([0; 2]);
    bytes.extend(what.to_ne_bytes());
    bytes
}

/// Reads an event; none where it is of no interest: also a thread begins.
fn event(datagram: &[u8]) -> Option<Event> {
    let word = |at: usize| datagram.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes);
    match word(KIND)? {
        ANSWER => (word(ABOUT)? != 0).then_some(Event::Refused),
        FORK => {
            let (parent, thread, child) = (word(ABOUT + 4)?, word(ABOUT + 8)?, word(ABOUT + 12)?);
            (thread == child).then_some(Event::Begun { parent, child })
        }
        _ => None,
    }
}

fn parent(of: u32) -> Option<u32> {
    let stat = std::fs::read(format!("/proc/{of}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The second field is a name in brackets, which may have brackets and spaces in it.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: u32, about: [u32; 4]) -> Vec<u8> {
        let mut bytes = vec![0; KIND];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 12]);
        bytes.extend(about.map(u32::to_ne_bytes).as_flattened());
        bytes
    }

    #[test]
    fn processes_are_told_from_threads_and_answers() {
        let begun = Event::Begun { parent: 7, child: 9 };
        assert_eq!(event(&told(FORK, [8, 7, 9, 9])), Some(begun));
        assert_eq!(event(&told(FORK, [8, 7, 10, 7])), None, "a thread");
        assert_eq!(event(&told(ANSWER, [0; 4])), None);
        assert_eq!(event(&told(ANSWER, [1, 0, 0, 0])), Some(Event::Refused));
        assert_eq!(event(&told(2, [1; 4])), None);
        for length in 0..ABOUT {
            assert_eq!(event(&told(FORK, [8, 7, 9, 9])[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_number_that_another_process_has_got_is_no_longer_ours() {
        let mut ours = BTreeSet::from([1000]);
        for (parent, child) in [(1000, 1001), (1001, 1002), (7, 1003), (7, 1001)] {
            begun(&mut ours, parent, child);
        }
        assert_eq!(ours, [1000, 1002].into());
    }

    #[test]
    fn without_events_whoever_is_there_is_asked() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let (own, child_id) = (std::process::id(), child.id());
        let forks = Forks { events: None, ours: [own].into() };
        assert_eq!(forks.whose(child_id), Whose::Ours);
        let others = Forks { events: None, ours: [child_id].into() };
        assert_eq!(others.whose(own), Whose::Unknown);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(forks.whose(child_id), Whose::Unknown, "it is gone");
    }
}
