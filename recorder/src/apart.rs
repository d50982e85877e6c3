//! Starts a command in a mount namespace of its own, by which the kernel tells its calls from all others.

use std::{
    io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command},
};

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

/// The processes in a mount namespace.
pub fn processes(inode: u64) -> Vec<u32> {
    let entries = std::fs::read_dir(Path::new("/proc")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process| namespace(*process).is_ok_and(|of| of == inode))
        .collect()
}
