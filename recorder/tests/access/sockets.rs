//! Unix sockets: who binds one, and who speaks to it.

use std::{
    cell::RefCell,
    env,
    fs::{self, File},
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
        },
    },
    path::Path,
    time::Duration,
};

use libtest_mimic::Failed;
use recorder::{
    kernel::{Group, Tier},
    seen::{Access, Ways},
};
use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketAddrUnix, recvmsg, sendmsg_addr,
    },
};

use crate::{
    others::only,
    told::{act, act_while, exactly, start},
};

/// An address that only those have who know the folder.
fn address(folder: &Path, name: &str) -> io::Result<SocketAddr> {
    let mut text = folder.file_name().unwrap_or_default().as_bytes().to_vec();
    text.extend_from_slice(name.as_bytes());
    SocketAddr::from_abstract_name(text)
}

/// As `sd_notify(3)` does it.
fn send_message(socket: &UnixDatagram, to: &Path) -> io::Result<()> {
    let (to, flags) = (SocketAddrUnix::new(to)?, SendFlags::empty());
    sendmsg_addr(socket, &to, &[], &mut SendAncillaryBuffer::default(), flags)?;
    Ok(())
}

pub(crate) fn speaks_to_sockets(folder: &Path) -> io::Result<()> {
    for _ in 0..2 {
        UnixStream::connect(folder.join("stream"))?;
    }
    UnixStream::connect_addr(&address(folder, "stream")?)?;
    assert!(UnixStream::connect(folder.join("nobody")).is_err());
    let socket = UnixDatagram::unbound()?;
    for _ in 0..2 {
        socket.send_to(b"", folder.join("sent to"))?;
    }
    socket.send_to_addr(b"", &address(folder, "dgram")?)?;
    send_message(&socket, &folder.join("message"))?;
    env::set_current_dir(folder)?;
    socket.send_to(b"", "./relative")?;
    socket.connect(folder.join("connected"))?;
    socket.send(b"")?;
    Ok(())
}

fn unix(folder: &Path, kind: &str, name: &str) -> Access {
    let folder = folder.file_name().unwrap_or_default().to_string_lossy();
    Access::Unix { kind: kind.to_owned(), address: format!("@{folder}{name}") }
}

pub(crate) fn opened(kind: &str) -> Access {
    Access::Socket { family: "unix".to_owned(), kind: kind.to_owned(), protocol: 0 }
}

/// What is no file: sockets of both types, each with an address of the folder's.
fn no_files(folder: &Path) -> Vec<Access> {
    let of = |kind| [opened(kind), unix(folder, kind, kind)];
    ["stream", "dgram"].map(of).as_flattened().to_vec()
}

pub(crate) fn who_is_spoken_to_is_told() -> Result<(), Failed> {
    let open = RefCell::new(Vec::<OwnedFd>::new());
    let others = RefCell::new(Vec::new());
    let told = act("speaks_to_sockets", |folder| {
        let mut open = open.borrow_mut();
        open.push(UnixListener::bind(folder.join("stream"))?.into());
        open.push(UnixListener::bind_addr(&address(folder, "stream")?)?.into());
        drop(UnixListener::bind(folder.join("nobody"))?);
        for name in ["sent to", "message", "relative", "connected"] {
            open.push(UnixDatagram::bind(folder.join(name))?.into());
        }
        open.push(UnixDatagram::bind_addr(&address(folder, "dgram")?)?.into());
        others.replace(no_files(folder));
        Ok(())
    })?;
    let both = Ways::READ | Ways::WRITE;
    exactly(
        &told,
        &["stream", "sent to", "message", "relative", "connected"].map(|name| (name, both)),
    )?;
    only(&told, others.into_inner())
}

pub(crate) fn receives_a_file(folder: &Path) -> io::Result<()> {
    let socket = UnixDatagram::bind(folder.join("here"))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut received = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0];
    recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut received, RecvFlags::empty())?;
    let files = received.drain().filter(|one| matches!(one, RecvAncillaryMessage::ScmRights(_)));
    if files.count() == 1 { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// AppArmor asks about it as if the receiver had opened it.
pub(crate) fn a_received_file_is_told() -> Result<(), Failed> {
    let tier = start()?.tier().ok_or("nothing is told")?.of(Group::Files);
    let told = act_while(
        "receives_a_file",
        |folder| fs::write(folder.join("file"), ""),
        |folder| {
            let (file, socket) = (File::open(folder.join("file"))?, UnixDatagram::unbound()?);
            let here = SocketAddrUnix::new(folder.join("here"))?;
            let files = [file.as_fd()];
            loop {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut sent = SendAncillaryBuffer::new(&mut space);
                sent.push(SendAncillaryMessage::ScmRights(&files));
                let bytes = [IoSlice::new(b"x")];
                match sendmsg_addr(&socket, &here, &bytes, &mut sent, SendFlags::empty()) {
                    // It is not there yet.
                    Err(Errno::NOENT | Errno::CONNREFUSED) => {
                        std::thread::park_timeout(Duration::from_millis(1));
                    }
                    sent => return Ok(sent.map(drop)?),
                }
            }
        },
    )?;
    let here = ("here", Ways::CREATE | Ways::READ | Ways::WRITE);
    match tier {
        Tier::Hooks => exactly(&told, &[here, ("file", Ways::READ)]),
        _ => exactly(&told, &[here]),
    }
}

pub(crate) fn binds_sockets(folder: &Path) -> io::Result<()> {
    UnixListener::bind(folder.join("stream"))?;
    UnixDatagram::bind(folder.join("dgram"))?;
    UnixListener::bind_addr(&address(folder, "stream")?)?;
    UnixDatagram::bind_addr(&address(folder, "dgram")?)?;
    // It gets an address of the kernel's choice.
    UnixDatagram::bind_addr(&SocketAddr::from_pathname("")?).map(drop)
}

pub(crate) fn what_is_bound_is_told() -> Result<(), Failed> {
    let others = RefCell::new(Vec::new());
    let told = act("binds_sockets", |folder| {
        others.replace(no_files(folder));
        Ok(())
    })?;
    let all = Ways::CREATE | Ways::READ | Ways::WRITE;
    exactly(&told, &[("stream", all), ("dgram", all)])?;
    only(&told, others.into_inner())
}
