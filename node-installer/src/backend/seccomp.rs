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

pub mod compile;

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

    fn install(&self, texts: &BTreeMap<Box<str>, String>) -> Installed {
        let mut results = Installed::new();
        let mut files = Vec::new();
        for (name, text) in texts {
            match compile::check(text) {
                Ok(()) => files.push((name, file_name(name), text)),
                Err(error) => {
                    let failure = Failure::refused(daemon::error::chain(&error));
                    results.insert(name.clone(), Err(failure));
                }
            }
        }
        let written = Folder::make(&self.folder).map(|folder| {
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
        let folder = Folder::open(&self.folder)?;
        let mut found = BTreeMap::new();
        for name in names {
            let file = match &folder {
                Some(folder) => folder.look(&file_name(name), &mut self.seen)?,
                None => File::Absent,
            };
            let there = Found { file, kernel: Kernel::NotAsked, taken: None, adoptable: false };
            found.insert(name.clone(), there);
        }
        Ok(found)
    }

    fn adoptable(&self, name: &str, text: &str) -> bool {
        let read = || -> Option<Filter> {
            let there = Folder::open(&self.folder).ok()??.read(&file_name(name)).ok()?;
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
            let folder = Folder::open(&self.folder);
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
        vec![self.folder.clone()]
    }

    fn watched(&self) -> Vec<PathBuf> {
        vec![self.folder.clone()]
    }
}

fn file_name(name: &str) -> String {
    format!("{name}.json")
}
