//! Starts a command under a filter, and takes the filter's listener from it.
//!
//! Between the filter and its own program the command may make no call but the one that starts the program: it could be
//! one that the filter denies. So the two share their table of files until then, in which the kernel puts the listener, and
//! a page of memory, in which the command tells its number.

use std::{
    ffi::{CString, OsStr, OsString, c_char},
    io,
    os::{
        fd::{FromRawFd as _, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::Path,
    ptr,
    sync::atomic::{AtomicI32, Ordering},
    time::Duration,
};

use filter::Program;
use libc::{
    SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, sigset_t,
    sock_filter, sock_fprog,
};

/// How long is waited between two looks at the page; all in all it takes a fraction of a millisecond.
const LOOK: Duration = Duration::from_micros(50);

/// What a command runs under.
#[derive(Debug)]
pub(crate) struct Under<'a> {
    pub(crate) filter: &'a Program,
    /// Flags for the kernel, `SECCOMP_FILTER_FLAG_…`.
    pub(crate) flags: libc::c_ulong,
    /// Whether programs may gain privileges.
    pub(crate) privileges: bool,
}

/// A command that runs, or has failed to.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) process: u32,
    /// Where its calls are answered, or why they cannot be: then the filter itself answers. None when it has failed.
    pub(crate) listener: Option<Result<OwnedFd, io::Error>>,
    page: Page,
}

/// Why a command could not be started.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The filter could not be installed.
    Filter(io::Error),
    /// The program could not be executed.
    Program(io::Error),
}

impl Started {
    /// Why it has failed, once it has.
    pub(crate) fn failed(&self) -> Option<Failed> {
        let told = self.page.told();
        let error = || io::Error::from_raw_os_error(told.error.load(Ordering::Relaxed));
        match told.failed.load(Ordering::Acquire) {
            FILTER => Some(Failed::Filter(error())),
            PROGRAM => Some(Failed::Program(error())),
            _ => None,
        }
    }
}

/// What the command tells. All of it is 0 at first.
struct Told {
    /// The listener's number and 1, or [`NONE`].
    listener: AtomicI32,
    /// What has failed, and the error.
    failed: AtomicI32,
    error: AtomicI32,
}

const NONE: i32 = -1;
const FILTER: i32 = 1;
const PROGRAM: i32 = 2;

/// A page that is shared with the command.
#[derive(Debug)]
struct Page(ptr::NonNull<Told>);

impl Page {
    #[expect(unsafe_code, reason = "memory that is shared with another process is mapped")]
    fn new() -> io::Result<Self> {
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: it is new memory, full of zeros, which are valid numbers; a page is large and aligned enough.
        let page = unsafe { libc::mmap(ptr::null_mut(), size_of::<Told>(), access, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        ptr::NonNull::new(page.cast()).map(Self).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    #[expect(unsafe_code, reason = "the memory was mapped")]
    fn told(&self) -> &Told {
        // SAFETY: it is mapped until this is dropped, and changed by atomic operations alone.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Page {
    #[expect(unsafe_code, reason = "the memory was mapped")]
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and no reference outlives its owner.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Told>()) };
    }
}

/// An array of pointers to texts, as `execve` takes it.
struct Array {
    _texts: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Array {
    fn new<'a>(texts: impl IntoIterator<Item = &'a OsStr>) -> io::Result<Self> {
        let texts: Vec<_> = texts.into_iter().map(text).collect::<Result<_, _>>()?;
        let pointers = texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { _texts: texts, pointers })
    }
}

fn text(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

/// All that the command needs after it has begun: it may not even ask for memory.
struct Plan<'a> {
    file: CString,
    arguments: Array,
    /// For a file that is no program and does not name one: a script for the shell.
    script: Array,
    environment: Array,
    mask: &'a sigset_t,
    asking: Vec<sock_filter>,
    plain: Vec<sock_filter>,
    flags: libc::c_ulong,
    privileges: bool,
}

