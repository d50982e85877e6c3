//! Unix sockets by socketcall(2), which programs of 32 bits have: its arguments are in memory.

use std::{
    cell::RefCell,
    env, io,
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener},
    },
    path::Path,
};

use libtest_mimic::Failed;
use recorder::seen::Ways;

use crate::{
    others::only,
    sockets::opened,
    told::{act, exactly},
};

/// What can be asked of it, as `linux/net.h` numbers it.
const SOCKET: u64 = 1;
const BIND: u64 = 2;
const CONNECT: u64 = 3;
const SENDTO: u64 = 11;
const SENDMSG: u64 = 16;
const SENDMMSG: u64 = 20;

const UNIX: u32 = libc::AF_UNIX.cast_unsigned();
const STREAM: u32 = libc::SOCK_STREAM.cast_unsigned();
const DGRAM: u32 = libc::SOCK_DGRAM.cast_unsigned();

/// Words of a page, and where in it a message and a name are: behind the arguments.
const WORDS: usize = 1024;
const MESSAGE: usize = 16;
const NAME: usize = 32;

/// Memory that numbers of 32 bits can name.
struct Page(&'static mut [u32]);

impl Page {
    #[expect(unsafe_code, reason = "memory at a low place can be had in no other way")]
    fn new() -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        let none = std::ptr::null_mut();
        // SAFETY: new memory, wherever there is some below 4 GiB.
        let page = unsafe { libc::mmap(none, 4 * WORDS, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is so long, filled with zeros, stays until the process ends, and nobody else has it.
        Ok(Self(unsafe { std::slice::from_raw_parts_mut(page.cast(), WORDS) }))
    }

    fn address(&self, word: usize) -> io::Result<u32> {
        self.0[word..].as_ptr().addr().try_into().map_err(io::Error::other)
    }

    /// Puts a name there, and gives how long it is.
    fn name(&mut self, path: &str) -> io::Result<u32> {
        let family = libc::AF_UNIX.to_ne_bytes();
        let bytes = [&family[..2], path.as_bytes(), &[0; 4]].concat();
        for (word, bytes) in self.0[NAME..].iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_ne_bytes(*bytes);
        }
        u32::try_from(2 + path.len()).map_err(io::Error::other)
    }

    #[expect(unsafe_code, reason = "there is no other way into the 32-bit entry")]
    fn call(&mut self, which: u64, arguments: &[u32]) -> io::Result<u32> {
        self.0[..arguments.len()].copy_from_slice(arguments);
        let result: i32;
        // SAFETY: the call reads the arguments and what they name, all of it in the page; it writes to no memory, and
        // registers that it may not keep are told. Its first argument is exchanged, since the compiler needs that register.
        unsafe {
            std::arch::asm!(
                "xchg rbx, {which}", "int 0x80", "xchg rbx, {which}", which = inout(reg) which => _,
                inlateout("eax") 102_i32 => result, in("rcx") self.0.as_ptr(),
                lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _
            );
        }
        u32::try_from(result).map_err(|_negative| io::Error::from_raw_os_error(-result))
    }
}

pub(crate) fn calls_by_pointer(folder: &Path) -> io::Result<()> {
    env::set_current_dir(folder)?;
    let mut page = Page::new()?;
    let (message, name) = (page.address(MESSAGE)?, page.address(NAME)?);
    let stream = page.call(SOCKET, &[UNIX, STREAM, 0])?;
    let length = page.name("stream")?;
    page.call(CONNECT, &[stream, name, length])?;
    let socket = page.call(SOCKET, &[UNIX, DGRAM, 0])?;
    let length = page.name("bound")?;
    page.call(BIND, &[socket, name, length])?;
    let length = page.name("sent to")?;
    page.call(SENDTO, &[socket, message, 0, 0, name, length])?;
    for (which, path) in [(SENDMSG, "message"), (SENDMMSG, "messages")] {
        let length = page.name(path)?;
        page.0[MESSAGE..][..2].copy_from_slice(&[name, length]);
        // The third one is flags, or how many messages there are.
        page.call(which, &[socket, message, u32::from(which == SENDMMSG), 0])?;
    }
    Ok(())
}

pub(crate) fn calls_by_pointer_are_told() -> Result<(), Failed> {
    let open = RefCell::new(Vec::<OwnedFd>::new());
    let told = act("calls_by_pointer", |folder| {
        let mut open = open.borrow_mut();
        open.push(UnixListener::bind(folder.join("stream"))?.into());
        for name in ["sent to", "message", "messages"] {
            open.push(UnixDatagram::bind(folder.join(name))?.into());
        }
        Ok(())
    })?;
    let both = Ways::READ | Ways::WRITE;
    let others = ["stream", "sent to", "message", "messages"].map(|name| (name, both));
    exactly(&told, &[&others[..], &[("bound", both | Ways::CREATE)]].concat())?;
    only(&told, [opened("stream"), opened("dgram")])
}
