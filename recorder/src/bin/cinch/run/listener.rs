//! The listener of a filter (`seccomp_unotify(2)`): calls wait in the kernel until they are answered here.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
};

use filter::Call;
use libc::{
    SECCOMP_GET_NOTIF_SIZES, SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND,
    SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYS_seccomp, seccomp_notif, seccomp_notif_resp,
    seccomp_notif_sizes,
};

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` of `linux/seccomp.h`: from 6.6 on the kernel can hand over without going to
/// another processor.
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// Calls that wait for an answer.
#[derive(Debug)]
pub(crate) struct Listener {
    from: OwnedFd,
    /// As large as the kernel wants them, which may be larger than what is known here.
    question: Vec<u64>,
    answer: Vec<u64>,
}

/// One call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    id: u64,
    /// The thread, as it is numbered here.
    pub(crate) thread: u32,
    pub(crate) call: Call,
}

impl Listener {
    /// Of what the kernel gave for a filter.
    #[expect(unsafe_code, reason = "there is no other way to ask the kernel")]
    pub(crate) fn new(from: OwnedFd) -> io::Result<Self> {
        let mut sizes =
            seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
        // SAFETY: the call writes three numbers of 16 bits, for which there is room.
        let done =
            unsafe { libc::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call takes a number. Kernels that do not know it refuse it, and nothing is lost.
        unsafe { libc::ioctl(from.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        let room = |kernel: u16, known: usize| vec![0; usize::from(kernel).max(known).div_ceil(8)];
        Ok(Self {
            from,
            question: room(sizes.seccomp_notif, size_of::<seccomp_notif>()),
            answer: room(sizes.seccomp_notif_resp, size_of::<seccomp_notif_resp>()),
        })
    }

    /// Takes a call that waits; none when it has not waited for it.
    #[expect(unsafe_code, reason = "there is no other way to ask the kernel")]
    pub(crate) fn next(&mut self) -> io::Result<Option<Waiting>> {
        // The kernel wants to find nothing in it.
        self.question.fill(0);
        let question = self.question.as_mut_ptr();
        // SAFETY: the kernel writes as much as it said, for which there is room.
        let got = unsafe { libc::ioctl(self.from.as_raw_fd(), SECCOMP_IOCTL_NOTIF_RECV, question) };
        if got != 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                // It was interrupted, or its thread is gone.
                Some(libc::ENOENT | libc::EINTR | libc::EAGAIN) => Ok(None),
                _ => Err(error),
            };
        }
        // SAFETY: it is large enough, aligned to 8 bytes, and any bytes are such numbers.
        let seccomp_notif { id, pid, data, .. } =
            unsafe { question.cast::<seccomp_notif>().read() };
        let call = Call {
            number: data.nr.cast_unsigned(),
            arch: data.arch,
            instruction_pointer: data.instruction_pointer,
            args: data.args,
        };
        Ok(Some(Waiting { id, thread: pid, call }))
    }

    /// Answers a call with an error number (0: as if it had succeeded), or, without one, has it made. False when nobody
    /// waits for the answer any more.
    #[expect(unsafe_code, reason = "there is no other way to tell the kernel")]
    pub(crate) fn answer(&mut self, to: &Waiting, errno: Option<u32>) -> io::Result<bool> {
        self.answer.fill(0);
        let answer = self.answer.as_mut_ptr();
        let error = -errno.unwrap_or_default().cast_signed();
        let flags = if errno.is_none() { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE } else { 0 };
        let flags = u32::try_from(flags).unwrap_or_default();
        let text = seccomp_notif_resp { id: to.id, val: 0, error, flags };
        // SAFETY: it is large enough and aligned to 8 bytes.
        unsafe { answer.cast::<seccomp_notif_resp>().write(text) };
        // SAFETY: the kernel reads as much as it said, which is there.
        let sent = unsafe { libc::ioctl(self.from.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SEND, answer) };
        if sent == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOENT) => Ok(false),
            _ => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.from.as_fd()
    }
}
