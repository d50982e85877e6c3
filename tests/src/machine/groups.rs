//! The control groups of a machine: one in each hierarchy, the root of all that is made inside.

use std::{
    fs,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

const PREFIX: &str = "cinch-machine-";
/// What has been killed needs a moment to go.
const LIMIT: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(20);
/// The file that has which controllers a group of version 2 offers to those below.
const OFFERED: &str = "cgroup.subtree_control";

/// They are taken away by [`Groups::end`].
#[derive(Debug, Default)]
pub(super) struct Groups {
    folders: Vec<PathBuf>,
    /// What the hierarchy did not offer to groups before: where, and which controllers.
    offered: Vec<(PathBuf, String)>,
}

impl Groups {
    /// Makes them, named after this process.
    pub(super) fn new() -> Result<Self> {
        let mut groups = Self::default();
        for Hierarchy { root, alone } in hierarchies()? {
            let folder = root.join(format!("{PREFIX}{}", process::id()));
            fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            groups.folders.push(folder.clone());
            if alone {
                groups.offered.extend(offer_all(&root).map(|name| (root.clone(), name)));
            } else {
                take_over(&root, &folder, "cpuset.cpus");
                take_over(&root, &folder, "cpuset.mems");
            }
        }
        Ok(groups)
    }

    /// Their folders, for a shell.
    pub(super) fn list(&self) -> String {
        let folders = self.folders.iter().map(|folder| folder.display().to_string());
        folders.collect::<Vec<_>>().join(" ")
    }

    /// Kills all processes in them, and takes them away.
    pub(super) fn end(&self) -> Result<()> {
        let end = Instant::now() + LIMIT;
        while self.folders.iter().filter(|folder| !remove(folder)).count() > 0 {
            if Instant::now() > end {
                bail!("cannot end all that runs in {}", self.list());
            }
            self.folders.iter().for_each(|folder| kill(folder));
            while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
            thread::park_timeout(LOOK);
        }
        for (root, name) in &self.offered {
            // Somebody else may need it by now.
            fs::write(root.join(OFFERED), format!("-{name}")).unwrap_or_default();
        }
        Ok(())
    }
}

/// Ends what a keeper has left that was killed itself.
pub(super) fn sweep() -> Result<()> {
    let mut left = Groups::default();
    for Hierarchy { root, .. } in hierarchies()? {
        for group in folders(&root) {
            let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let keeper = name.strip_prefix(PREFIX).map(|pid| Path::new("/proc").join(pid));
            if keeper.is_some_and(|keeper| !keeper.exists()) {
                left.folders.push(group);
            }
        }
    }
    left.end()
}

/// Where the machine's groups go in a hierarchy.
struct Hierarchy {
    root: PathBuf,
    /// There is no other one: version 2.
    alone: bool,
}

/// All that are mounted: of version 1 beside the group of this process, whose limits count; of version 2 at the top, as a
/// group with processes has no others with controllers below.
fn hierarchies() -> Result<Vec<Hierarchy>> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut all = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let mounted = mounts.lines().find_map(|mount| {
            let fields: Vec<&str> = mount.split(' ').collect();
            let [_, at, kind, options, ..] = fields[..] else { return None };
            let has = |name| options.split(',').any(|option| option == name);
            let same = match kind {
                "cgroup" => !names.is_empty() && names.split(',').all(has),
                "cgroup2" => names.is_empty(),
                _ => false,
            };
            same.then(|| PathBuf::from(at))
        });
        let Some(mounted) = mounted else { continue };
        let below = mounted.join(path.trim_start_matches('/'));
        let second = names.is_empty();
        let root = if second || !below.is_dir() { mounted } else { below };
        all.push(Hierarchy { root, alone: false });
    }
    if let [only] = &mut all[..] {
        only.alone = true;
    }
    Ok(all)
}

/// A group of this controller takes in nobody before that is said.
fn take_over(parent: &Path, group: &Path, name: &str) {
    if let Ok(value) = fs::read_to_string(parent.join(name)) {
        fs::write(group.join(name), value).unwrap_or_default();
    }
}

/// Has all controllers that there are offered to groups, as they are on most machines; tells which were not.
fn offer_all(root: &Path) -> impl Iterator<Item = String> {
    let there = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    let offered = fs::read_to_string(root.join(OFFERED)).unwrap_or_default();
    let is_new = |name: &&str| !offered.split_whitespace().any(|known| known == *name);
    let new: Vec<_> = there.split_whitespace().filter(is_new).map(str::to_owned).collect();
    let offer = |name: &String| fs::write(root.join(OFFERED), format!("+{name}")).is_ok();
    new.into_iter().filter(offer).collect::<Vec<_>>().into_iter()
}

fn kill(group: &Path) {
    for below in folders(group) {
        kill(&below);
    }
    let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        // It may have ended meanwhile.
        kill_process(pid, Signal::KILL).unwrap_or_default();
    }
}

/// Takes a group away that has no process; tells whether it is gone, with all below.
pub(crate) fn remove(group: &Path) -> bool {
    folders(group).iter().all(|below| remove(below)) && fs::remove_dir(group).is_ok()
        || !group.exists()
}

fn folders(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