/// Starts a program of a file, with its arguments, the first of which is its name.
pub(crate) fn start(
    file: &Path,
    arguments: &[OsString],
    under: &Under<'_>,
    mask: &sigset_t,
) -> io::Result<Started> {
    let environment: Vec<OsString> = std::env::vars_os()
        .map(|(name, value)| OsString::from_vec([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect();
    let shell = [OsStr::new("/bin/sh"), file.as_os_str()];
    let rest = arguments.iter().skip(1).map(OsString::as_os_str);
    let plan = Plan {
        file: text(file.as_os_str())?,
        arguments: Array::new(arguments.iter().map(OsString::as_os_str))?,
        script: Array::new(shell.into_iter().chain(rest))?,
        environment: Array::new(environment.iter().map(OsString::as_os_str))?,
        mask,
        asking: instructions(&under.filter.asking()),
        plain: instructions(under.filter),
        flags: under.flags,
        privileges: under.privileges,
    };
    let page = Page::new()?;
    let process = begin(&plan, page.told())?;
    let number = await_listener(process, page.told());
    #[expect(unsafe_code, reason = "the kernel has given it to this process")]
    let listener = match number {
        // SAFETY: the kernel has put it into the common table, and nobody else here knows it.
        1.. => Some(Ok(unsafe { OwnedFd::from_raw_fd(number - 1) })),
        0 => None,
        _ => Some(Err(io::Error::from_raw_os_error(page.told().error.load(Ordering::Relaxed)))),
    };
    Ok(Started { process, listener, page })
}

fn instructions(program: &Program) -> Vec<sock_filter> {
    let bytes = program.bytes();
    let (all, _) = bytes.as_chunks::<8>();
    all.iter()
        .map(|&[a, b, jt, jf, k @ ..]| {
            let (code, k) = (u16::from_ne_bytes([a, b]), u32::from_ne_bytes(k));
            sock_filter { code, jt, jf, k }
        })
        .collect()
}

/// Begins the process. Its table of files is that of this process until it executes its program.
#[expect(unsafe_code, reason = "a process is made that shares its table of files")]
fn begin(plan: &Plan<'_>, told: &Told) -> io::Result<u32> {
    let flags = libc::CLONE_FILES | libc::SIGCHLD;
    #[cfg(target_arch = "s390x")]
    let (first, second) = (0, flags);
    #[cfg(not(target_arch = "s390x"))]
    let (first, second) = (flags, 0);
    // SAFETY: without a stack the process goes on with a copy of this one's memory, as after fork; this process has a
    // single thread, so no lock is held in the copy.
    let process = unsafe { libc::syscall(libc::SYS_clone, first, second, 0, 0, 0) };
    match process {
        0 => become_program(plan, told),
        1.. => Ok(u32::try_from(process).unwrap_or_default()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until the command has told of its listener, or has failed, or is gone.
fn await_listener(process: u32, told: &Told) -> i32 {
    loop {
        let number = told.listener.load(Ordering::Acquire);
        let failed = told.failed.load(Ordering::Acquire) != 0;
        if number != 0 || failed || is_over(process) {
            return told.listener.load(Ordering::Acquire);
        }
        std::thread::park_timeout(LOOK);
    }
}

/// Whether a child has ended; it can still be waited for.
fn is_over(process: u32) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    pid.is_none_or(|pid| !matches!(waitid(WaitId::Pid(pid), options), Ok(None)))
}

/// In the new process: puts the filter over itself, and executes the program.
#[expect(unsafe_code, reason = "system calls are made as they are")]
fn become_program(plan: &Plan<'_>, told: &Told) -> ! {
    // SAFETY: the calls set what the program finds, as for every program that is started.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // SAFETY: the call reads the set.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, plan.mask, ptr::null_mut()) };
    if !plan.privileges {
        // SAFETY: the call takes numbers.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    }
    match confine(plan) {
        Ok(listener) => told.listener.store(listener + 1, Ordering::Release),
        Err((FILTER, error)) => fail(told, FILTER, error),
        Err((_, error)) => {
            told.error.store(error, Ordering::Relaxed);
            told.listener.store(NONE, Ordering::Release);
        }
    }
    let environment = plan.environment.pointers.as_ptr();
    // SAFETY: all of them end as they must.
    unsafe { libc::execve(plan.file.as_ptr(), plan.arguments.pointers.as_ptr(), environment) };
    let mut error = errno();
    if error == libc::ENOEXEC {
        // SAFETY: likewise; the first of the arguments is the shell.
        unsafe { libc::execve(c"/bin/sh".as_ptr(), plan.script.pointers.as_ptr(), environment) };
        error = errno();
    }
    fail(told, PROGRAM, error)
}

/// Installs the filter, and gives its listener; without one, only the filter, and why. The first of a failure's numbers
/// is [`FILTER`] when there is no filter either.
fn confine(plan: &Plan<'_>) -> Result<i32, (i32, i32)> {
    let ask = plan.flags | SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // A call that waits is then interrupted by deadly signals alone, as if nobody were asked; from 5.19 on.
    let asked =
        install(&plan.asking, ask | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).or_else(|error| {
            if error == libc::EINVAL { install(&plan.asking, ask) } else { Err(error) }
        });
    asked.map_err(|error| match error {
        libc::EINVAL | libc::EBUSY => match install(&plan.plain, plan.flags) {
            Ok(_) => (NONE, error),
            Err(error) => (FILTER, error),
        },
        error => (FILTER, error),
    })
}

#[expect(unsafe_code, reason = "libseccomp, which could do it, cannot take a program as it is")]
fn install(filter: &[sock_filter], flags: libc::c_ulong) -> Result<i32, i32> {
    let program = sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(u16::MAX),
        filter: filter.as_ptr().cast_mut(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel reads the program, which is as long as it says (no longer than 4,096 instructions).
    let done = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    i32::try_from(done).ok().filter(|done| *done >= 0).ok_or_else(errno)
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or_default()
}

#[expect(unsafe_code, reason = "nothing of the process that was copied may run at its end")]
fn fail(told: &Told, what: i32, error: i32) -> ! {
    told.error.store(error, Ordering::Relaxed);
    told.failed.store(what, Ordering::Release);
    // SAFETY: the call does not return.
    unsafe { libc::_exit(127) }
}
