//! The module store: `/var/lib/selinux/TYPE/active/modules/PRIORITY/NAME/cil`.

use std::{collections::HashMap, io::Read as _, path::PathBuf, sync::Mutex};

use crate::{
    artifact::Digest,
    backend::Failure,
    disk::{DiskError, File, Folder, Seen},
    layout::Layout,
};

/// The priority of our modules.
pub(super) const PRIORITY: &str = "400";

/// One type of policy, such as `targeted`.
#[derive(Debug)]
pub(super) struct Store {
    modules: Option<PathBuf>,
    seen: Mutex<HashMap<Box<str>, Seen>>,
}

impl Store {
    /// The store of the policy that `/etc/selinux/config` names.
    pub(super) fn new(layout: &Layout) -> Self {
        let config = std::fs::read_to_string(layout.at("/etc/selinux/config")).unwrap_or_default();
        let policy = config.lines().find_map(|line| line.trim().strip_prefix("SELINUXTYPE="));
        // It becomes part of a path.
        let policy = policy.map(|policy| policy.trim().trim_matches('"')).filter(|policy| {
            policy.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
        let modules = policy
            .filter(|policy| !policy.is_empty())
            .map(|policy| layout.at("/var/lib/selinux").join(policy).join("active/modules"));
        Self { modules, seen: Mutex::default() }
    }

    /// Why nothing can be installed.
    pub(super) fn unavailable(&self) -> Option<String> {
        match &self.modules {
            None => Some("/etc/selinux/config of this node names no SELINUXTYPE".to_owned()),
            Some(modules) if !modules.is_dir() => {
                Some(format!("this node has no module store at {}", modules.display()))
            }
            Some(_) => None,
        }
    }

    /// The folder of a module of ours.
    pub(super) fn module(&self, name: &str) -> PathBuf {
        self.modules.clone().unwrap_or_default().join(PRIORITY).join(name)
    }

    /// What the store has under a name, as it was before it was compressed.
    pub(super) fn look(&self, name: &str) -> Result<File, Failure> {
        let Some(folder) = Folder::open(&self.module(name))? else { return Ok(File::Absent) };
        let mut all_seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let seen = all_seen.entry(name.into()).or_default();
        let file = seen.look_through(&folder, "cil", |text| Digest::of(&unpacked(text)));
        drop(all_seen);
        Ok(file?)
    }

    /// The text of a module.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, DiskError> {
        let folder = Folder::open(&self.module(name))?;
        Ok(folder.map(|folder| folder.read("cil")).transpose()?.map(unpacked).unwrap_or_default())
    }

    /// Another priority at which there is a module of this name: it is not ours.
    pub(super) fn other_priority(&self, name: &str) -> Option<String> {
        let entries = std::fs::read_dir(self.modules.as_ref()?).ok()?.flatten();
        let priorities = entries.filter_map(|entry| entry.file_name().into_string().ok());
        priorities.filter(|priority| priority != PRIORITY && priority != "disabled").find(
            |priority| {
                self.modules
                    .as_ref()
                    .is_some_and(|modules| modules.join(priority).join(name).is_dir())
            },
        )
    }
}

/// The store compresses texts, unless it is told not to.
fn unpacked(text: Vec<u8>) -> Vec<u8> {
    let mut unpacked = Vec::new();
    match bzip2::read::MultiBzDecoder::new(&*text).read_to_end(&mut unpacked) {
        Ok(_) => unpacked,
        Err(_not_compressed) => text,
    }
}
