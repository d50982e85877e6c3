//! AppArmor profiles: a source that the node loads when it starts, and the profile in the kernel.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use profile::mechanism::Mechanism;

use super::{Backend, Change, Changed, Failure, program::Program};
use crate::{
    artifact::MARKER,
    disk::{File, Folder, Seen},
    layout::Layout,
    plan::{Found, Kernel},
};
use kernel::Interface;

mod kernel;

/// The sources and the kernel's profiles.
#[derive(Debug)]
pub struct Apparmor {
    layout: Layout,
    folder: PathBuf,
    kernel: Interface,
    seen: Seen,
}

impl Apparmor {
    /// The AppArmor profiles of a node.
    pub fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            folder: layout.apparmor(),
            kernel: Interface::new(layout),
            seen: Seen::default(),
        }
    }

    /// Compiles first, then puts the source in its place, then loads: whatever is interrupted leaves a source that
    /// compiles.
    fn install(&self, name: &str, text: &str) -> Result<Option<String>, Failure> {
        let parser = Program::find(self.layout.root(), "apparmor_parser")
            .ok_or_else(|| Failure::passing("apparmor_parser is not installed on this node"))?;
        let mut arguments: Vec<std::ffi::OsString> = ["-Q", "-K", "-S"].map(Into::into).to_vec();
        // The program may run in the node's root, where the path is another one.
        let features = self.kernel.features();
        let features =
            if parser.runs_in_root() { self.layout.on_node(&features) } else { features };
        arguments.push("-M".into());
        arguments.push(features.into());
        let blob = parser.run(arguments, text.as_bytes())?;
        let folder = Folder::make(&self.folder)?;
        let written = folder.replace(&[(&file_name(name), text.as_bytes())]);
        written.into_iter().collect::<Result<(), _>>()?;
        self.kernel.replace(name, &blob)
    }

    fn remove(&self, name: &str) -> Result<(), Failure> {
        self.kernel.remove(name)?;
        let folder = Folder::open(&self.folder)?;
        Ok(folder.map_or(Ok(()), |folder| folder.remove(&file_name(name)))?)
    }
}

impl Backend for Apparmor {
    fn mechanism(&self) -> Mechanism {
        Mechanism::Apparmor
    }

    fn unavailable(&self) -> Option<String> {
        self.kernel.unavailable()
    }

    fn observe(
        &mut self,
        names: &BTreeSet<Box<str>>,
    ) -> Result<BTreeMap<Box<str>, Found>, Failure> {
        let folder = Folder::open(&self.folder)?;
        let loaded = self.kernel.loaded(names);
        let mut found = BTreeMap::new();
        for name in names {
            let file = match &folder {
                Some(folder) => self.seen.look(folder, &file_name(name)),
                None => Ok(File::Absent),
            };
            let kernel = match loaded.get(name) {
                None => Kernel::Absent,
                Some(fingerprint) => Kernel::Loaded(fingerprint.clone()),
            };
            let there = match file {
                Ok(file) => Found::new(file, kernel),
                Err(error) => Found::hidden(&error),
            };
            found.insert(name.clone(), there);
        }
        Ok(found)
    }

    /// A source with the marker is ours, and so is what the node has loaded from it.
    fn adoptable(&self, name: &str, _text: &str) -> bool {
        let read = || Folder::open(&self.folder).ok()??.read(&file_name(name)).ok();
        read().is_some_and(|text| text.starts_with(MARKER.as_bytes()))
    }

    fn change(&mut self, change: &Change) -> Changed {
        let mut changed = Changed::default();
        for (name, text) in &change.install {
            changed.installed.insert(name.clone(), self.install(name, text));
        }
        for name in &change.remove {
            changed.removed.insert(name.clone(), self.remove(name));
        }
        changed
    }

    fn running(&self) -> BTreeSet<Box<str>> {
        super::processes::labels(&self.layout, "attr/apparmor/current")
            .into_iter()
            .chain(super::processes::labels(&self.layout, "attr/current"))
            // `NAME (enforce)`, and `NAME//child` for what it has started.
            .filter_map(|label| Some(label.split([' ', '/']).next()?.into()))
            .collect()
    }

    fn place(&self, name: &str) -> String {
        self.layout.on_node(&self.folder.join(file_name(name))).display().to_string()
    }

    fn needed(&self) -> Vec<PathBuf> {
        if self.unavailable().is_some() { Vec::new() } else { vec![self.folder.clone()] }
    }

    fn watched(&self) -> Vec<PathBuf> {
        vec![self.folder.clone()]
    }
}

fn file_name(name: &str) -> String {
    format!("cinch.{name}")
}
