//! Whether one AppArmor profile allows no more than another. Pure.

use std::collections::BTreeSet;

use super::{
    Permission, denied,
    path::{Covers, covers, meet},
    permissions,
};
use crate::kinds::apparmor::AppArmorProfileSpec;

/// Whether a profile is at most as permissive as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subset {
    /// Everything that the first allows, the second does.
    Yes,
    /// These are allowed by the first and not by the second.
    No(Vec<Permission>),
    /// These are allowed by the first; whether they are by the second cannot be told of its globs and rules.
    Undecided(Vec<Permission>),
}

/// Whether the left profile is at most as permissive as the right one.
pub fn subset(left: &AppArmorProfileSpec, right: &AppArmorProfileSpec) -> Subset {
    let allowed = permissions(right);
    if left == right || allowed.contains(&Permission::Everything) {
        return Subset::Yes;
    }
    let (left_denied, right_denied) = (denied(left), denied(right));
    let taken: BTreeSet<_> = right_denied.difference(&left_denied).copied().collect();
    let (mut no, mut unknown) = (Vec::new(), Vec::new());
    for permission in permissions(left) {
        match permission.is_in(&allowed, &taken) {
            Covers::Yes => {}
            Covers::No if left_denied.iter().any(|glob| permission.may_be_in(glob)) => {
                unknown.push(permission);
            }
            Covers::No => no.push(permission),
            Covers::Unknown => unknown.push(permission),
        }
    }
    match (no.is_empty(), unknown.is_empty()) {
        (false, _) => Subset::No(no),
        (true, false) => Subset::Undecided(unknown),
        (true, true) => Subset::Yes,
    }
}

impl Permission {
    fn path(&self) -> Option<&str> {
        match self {
            Self::Execute(path) | Self::Load(path) | Self::Read(path) | Self::Write(path) => {
                Some(path)
            }
            _ => None,
        }
    }

    fn may_be_in(&self, glob: &str) -> bool {
        self.path().is_some_and(|path| meet(glob, path) != Some(false))
    }

    /// Whether it is among those that are allowed, and not taken back.
    fn is_in(&self, allowed: &BTreeSet<Self>, taken: &BTreeSet<&str>) -> Covers {
        if let Some(path) = self.path() {
            // What is taken back in part is not allowed as a whole.
            let meeting: Vec<_> = taken.iter().map(|glob| meet(glob, path)).collect();
            if meeting.contains(&Some(true)) {
                return Covers::No;
            }
            if meeting.contains(&None) {
                return Covers::Unknown;
            }
        }
        if allowed.contains(self) {
            return Covers::Yes;
        }
        let unknown = |other: &Self| match (self, other) {
            (Self::Rule { list, .. }, Self::Rule { list: same, .. }) => list == same,
            (_, other) => matches!(other, Self::Policy(_)),
        };
        if matches!(self, Self::Policy(_)) || allowed.iter().any(unknown) {
            return Covers::Unknown;
        }
        match self.path() {
            Some(path) => {
                let outer = allowed.iter().filter(|other| self.is_part_of(other));
                covers(&outer.filter_map(Self::path).collect::<Vec<_>>(), path)
            }
            None => Covers::No,
        }
    }

    /// Whether another permission gives this one too, for the files of its path.
    fn is_part_of(&self, other: &Self) -> bool {
        // What may be run may be loaded and read; what may be loaded may be read.
        match self {
            Self::Execute(_) => matches!(other, Self::Execute(_)),
            Self::Load(_) => matches!(other, Self::Execute(_) | Self::Load(_)),
            Self::Read(_) => matches!(other, Self::Execute(_) | Self::Load(_) | Self::Read(_)),
            Self::Write(_) => matches!(other, Self::Write(_)),
            _ => false,
        }
    }
}
