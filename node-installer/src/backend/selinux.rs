//! SELinux modules: the module store of the node, and the policy that the kernel has of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::PathBuf,
};

use profile::mechanism::Mechanism;

use super::{Backend, Change, Changed, Failure, program::Program};
use crate::{
    disk::{File, Folder},
    layout::Layout,
    plan::Found,
};
use kernel::Interface;
use store::{PRIORITY, Store};

mod kernel;
mod store;

/// Parts of what `semodule` says when it is not the module's fault.
const PASSING: [&str; 7] = [
    "No space left",
    "Read-only file system",
    "Resource temporarily unavailable",
    "Cannot allocate memory",
    "Permission denied",
    "Input/output error",
    "Disk quota exceeded",
];

/// The module store and the kernel's policy.
#[derive(Debug)]
pub struct Selinux {
    layout: Layout,
    store: Store,
    kernel: Interface,
}

type Texts = BTreeMap<Box<str>, String>;

impl Selinux {
    /// The SELinux modules of a node.
    pub fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), store: Store::new(layout), kernel: Interface::new(layout) }
    }

    /// One transaction: all of it or nothing.
    fn commit(&self, install: &Texts, remove: &BTreeSet<Box<str>>) -> Result<(), Failure> {
        let semodule = Program::find(self.layout.root(), "semodule")
            .ok_or_else(|| Failure::passing("semodule is not installed on this node"))?;
        let folder = self.layout.state().join("modules");
        let modules = Folder::make(&folder)?;
        let files: Vec<_> =
            install.iter().map(|(name, text)| (format!("{name}.cil"), text.as_bytes())).collect();
        let files: Vec<_> = files.iter().map(|(file, text)| (&**file, *text)).collect();
        let written: Result<Vec<_>, _> = modules.replace(&files).into_iter().collect();
        let done = written.map_err(Failure::from).and_then(|_| {
            let mut arguments: Vec<OsString> = vec!["-X".into(), PRIORITY.into()];
            if !semodule.runs_in_root() && self.layout.root() != std::path::Path::new("/") {
                arguments.extend(["-n".into(), "-p".into(), self.layout.root().into()]);
            }
            for (file, _) in &files {
                let path = folder.join(file);
                let path = if semodule.runs_in_root() { self.layout.on_node(&path) } else { path };
                arguments.extend(["-i".into(), path.into()]);
            }
            for name in remove {
                arguments.extend(["-r".into(), OsString::from(&**name)]);
            }
            semodule.run(arguments, b"")
        });
        for (file, _) in &files {
            modules.remove(file)?;
        }
        match done {
            Ok(_) => Ok(()),
            Err(failure) if PASSING.iter().any(|text| failure.message.contains(text)) => {
                Err(Failure { refused: false, ..failure })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Installs what can be: a module that is refused is left out, and the others are tried again.
    fn install(
        &self,
        mut texts: Texts,
        remove: &BTreeSet<Box<str>>,
        changed: &mut Changed,
    ) -> bool {
        let mut removed = false;
        while !texts.is_empty() {
            let failure = match self.commit(&texts, remove) {
                Ok(()) => {
                    changed.installed.extend(texts.into_keys().map(|name| (name, Ok(None))));
                    removed = true;
                    break;
                }
                Err(failure) => failure,
            };
            let blamed: Vec<_> =
                texts.keys().filter(|name| blames(&failure.message, name)).cloned().collect();
            if !failure.refused || texts.len() == 1 {
                let failed = texts.into_keys().map(|name| (name, Err(failure.clone())));
                changed.installed.extend(failed);
                break;
            }
            if blamed.is_empty() {
                // Nobody is named: each half is tried alone, until what is at fault is.
                let middle = texts.keys().nth(texts.len() / 2).cloned().unwrap_or_default();
                let second = texts.split_off(&middle);
                let none = BTreeSet::new();
                self.install(texts, &none, changed);
                self.install(second, &none, changed);
                break;
            }
            for name in blamed {
                texts.remove(&name);
                changed.installed.insert(name, Err(failure.clone()));
            }
        }
        removed
    }
}

/// Whether a message of `semodule` is about a module: it names files as `…/NAME.cil` or `…/400/NAME/cil`.
fn blames(message: &str, name: &str) -> bool {
    message.contains(&format!("/{name}.cil")) || message.contains(&format!("/{name}/cil"))
}

impl Backend for Selinux {
    fn mechanism(&self) -> Mechanism {
        Mechanism::Selinux
    }

    fn unavailable(&self) -> Option<String> {
        self.kernel.unavailable().or_else(|| self.store.unavailable())
    }

    fn observe(
        &mut self,
        names: &BTreeSet<Box<str>>,
    ) -> Result<BTreeMap<Box<str>, Found>, Failure> {
        let mut found = BTreeMap::new();
        let knows = self.kernel.knows();
        for name in names {
            let file = self.store.look(name)?;
            let kernel = knows.of(name);
            let taken = self.store.other_priority(name).map(|priority| {
                format!("the node has a module {name} of its own, at priority {priority}")
            });
            found.insert(name.clone(), Found { file, kernel, taken, adoptable: false });
        }
        Ok(found)
    }

    fn adoptable(&self, name: &str, text: &str) -> bool {
        self.store.read(name).is_ok_and(|there| there == text.as_bytes())
    }

    fn change(&mut self, change: &Change) -> Changed {
        let mut changed = Changed::default();
        let there: BTreeSet<_> = change
            .remove
            .iter()
            .filter(|name| !matches!(self.store.look(name), Ok(File::Absent)))
            .cloned()
            .collect();
        let gone = change.remove.difference(&there);
        changed.removed.extend(gone.map(|name| (name.clone(), Ok(()))));
        // With the first batch, or else alone, so that a module that is refused does not keep another from going.
        let removed = self.install(change.install.clone(), &there, &mut changed);
        if !there.is_empty() {
            let result = if removed { Ok(()) } else { self.commit(&Texts::new(), &there) };
            changed.removed.extend(there.into_iter().map(|name| (name, result.clone())));
        }
        changed
    }

    fn running(&self) -> BTreeSet<Box<str>> {
        super::processes::labels(&self.layout, "attr/current")
            .into_iter()
            // `USER:ROLE:NAME.process:LEVEL`.
            .filter_map(|label| Some(label.split(':').nth(2)?.strip_suffix(".process")?.into()))
            .collect()
    }

    fn place(&self, name: &str) -> String {
        self.layout.on_node(&self.store.module(name)).display().to_string()
    }

    fn needed(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn watched(&self) -> Vec<PathBuf> {
        // A commit puts a new folder in the place of the old one: there is nothing to hold on to.
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_module_that_is_at_fault() {
        let message = "Failed to resolve blockinherit statement at /var/lib/selinux/default/tmp/modules/400/errorlogger/cil:2";
        assert!(blames(message, "errorlogger"));
        assert!(!blames(message, "logger") && !blames(message, "error"));
        assert!(blames("Invalid syntax at /state/modules/a-b.cil:3", "a-b"));
    }
}
