//! The kernel's interface to AppArmor: files of securityfs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::{backend::Failure, layout::Layout};

/// The folder `apparmor` of securityfs.
#[derive(Debug)]
pub(super) struct Interface {
    folder: PathBuf,
    module: PathBuf,
}

impl Interface {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            folder: layout.at("/sys/kernel/security/apparmor"),
            module: layout.at("/sys/module/apparmor/parameters/enabled"),
        }
    }

    /// Why there are no AppArmor profiles on this node.
    pub(super) fn unavailable(&self) -> Option<String> {
        if self.folder.join("profiles").exists() {
            return None;
        }
        let enabled = std::fs::read_to_string(&self.module).unwrap_or_default();
        Some(if enabled.trim() == "Y" {
            "AppArmor is enabled in this node's kernel, but securityfs is not mounted".to_owned()
        } else {
            "AppArmor is not enabled in this node's kernel".to_owned()
        })
    }

    /// What the kernel can do, for the compiler.
    pub(super) fn features(&self) -> PathBuf {
        self.folder.join("features")
    }

    /// Which of these profiles are loaded, with the digest that the kernel has of each, where it keeps one.
    pub(super) fn loaded(&self, names: &BTreeSet<Box<str>>) -> BTreeMap<Box<str>, Option<String>> {
        let path = self.folder.join("profiles");
        let Ok(list) = std::fs::read_to_string(&path) else { return BTreeMap::new() };
        // Each line is `NAME (MODE)`.
        let loaded = list.lines().filter_map(|line| line.rsplit_once(" (").map(|(name, _)| name));
        let mut loaded: BTreeMap<Box<str>, Option<String>> =
            loaded.filter(|name| names.contains(*name)).map(|name| (name.into(), None)).collect();
        if !loaded.is_empty() {
            for (name, digest) in self.digests() {
                if let Some(entry) = loaded.get_mut(&*name) {
                    *entry = Some(digest);
                }
            }
        }
        loaded
    }

    /// The digest of each loaded profile: `policy/profiles/NAME.N/{name,sha1}` (`sha256` from 6.8 on).
    fn digests(&self) -> impl Iterator<Item = (String, String)> {
        let folder = self.folder.join("policy/profiles");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).ok();
            let digest = read("sha1").or_else(|| read("sha256"))?;
            Some((read("name")?.trim().to_owned(), digest.trim().to_owned()))
        })
    }

    /// Loads a compiled profile, over the one of its name.
    pub(super) fn replace(&self, name: &str, blob: &[u8]) -> Result<Option<String>, Failure> {
        write_once(&self.folder.join(".replace"), blob)?;
        let loaded = self.loaded(&[name.into()].into());
        let absent = || Failure::passing("the kernel took the profile, and does not list it");
        loaded.get(name).cloned().ok_or_else(absent)
    }

    /// Unloads a profile; one that is not loaded is gone as well.
    pub(super) fn remove(&self, name: &str) -> Result<(), Failure> {
        if self.loaded(&[name.into()].into()).contains_key(name) {
            write_once(&self.folder.join(".remove"), name.as_bytes())?;
        }
        Ok(())
    }
}

/// The kernel takes each `write` for a whole.
fn write_once(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
        let written = file.write(content)?;
        if written == content.len() { Ok(()) } else { Err(std::io::ErrorKind::WriteZero.into()) }
    };
    write().map_err(|error| Failure::passing(format!("cannot write {}: {error}", path.display())))
}
