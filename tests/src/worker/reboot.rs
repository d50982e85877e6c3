//! What is gone after a node was switched off: processes, mounts, network, and what was in memory alone.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::Signal,
};
use tokio::process::Command;

use crate::{until::until, worker::processes::Process};

const LIMIT: Duration = Duration::from_mins(1);
/// What mounts for pods are below, and what is in memory alone.
const GONE: &[&str] = &["/run", "/var/lib/kubelet", "/sys/fs/bpf"];

/// Takes it away. Nothing may start pods meanwhile.
pub(super) async fn forget(busybox: &std::path::Path) -> Result<()> {
    until("no pod has a process", LIMIT, async || {
        let left: Vec<_> = Process::all().into_iter().filter(Process::is_of_pods).collect();
        for process in &left {
            process.send(Signal::KILL);
        }
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let at = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
    let is_gone = |at: &&str| GONE.iter().any(|gone| at.starts_with(gone));
    for at in at.filter(is_gone) {
        // Mounts of others may be on it, which go with it.
        unmount(at, UnmountFlags::DETACH).unwrap_or_default();
    }
    for (kind, at) in [("tmpfs", "/run"), ("bpf", "/sys/fs/bpf")] {
        mount(kind, at, kind, MountFlags::empty(), None).with_context(|| format!("no {at}"))?;
    }
    // Its pods are gone, and the interface with the network of each.
    let mut command = Command::new(busybox);
    command.args(["ip", "link", "delete", "pods"]).status().await?;
    Ok(())
}
