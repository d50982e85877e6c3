//! Seccomp profiles: files that a runtime reads when a container starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use profile::{mechanism::Mechanism, render::seccomp::Filter};

use super::{Backend, Change, Changed, Failure};
use crate::{
    disk::{File, Folder, Seen},
    layout::Layout,
    plan::{Found, Kernel},
};

/// The folder of seccomp profiles.
#[derive(Debug)]
pub struct Seccomp {
    layout: Layout,
    folder: PathBuf,
    seen: Seen,
}

impl Seccomp {
    /// The seccomp profiles of a node.
    pub fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), folder: layout.seccomp(), seen: Seen::default() }
    }

    /// The folder itself. The operator that these profiles are compatible with leaves a link to its state in this place:
    /// that one link is followed, so that pods which started under its profiles can start again.
    fn folder(&self) -> PathBuf {
        let former = std::fs::read_link(&self.folder)
            .is_ok_and(|target| target == self.layout.on_node(&self.layout.state()));
        if former { self.layout.state() } else { self.folder.clone() }
    }

    fn install(&self, texts: &BTreeMap<Box<str>, String>) -> Installed {
        let mut results = Installed::new();
        let mut files = Vec::new();
        for (name, text) in texts {
            match filter::check(text) {
                Ok(()) => files.push((name, file_name(name), text)),
                Err(error) => {
                    let failure = Failure::refused(daemon::error::chain(&error));
                    results.insert(name.clone(), Err(failure));
                }
            }
        }
        let written = Folder::make(&self.folder()).map(|folder| {
            let content = files.iter().map(|(_, file, text)| (&**file, text.as_bytes()));
            folder.replace(&content.collect::<Vec<_>>())
        });
        match written {
            Ok(written) => {
                for ((name, ..), result) in files.iter().zip(written) {
                    results.insert((*name).clone(), result.map(|()| None).map_err(Failure::from));
                }
            }
            Err(error) => {
                let failure = Failure::from(error);
                let failed = files.iter().map(|(name, ..)| ((*name).clone(), Err(failure.clone())));
                results.extend(failed);
            }
        }
        results
    }
}

type Installed = BTreeMap<Box<str>, Result<Option<String>, Failure>>;

impl Backend for Seccomp {
    fn mechanism(&self) -> Mechanism {
        Mechanism::Seccomp
    }

    fn unavailable(&self) -> Option<String> {
        None
    }

    fn observe(
        &mut self,
        names: &BTreeSet<Box<str>>,
    ) -> Result<BTreeMap<Box<str>, Found>, Failure> {
        let folder = Folder::open(&self.folder())?;
        let mut found = BTreeMap::new();
        for name in names {
            let file = match &folder {
                Some(folder) => self.seen.look(folder, &file_name(name)),
                None => Ok(File::Absent),
            };
            let there = match file {
                Ok(file) => Found::new(file, Kernel::NotAsked),
                Err(error) => Found::hidden(&error),
            };
            found.insert(name.clone(), there);
        }
        Ok(found)
    }

    fn adoptable(&self, name: &str, text: &str) -> bool {
        let read = || -> Option<Filter> {
            let there = Folder::open(&self.folder()).ok()??.read(&file_name(name)).ok()?;
            serde_json::from_slice(&there).ok()
        };
        let ours = serde_json::from_str::<Filter>(text).ok();
        ours.is_some() && read() == ours
    }

    fn change(&mut self, change: &Change) -> Changed {
        let mut changed = Changed::default();
        if !change.install.is_empty() {
            changed.installed = self.install(&change.install);
        }
        if !change.remove.is_empty() {
            let folder = Folder::open(&self.folder());
            for name in &change.remove {
                let result = match &folder {
                    Ok(Some(folder)) => folder.remove(&file_name(name)).map_err(Failure::from),
                    Ok(None) => Ok(()),
                    Err(error) => Err(Failure::passing(daemon::error::chain(error))),
                };
                changed.removed.insert(name.clone(), result);
            }
        }
        changed
    }

    /// A filter has no name in the kernel: only pods tell.
    fn running(&self) -> BTreeSet<Box<str>> {
        BTreeSet::new()
    }

    fn place(&self, name: &str) -> String {
        self.layout.on_node(&self.folder.join(file_name(name))).display().to_string()
    }

    fn needed(&self) -> Vec<PathBuf> {
        vec![self.folder()]
    }

    fn watched(&self) -> Vec<PathBuf> {
        vec![self.folder()]
    }
}

fn file_name(name: &str) -> String {
    format!("{name}.json")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, path::Path};

    use super::*;

    const FILTER: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#;

    fn node() -> (tempfile::TempDir, Layout, Seccomp) {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path(), Path::new("/var/lib/kubelet"));
        std::fs::create_dir_all(layout.state()).unwrap();
        std::fs::create_dir_all(layout.seccomp().parent().unwrap()).unwrap();
        let seccomp = Seccomp::new(&layout);
        (root, layout, seccomp)
    }

    fn install(seccomp: &mut Seccomp) -> Result<Option<String>, Failure> {
        let install = [("a".into(), FILTER.to_owned())].into();
        let change = Change { install, ..Change::default() };
        seccomp.change(&change).installed.remove("a").unwrap()
    }

    #[test]
    fn the_link_of_the_former_operator_is_followed() {
        let (_root, layout, mut seccomp) = node();
        symlink("/var/lib/security-profiles-operator", layout.seccomp()).unwrap();
        std::fs::write(layout.state().join("theirs.json"), "{}").unwrap();
        install(&mut seccomp).unwrap();
        assert_eq!(std::fs::read_to_string(layout.state().join("a.json")).unwrap(), FILTER);
        let found = seccomp.observe(&["theirs".into()].into()).unwrap();
        assert!(matches!(found["theirs"].file, File::Content(_)));
    }

    #[test]
    fn another_link_is_not_followed() {
        let (root, layout, mut seccomp) = node();
        std::fs::create_dir(root.path().join("elsewhere")).unwrap();
        symlink(root.path().join("elsewhere"), layout.seccomp()).unwrap();
        let failure = install(&mut seccomp).unwrap_err();
        assert!(failure.message.ends_with("links are not followed"), "{failure}");
        assert_eq!(std::fs::read_dir(root.path().join("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_means_the_same_can_be_taken_over() {
        let (_root, layout, seccomp) = node();
        std::fs::create_dir(layout.seccomp()).unwrap();
        let file = layout.seccomp().join("a.json");
        std::fs::write(&file, "{ \"syscalls\": [], \"defaultAction\": \"SCMP_ACT_ALLOW\" }")
            .unwrap();
        assert!(seccomp.adoptable("a", FILTER));
        std::fs::write(&file, r#"{"defaultAction":"SCMP_ACT_LOG"}"#).unwrap();
        assert!(!seccomp.adoptable("a", FILTER));
    }
}
