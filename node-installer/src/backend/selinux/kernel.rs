//! The kernel's interface to SELinux: selinuxfs.

use std::{io::Write as _, path::PathBuf};

use crate::{layout::Layout, plan::Kernel};

/// The folder of selinuxfs.
#[derive(Debug)]
pub(super) struct Interface {
    folder: PathBuf,
    own: PathBuf,
}

/// Asks which types the policy in force has.
#[derive(Debug)]
pub(super) struct Knows<'a> {
    interface: &'a Interface,
    /// User and level of a context; none when the kernel cannot be asked.
    around: Option<(String, &'static str)>,
}

impl Interface {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { folder: layout.at("/sys/fs/selinux"), own: layout.at("/proc/self/attr/current") }
    }

    /// Why there are no SELinux profiles on this node.
    pub(super) fn unavailable(&self) -> Option<String> {
        let there = self.folder.join("policyvers").exists();
        (!there).then(|| "SELinux is not enabled in this node's kernel".to_owned())
    }

    /// The policy in force.
    pub(super) fn knows(&self) -> Knows<'_> {
        let own = std::fs::read_to_string(&self.own).unwrap_or_default();
        let user = own.split(':').next().filter(|_| own.contains(':')).map(str::to_owned);
        let mls = std::fs::read_to_string(self.folder.join("mls")).unwrap_or_default();
        let level = if mls.trim() == "1" { ":s0" } else { "" };
        let around = user.map(|user| (user, level)).filter(|(user, level)| {
            // A context that is good for certain: otherwise a "no" would say nothing.
            self.takes(&format!("{user}:object_r:unlabeled_t{level}"))
        });
        Knows { interface: self, around }
    }

    /// Whether a context is valid: the kernel refuses to have another one written.
    fn takes(&self, context: &str) -> bool {
        let mut file =
            match std::fs::OpenOptions::new().write(true).open(self.folder.join("context")) {
                Ok(file) => file,
                Err(_closed) => return false,
            };
        file.write(context.as_bytes()).is_ok()
    }
}

impl Knows<'_> {
    /// Whether the policy has the type of a profile.
    pub(super) fn of(&self, name: &str) -> Kernel {
        match &self.around {
            None => Kernel::NotAsked,
            Some((user, level)) => {
                let context = format!("{user}:object_r:{name}.process{level}");
                if self.interface.takes(&context) { Kernel::Loaded(None) } else { Kernel::Absent }
            }
        }
    }
}
