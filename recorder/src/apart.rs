//! Starts a command in a mount namespace of its own, by which the kernel tells its calls from all others.

use std::{
    io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command},
};

/// Starts the command. What is mounted stays as it is, also for what is mounted later.
#[expect(unsafe_code, reason = "the namespace must be made between fork and exec")]
pub fn start(command: &mut Command) -> io::Result<Child> {
    let unshare = || {
        // SAFETY: the call takes a number and concerns the calling thread alone.
        match unsafe { libc::unshare(libc::CLONE_NEWNS) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes one system call; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(unshare) };
    command.spawn()
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
