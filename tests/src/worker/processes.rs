//! What runs on the machine, of all that runs on this one.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};

/// A process of the machine.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// Its control group, from the root of the machine's.
    group: String,
    arguments: Vec<String>,
}

impl Process {
    /// All that are there now.
    pub(super) fn all() -> Vec<Self> {
        let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
        folders.filter_map(|folder| Self::read(&folder.path())).collect()
    }

    fn read(folder: &Path) -> Option<Self> {
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        let groups = fs::read_to_string(folder.join("cgroup")).ok()?;
        let group = groups.lines().next()?.splitn(3, ':').nth(2)?.to_owned();
        // Those of others are above the root.
        if group.starts_with("/..") {
            return None;
        }
        let arguments = fs::read_to_string(folder.join("cmdline")).ok()?;
        let arguments = arguments.split_terminator('\0').map(str::to_owned).collect();
        Some(Self { pid: Pid::from_raw(pid)?, group, arguments })
    }

    /// Whether it was started with these words first.
    pub(super) fn begins_with(&self, words: &[&str]) -> bool {
        words.len() <= self.arguments.len()
            && words.iter().zip(&self.arguments).all(|(word, argument)| word == argument)
    }

    /// Whether it is of a pod, or sees to the containers of one.
    pub(super) fn is_of_pods(&self) -> bool {
        let program = self.arguments.first().map(String::as_str).unwrap_or_default();
        self.group.starts_with("/kubepods") || program.ends_with("/containerd-shim-runc-v2")
    }

    /// How many KiB it has in memory.
    pub(super) fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    pub(super) fn send(&self, signal: Signal) {
        // It may have ended meanwhile.
        kill_process(self.pid, signal).unwrap_or_default();
    }
}
