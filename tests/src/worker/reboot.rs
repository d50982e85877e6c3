//! What is gone after a node was switched off: processes, their control groups, mounts, network, and what was in memory alone.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::Signal,
};
use tokio::process::Command;

use crate::{machine::remove_group, until::until, worker::processes::Process};

const LIMIT: Duration = Duration::from_mins(1);
/// What mounts for pods are below, and what is in memory alone.
const GONE: &[&str] = &["/run", "/var/lib/kubelet", "/sys/fs/bpf"];

/// Takes it away. Nothing may start pods meanwhile.
pub(super) async fn forget(busybox: &Path) -> Result<()> {
    until("no pod has a process", LIMIT, async || {
        let left: Vec<_> = Process::all().into_iter().filter(Process::is_of_pods).collect();
        for process in &left {
            process.send(Signal::KILL);
        }
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    // A kubelet that finds groups of containers that are gone waits three seconds for each.
    until("no pod has a control group", LIMIT, async || {
        Ok(groups().iter().all(|group| remove_group(group)).then_some(()))
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

/// The group of all pods, in each hierarchy.
fn groups() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let folders = fs::read_dir(root).into_iter().flatten().flatten().map(|folder| folder.path());
    folders.chain([root.to_owned()]).map(|folder| folder.join("kubepods")).collect()
}
