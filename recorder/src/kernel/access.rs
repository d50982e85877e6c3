//! What AppArmor has rules for, as the kernel's programs tell it.

use std::{
    cell::LazyCell,
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher as _, RandomState},
    io,
};

use aya::maps::{HashMap as Table, MapData, MapError};
use profile::kinds::seccomp::Arch;

use super::ring::Ring;
use crate::seen::{Access, MountOperation, Ways};
use event::{Event, Name, What};
use resolve::Resolved;
pub use tier::{Group, Tier, Tiers};

mod calls;
mod event;
mod names;
pub(super) mod programs;
mod resolve;
mod tier;

/// The whole table of calls of a machine, by which programs at tracepoints tell of these groups.
pub(super) fn table(machine: [Arch; 3], groups: &BTreeSet<Group>) -> Vec<u8> {
    let mut entries = Vec::new();
    for (place, call) in calls::table(machine, groups) {
        let start = place as usize * calls::CALL;
        entries.resize(entries.len().max(start + calls::CALL), 0);
        entries[start..start + calls::CALL].copy_from_slice(&call);
    }
    entries
}

/// Changes whenever events in the ring are to be read otherwise.
pub(super) const FORM: u32 = 3;

/// Whether events of this form can be read as those of now: the first one did not tell where a file's new name begins,
/// the second one nothing of addresses of unix sockets.
pub(super) const fn reads(form: u32) -> bool {
    matches!(form, 1 | 2 | FORM)
}

/// So many things are remembered as told; after that, what the kernel tells again is told again.
const TOLD_MAX: usize = 1 << 18;

/// The events.
pub(super) struct Accesses {
    ring: Ring,
    seen: Table<MapData, Key, u32>,
    told: Told,
    tiers: Tiers,
}

/// `struct key` of `bpf/access_event.h`: a namespace, and a hash.
type Key = [u64; 3];

/// More than there can be in `access_seen`.
const SEEN_MAX: usize = 1 << 20;

/// What was told already, by its hash, and for files in which ways.
#[derive(Debug, Default)]
struct Told {
    hasher: RandomState,
    ways: HashMap<u64, u16>,
}

/// Who is in a mount namespace: a process, if one is still there that sees its files.
pub(super) type Inside<'a> = dyn FnMut(u64, u32) -> Option<u32> + 'a;

impl std::fmt::Debug for Accesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accesses").field("told", &self.told.ways.len()).finish_non_exhaustive()
    }
}

impl Accesses {
    pub(super) fn new(ring: Ring, seen: Table<MapData, Key, u32>, tiers: Tiers) -> Self {
        Self { ring, seen, told: Told::default(), tiers }
    }

    /// What tells of what.
    pub(super) fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    /// Makes room: forgets what was told of namespaces that are gone.
    pub(super) fn forget(&mut self, gone: &BTreeSet<u64>) -> io::Result<()> {
        // What comes in meanwhile can make it begin again, but not for ever.
        let keys: Result<Vec<_>, _> = self.seen.keys().take(SEEN_MAX).collect();
        let keys = keys.map_err(io::Error::other)?;
        for key in keys.iter().filter(|[namespace, ..]| gone.contains(namespace)) {
            match self.seen.remove(key) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }

    /// What was given until now is kept by whoever asked for it.
    pub(super) fn keep(&self) {
        self.ring.keep();
    }

    /// How many times what was told could not be read.
    pub(super) fn unreadable(&self) -> u64 {
        self.ring.unreadable()
    }

    /// Gives what is new, with its namespace. Until it is kept, it is new for whoever begins to read after this.
    pub(super) fn drain(&mut self, inside: &mut Inside<'_>, give: &mut dyn FnMut(u64, Access)) {
        while let Some(bytes) = self.ring.next() {
            // What cannot be read is of programs of another version.
            let Some(event) = Event::read(bytes) else { continue };
            let namespace = event.namespace;
            let access = access(&event, inside);
            if let Some(access) = self.told.is_new(namespace, access) {
                give(namespace, access);
            }
        }
    }
}

/// What an event tells.
fn access(event: &Event<'_>, inside: &mut Inside<'_>) -> Access {
    let process = LazyCell::new(|| inside(event.namespace, event.process));
    let named = |name: &Name<'_>| resolve::resolve(*process, name);
    match &event.what {
        What::File { path, ways } => Access::File { path: text(path, false), ways: *ways },
        What::Named { name, ways } => {
            let Resolved { path, folder } = named(name);
            Access::File { path: text(&path, folder), ways: *ways }
        }
        What::Capability(number) => Access::Capability(names::capability(*number)),
        What::Socket { family, kind, protocol } => Access::Socket {
            family: names::family(*family),
            kind: names::kind(*kind),
            protocol: *protocol,
        },
        What::Unix { kind, address } => Access::Unix {
            kind: names::kind(*kind),
            address: address.split_first().map_or_else(String::new, |(_, name)| {
                format!("@{}", String::from_utf8_lossy(name))
            }),
        },
        What::Signal { number, inside } => {
            Access::Signal { signal: names::signal(*number), inside: *inside }
        }
        What::Ptrace { read, inside } => Access::Ptrace { read: *read, inside: *inside },
        What::Mount { operation, from, target, source, fstype, flags } => {
            let place = |given: &[u8]| {
                if given.is_empty() {
                    // The kernel has found it.
                    return text(from, false);
                }
                let here = match (given, *target) {
                    ([b'/', ..], _) => Vec::new(),
                    // Then it has not told where the other one is relative to.
                    (_, b"") => process
                        .filter(|process| *process == event.process)
                        .and_then(resolve::current_folder)
                        .unwrap_or_default(),
                    _ => from.to_vec(),
                };
                let name = Name { from: &here, given, followed: true, ..Name::default() };
                let Resolved { path, folder } = named(&name);
                // Of a place that is gone it is not known any more; most are folders.
                text(&path, folder || *operation != MountOperation::Mount)
            };
            let is_path =
                flags & (names::BIND | names::MOVE) != 0 || *operation == MountOperation::PivotRoot;
            let word = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
            Access::Mount {
                operation: match operation {
                    MountOperation::Mount if flags & names::REMOUNT != 0 => MountOperation::Remount,
                    other => *other,
                },
                target: place(target),
                source: match *source {
                    b"" => None,
                    source if is_path => Some(place(source)),
                    source => Some(word(source)),
                },
                fstype: (!fstype.is_empty()).then(|| word(fstype)),
                options: names::options(*flags),
            }
        }
    }
}

/// A path as AppArmor writes it.
fn text(path: &[u8], folder: bool) -> String {
    let mut text = String::from_utf8_lossy(path).into_owned();
    if text.is_empty() || folder && !text.ends_with('/') {
        text.push('/');
    }
    text
}

impl Told {
    /// What of an access was not told yet.
    fn is_new(&mut self, namespace: u64, access: Access) -> Option<Access> {
        let (hash, ways) = match &access {
            Access::File { path, ways } => (self.hasher.hash_one((namespace, path)), ways.bits()),
            other => (self.hasher.hash_one((namespace, other)), 1),
        };
        if self.ways.len() >= TOLD_MAX {
            self.ways.clear();
        }
        let told = self.ways.entry(hash).or_default();
        let fresh = ways & !*told;
        *told |= ways;
        match access {
            _ if fresh == 0 => None,
            Access::File { path, .. } => Some(Access::File { path, ways: Ways::of_bits(fresh) }),
            other => Some(other),
        }
    }
}
