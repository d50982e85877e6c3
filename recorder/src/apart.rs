//! Starts a command in a mount namespace of its own, by which the kernel tells its calls from all others.

use std::{
    io,
    os::unix::process::CommandExt as _,
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

/// The mount namespace of a process, as the kernel shows it; it may be used again when the namespace is gone.
pub fn namespace(process: u32) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/{process}/ns/mnt")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// The processes in a mount namespace.
pub fn processes(namespace_of: &str) -> Vec<u32> {
    let entries = std::fs::read_dir(Path::new("/proc")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process| namespace(*process).as_deref() == Some(namespace_of))
        .collect()
}
