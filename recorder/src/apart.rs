//! Starts a command in a mount namespace of its own, by which the kernel tells its calls from all others.

use std::{
    io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command},
};

/// The inode of the first PID namespace, `PROC_PID_INIT_INO` of the kernel's `linux/proc_fs.h`.
const FIRST: u64 = 0xefff_fffc;

/// Whom a command runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user: u32,
    pub group: u32,
    /// The other groups of the user.
    pub groups: Vec<u32>,
}

/// Starts the command. What is mounted stays as it is, also for what is mounted later.
pub fn start(command: &mut Command) -> io::Result<Child> {
    start_as(command, None)
}

/// Starts the command as somebody else.
#[expect(
    unsafe_code,
    reason = "the namespace must be made between fork and exec, and before the user changes"
)]
pub fn start_as(command: &mut Command, identity: Option<Identity>) -> io::Result<Child> {
    let leave = move || {
        // SAFETY: the call takes a number and concerns the calling thread alone.
        done(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        let Some(Identity { user, group, groups }) = &identity else { return Ok(()) };
        // SAFETY: the call reads as many groups as there are.
        done(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
        // SAFETY: the call takes numbers.
        done(unsafe { libc::setresgid(*group, *group, *group) })?;
        // SAFETY: likewise; it comes last, since it takes away the right to the others.
        done(unsafe { libc::setresuid(*user, *user, *user) })
    };
    // SAFETY: the closure makes system calls; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(leave) };
    command.spawn()
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The inode of the mount namespace of a process; another one may have it when the namespace is gone.
pub fn namespace(process: u32) -> io::Result<u64> {
    Ok(std::fs::metadata(format!("/proc/{process}/ns/mnt"))?.ino())
}

/// The PID namespace whose numbers this process knows others by, by its inode; 0 for the first one, in which the kernel
/// counts, and where nobody can tell.
pub(crate) fn counts_in() -> u32 {
    let inode = std::fs::metadata("/proc/self/ns/pid").map_or(FIRST, |namespace| namespace.ino());
    if inode == FIRST { 0 } else { u32::try_from(inode).unwrap_or_default() }
}

/// The mount namespace of the first process that this one can see.
pub fn first_namespace() -> io::Result<u64> {
    // A kernel thread is always there, also where the first process may not be looked at.
    let thread = if counts_in() == 0 { 2 } else { 1 };
    namespace(thread).or_else(|_| namespace(1))
}

/// The processes in a mount namespace.
pub fn processes(inode: u64) -> Vec<u32> {
    let entries = std::fs::read_dir(Path::new("/proc")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process| namespace(*process).is_ok_and(|of| of == inode))
        .collect()
}
