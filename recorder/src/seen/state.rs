//! What was seen, as JSON: a daemon writes it before it ends, and the next one, perhaps of another version, reads it. Pure.
//!
//! A version adds fields and sorts of access without a new number: what is not known here is kept as it stands, and
//! written again. The number changes when an old field means something else; such a state is refused.

use std::collections::{BTreeMap, BTreeSet};

use profile::kinds::seccomp::Arch;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Access, Files, Permission, Seen, Ways};

/// What the fields mean.
const VERSION: u32 = 1;

/// Why a state cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error(
        "what was seen is written in version {0} of its form, and this program knows {VERSION}: let the one that wrote it \
         publish it first"
    )]
    Version(u32),
}

/// As it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    version: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    calls: BTreeMap<String, BTreeSet<u32>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    denied: BTreeMap<String, BTreeSet<u32>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, Ways>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    accesses: Vec<Value>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    permissions: BTreeSet<Permission>,
    #[serde(default, skip_serializing_if = "is_zero")]
    beyond: u64,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// What another version has written and this one does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unknown {
    calls: BTreeMap<String, BTreeSet<u32>>,
    denied: BTreeMap<String, BTreeSet<u32>>,
    accesses: Vec<Value>,
    more: BTreeMap<String, Value>,
}

impl Unknown {
    /// Keeps what another one has, too.
    pub(super) fn union(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.calls, &other.calls), (&mut self.denied, &other.denied)] {
            for (arch, numbers) in theirs {
                mine.entry(arch.clone()).or_default().extend(numbers);
            }
        }
        for access in &other.accesses {
            if !self.accesses.contains(access) {
                self.accesses.push(access.clone());
            }
        }
        for (key, value) in &other.more {
            self.more.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

impl TryFrom<State> for Seen {
    type Error = StateError;

    fn try_from(state: State) -> Result<Self, StateError> {
        let State { version, calls, denied, files, accesses, permissions, beyond, more } = state;
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        let mut seen = Self { beyond, ..Self::default() };
        seen.unknown.more = more;
        for (from, known, unknown) in [
            (calls, &mut seen.calls, &mut seen.unknown.calls),
            (denied, &mut seen.denied, &mut seen.unknown.denied),
        ] {
            for (arch, numbers) in from {
                match arch.parse::<Arch>() {
                    Ok(arch) => known.extend(numbers.into_iter().map(|number| (arch, number))),
                    Err(_) => drop(unknown.insert(arch, numbers)),
                }
            }
        }
        let (files, without_place) = Files::of(files);
        seen.files = files;
        seen.beyond = seen.beyond.saturating_add(without_place);
        for access in accesses {
            match Access::deserialize(&access) {
                Ok(access) => drop(seen.others.insert(access)),
                Err(_) => seen.unknown.accesses.push(access),
            }
        }
        seen.permissions = permissions;
        Ok(seen)
    }
}

impl From<Seen> for State {
    fn from(seen: Seen) -> Self {
        let Seen { calls, denied, files, others, permissions, beyond, unknown } = seen;
        let by_arch = |calls: BTreeSet<(Arch, u32)>, unknown| {
            let mut all: BTreeMap<String, BTreeSet<u32>> = unknown;
            for (arch, number) in calls {
                all.entry(arch.to_string()).or_default().insert(number);
            }
            all
        };
        let others = others.iter().filter_map(|access| serde_json::to_value(access).ok());
        Self {
            version: VERSION,
            calls: by_arch(calls, unknown.calls),
            denied: by_arch(denied, unknown.denied),
            files: files.iter().map(|(path, ways)| (path.to_owned(), ways)).collect(),
            accesses: others.chain(unknown.accesses).collect(),
            permissions,
            beyond,
            more: unknown.more,
        }
    }
}
