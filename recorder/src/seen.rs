//! What a container was seen doing: one form, whether programs in the kernel or lines of a log have told it. Pure.

use std::collections::BTreeSet;

use profile::{kinds::seccomp::Arch, syscall};
use serde::{Deserialize, Serialize};

pub use access::{Access, MountOperation, Ways};
pub use files::{FILES_MAX, Files};
pub use permission::Permission;
pub use state::StateError;

use crate::kernel::Calls;

mod access;
mod files;
pub mod fold;
pub mod path;
mod permission;
mod state;

/// So many accesses that are no files, so many permissions and so many system calls are kept of one container; a program
/// that behaves has some hundreds at most.
pub const OTHERS_MAX: usize = 4096;

/// What one container was seen doing, each thing once.
///
/// It takes bounded memory, whatever a container does: [`FILES_MAX`] paths (after that, folders are put together as
/// [`fold`] says), [`OTHERS_MAX`] other accesses, and as many permissions and system calls. What has no place any more is counted:
/// [`Seen::beyond`]. As JSON it is what a daemon keeps over an upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "state::State", into = "state::State")]
pub struct Seen {
    calls: BTreeSet<(Arch, u32)>,
    denied: BTreeSet<(Arch, u32)>,
    files: Files,
    others: BTreeSet<Access>,
    permissions: BTreeSet<Permission>,
    beyond: u64,
    unknown: state::Unknown,
}

impl Seen {
    /// Takes in a system call; true when it is new. A number of x32 has [`syscall::X32_BIT`] set.
    pub fn call(&mut self, arch: Arch, number: u32) -> bool {
        // A log tells whatever number a program has made up.
        insert(&mut self.calls, (arch, number), &mut self.beyond)
    }

    /// Takes in the system calls of the kernel's bitmaps; true when one is new.
    pub fn calls(&mut self, machine: Arch, calls: &Calls) -> bool {
        numbers(machine, calls).fold(false, |new, (arch, number)| self.call(arch, number) | new)
    }

    /// Takes in a system call that a filter refused; true when it is new.
    pub fn denied_call(&mut self, arch: Arch, number: u32) -> bool {
        insert(&mut self.denied, (arch, number), &mut self.beyond)
    }

    /// Takes in the system calls that a filter refused; true when one is new.
    pub fn denied_calls(&mut self, machine: Arch, calls: &Calls) -> bool {
        numbers(machine, calls)
            .fold(false, |new, (arch, number)| self.denied_call(arch, number) | new)
    }

    /// Takes in an access; true when it is new. Paths become general, as [`path`] says: what a program does to another
    /// temporary file each second is nothing new.
    pub fn access(&mut self, access: Access) -> bool {
        let general = |path: Option<String>| path.map(|path| path::general(&path));
        let access = match access {
            Access::File { path, ways } => {
                let (new, beyond) = self.files.insert(path::general(&path), ways);
                self.beyond += beyond;
                return new;
            }
            Access::Mount { operation, source, target, fstype, options } => Access::Mount {
                operation,
                // A device or a word such as `none`, when it is no path.
                source: source.map(|source| {
                    if source.starts_with('/') { path::general(&source) } else { source }
                }),
                target: general(Some(target)).unwrap_or_default(),
                fstype,
                options,
            },
            Access::Unix { kind, address } => {
                Access::Unix { kind, address: path::address(&address) }
            }
            other => other,
        };
        insert(&mut self.others, access, &mut self.beyond)
    }

    /// Takes in a permission; true when it is new. The levels of contexts differ from container to container, and no
    /// rule names them: they are left out.
    pub fn permission(&mut self, permission: Permission) -> bool {
        insert(&mut self.permissions, permission.without_levels(), &mut self.beyond)
    }

    /// Takes in all that another one has.
    pub fn union(&mut self, other: &Self) {
        for (arch, number) in other.called() {
            self.call(arch, number);
        }
        for (arch, number) in other.denied() {
            self.denied_call(arch, number);
        }
        for (pattern, ways) in other.files.iter() {
            self.beyond += self.files.insert(pattern.to_owned(), ways).1;
        }
        for access in &other.others {
            insert(&mut self.others, access.clone(), &mut self.beyond);
        }
        for permission in &other.permissions {
            insert(&mut self.permissions, permission.clone(), &mut self.beyond);
        }
        self.beyond = self.beyond.saturating_add(other.beyond);
        self.unknown.union(&other.unknown);
    }

    /// What is in this one and not in an older one of the same container.
    #[must_use]
    pub fn since(&self, older: &Self) -> Self {
        Self {
            calls: &self.calls - &older.calls,
            denied: &self.denied - &older.denied,
            files: self.files.since(&older.files),
            others: &self.others - &older.others,
            permissions: &self.permissions - &older.permissions,
            beyond: self.beyond.saturating_sub(older.beyond),
            unknown: state::Unknown::default(),
        }
    }

    /// How many things were seen: calls, files and other accesses, permissions. Calls that were refused are not counted.
    pub fn len(&self) -> usize {
        self.calls.len() + self.files.len() + self.others.len() + self.permissions.len()
    }

    /// Whether nothing was seen, nothing was refused, and nothing was too much.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.denied.is_empty() && self.beyond == 0
    }

    /// How many things had no place any more; they may have been seen more than once.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// System calls, by architecture and number.
    pub fn called(&self) -> impl Iterator<Item = (Arch, u32)> {
        self.calls.iter().copied()
    }

    /// System calls that a filter refused.
    pub fn denied(&self) -> impl Iterator<Item = (Arch, u32)> {
        self.denied.iter().copied()
    }

    /// Files, by general path as AppArmor writes it.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Accesses that are no files.
    pub fn others(&self) -> impl Iterator<Item = &Access> {
        self.others.iter()
    }

    /// Permissions of SELinux.
    pub fn permissions(&self) -> impl Iterator<Item = &Permission> {
        self.permissions.iter()
    }
}

fn insert<T: Ord>(set: &mut BTreeSet<T>, new: T, beyond: &mut u64) -> bool {
    if set.len() >= OTHERS_MAX && !set.contains(&new) {
        *beyond = beyond.saturating_add(1);
        return false;
    }
    set.insert(new)
}

fn numbers(machine: Arch, calls: &Calls) -> impl Iterator<Item = (Arch, u32)> {
    calls.by_name(machine).into_iter().filter_map(|(arch, call)| {
        let number = call.map_or_else(Some, |name| syscall::number(arch, name));
        number.map(|number| (arch, number))
    })
}

#[cfg(test)]
mod tests;
