//! Records as the kernel sends them to everybody who listens: the multicast group of `NETLINK_AUDIT`. No auditd is needed, and
//! one that is there is not disturbed.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink,
        netlink::SocketAddrNetlink, recvfrom, socket_with, sockopt,
    },
};

use super::loss::Loss;

pub mod message;

/// `AUDIT_NLGRP_READLOG` of the kernel's `linux/audit.h`, as a bit.
const READLOG: u32 = 1;

/// Bytes that the kernel keeps for this reader while it is busy.
const ROOM: usize = 16 << 20;

/// The longest datagram: a record has 8,970 bytes at most.
const LONGEST: usize = 16 * 1024;

/// So many messages are read before whoever asked is heard again.
const BATCH: usize = 512;

/// There in the first network namespace alone (`net/core/sysctl_net_core.c` of the kernel).
const FIRST_ONLY: &str = "sys/net/core/netdev_max_backlog";

/// Why the kernel cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    #[error(
        "the kernel sends audit records to its first network namespace only, and this is another one: set hostNetwork: true"
    )]
    Namespace,
    #[error("listening for the kernel's audit records needs the capability CAP_AUDIT_READ")]
    Refused,
    #[error("cannot listen for the kernel's audit records")]
    Listen(#[source] io::Error),
}

/// A socket that hears all records.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    buffer: Box<[u8]>,
    /// How many bytes the kernel keeps, where that is less than it should be.
    pub narrow: Option<usize>,
}

/// A record, or that some are missing.
#[derive(Debug)]
pub enum Told<'a> {
    Message(message::Message<'a>),
    Lost(Loss),
}

impl Netlink {
    /// Begins to listen. In another network namespace than the first the kernel would let that happen, and never send
    /// anything.
    pub fn listen() -> Result<Self, NetlinkError> {
        if !is_first_network() {
            return Err(NetlinkError::Namespace);
        }
        let listen = |errno: Errno| NetlinkError::Listen(errno.into());
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = Some(netlink::AUDIT);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
            .map_err(listen)?;
        // The one needs CAP_NET_ADMIN, the other gives no more than net.core.rmem_max.
        let forced = sockopt::set_socket_recv_buffer_size_force(&socket, ROOM);
        if forced.is_err() {
            sockopt::set_socket_recv_buffer_size(&socket, ROOM).map_err(listen)?;
        }
        let room = sockopt::socket_recv_buffer_size(&socket).map_err(listen)?;
        bind(&socket, &SocketAddrNetlink::new(0, READLOG)).map_err(|errno| match errno {
            Errno::PERM | Errno::ACCESS => NetlinkError::Refused,
            other => listen(other),
        })?;
        let narrow = (room < ROOM).then_some(room);
        Ok(Self { socket, buffer: vec![0; LONGEST].into(), narrow })
    }

    /// Waits until there is something, and tells what is there. Whether there may be more.
    pub fn read(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Told<'_>),
    ) -> Result<bool, NetlinkError> {
        let listen = |errno: Errno| NetlinkError::Listen(errno.into());
        for count in 0..BATCH {
            match recvfrom(&self.socket, &mut self.buffer[..], RecvFlags::TRUNC) {
                Ok((_, length, from)) => {
                    // Port 0 is the kernel. Nobody else is believed.
                    let port = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                    if port.is_none_or(|from| from.pid() != 0) {
                        continue;
                    }
                    match self.buffer.get(..length) {
                        Some(datagram) => message::messages(datagram)
                            .for_each(|message| each(Told::Message(message))),
                        None => each(Told::Lost(Loss::Long)),
                    }
                }
                Err(Errno::NOBUFS) => each(Told::Lost(Loss::Overrun)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if count == 0 => {
                    if !wait(&self.socket, patience).map_err(listen)? {
                        return Ok(false);
                    }
                }
                Err(Errno::AGAIN) => return Ok(false),
                Err(other) => return Err(listen(other)),
            }
        }
        Ok(true)
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether there is something to read before the time is over.
pub(super) fn wait(on: &OwnedFd, patience: Duration) -> rustix::io::Result<bool> {
    let patience = Timespec {
        tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::from_borrowed_fd(on.as_fd(), PollFlags::IN)], Some(&patience)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(other) => Err(other),
    }
}

fn is_first_network() -> bool {
    Path::new("/proc").join(FIRST_ONLY).exists()
}
