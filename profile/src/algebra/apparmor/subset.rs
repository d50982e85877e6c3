//! Whether one AppArmor profile allows no more than another. Pure.

use std::collections::BTreeSet;

use super::{
    Permission, denied,
    path::{Covers, covers, may_meet},
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
        self.path().is_some_and(|path| may_meet(glob, path))
    }

    /// Whether it is among those that are allowed, and not taken back.
    fn is_in(&self, allowed: &BTreeSet<Self>, taken: &BTreeSet<&str>) -> Covers {
        if let Some(path) = self.path() {
            if taken.iter().any(|glob| covers(glob, path) == Covers::Yes) {
                return Covers::No;
            }
            if taken.iter().any(|glob| may_meet(glob, path)) {
                return Covers::Unknown;
            }
        }
        if allowed.contains(self) {
            return Covers::Yes;
        }
        if allowed.iter().any(|other| matches!(other, Self::Policy(_))) {
            return Covers::Unknown;
        }
        let mut is_in = Covers::No;
        for other in allowed {
            match self.is_part_of(other) {
                Covers::Yes => return Covers::Yes,
                Covers::Unknown => is_in = Covers::Unknown,
                Covers::No => {}
            }
        }
        is_in
    }

    fn is_part_of(&self, other: &Self) -> Covers {
        match (self, other) {
            (Self::Policy(_), _) => Covers::Unknown,
            (Self::Rule { list, .. }, Self::Rule { list: same, .. }) if list == same => {
                Covers::Unknown
            }
            (Self::Execute(inner), Self::Execute(outer))
            | (Self::Load(inner), Self::Load(outer))
            | (Self::Read(inner), Self::Read(outer))
            | (Self::Write(inner), Self::Write(outer)) => covers(outer, inner),
            _ => Covers::No,
        }
    }
}
