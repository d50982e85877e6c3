//! What SELinux profiles allow, united and compared: permissions by type and class. Pure.
//!
//! A profile allows what its own list says and what it inherits. Templates are known to the node alone, so an inherited
//! one counts as a permission like any other: it is there or not.

use std::collections::BTreeSet;

use crate::kinds::{
    ProfileState,
    selinux::{Allow, Inherit, InheritKind, SelinuxMode, SelinuxProfileSpec},
};

/// One thing that a profile allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Whatever is not allowed happens, too: the profile is permissive.
    Everything,
    /// What a template or another profile allows.
    Inherited {
        /// Where it is from.
        kind: InheritKind,
        /// Its name.
        name: String,
    },
    /// A permission on objects of a class and type.
    Allowed {
        /// The type; `@self` is the profile's own.
        target: String,
        /// The class.
        class: String,
        /// The permission.
        permission: String,
    },
}

/// What differs between two profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// What only the left one allows, sorted.
    pub left: Vec<Permission>,
    /// What only the right one allows, sorted.
    pub right: Vec<Permission>,
}

/// All that a profile allows.
pub fn permissions(spec: &SelinuxProfileSpec) -> BTreeSet<Permission> {
    let everything =
        (spec.effective_mode() == SelinuxMode::Permissive).then_some(Permission::Everything);
    let inherited = spec
        .inherit
        .iter()
        .map(|from| Permission::Inherited { kind: from.kind, name: from.name.clone() });
    let classes = spec
        .allow
        .iter()
        .flat_map(|(target, classes)| classes.iter().map(move |(class, all)| (target, class, all)));
    let allowed = classes.flat_map(|(target, class, all)| {
        all.iter().map(|permission| Permission::Allowed {
            target: target.clone(),
            class: class.clone(),
            permission: permission.clone(),
        })
    });
    everything.into_iter().chain(inherited).chain(allowed).collect()
}

/// Unites profiles: what any of them allows or inherits, sorted. Permissive if one of them is; nothing, of none.
pub fn merge<'s>(
    specs: impl IntoIterator<Item = &'s SelinuxProfileSpec>,
) -> Option<SelinuxProfileSpec> {
    let specs: Vec<_> = specs.into_iter().collect();
    if specs.is_empty() {
        return None;
    }
    let enabled = specs.iter().any(|spec| spec.effective_state() == ProfileState::Enabled);
    let mut merged = SelinuxProfileSpec {
        state: if enabled { ProfileState::Enabled } else { ProfileState::Disabled },
        disabled: None,
        mode: SelinuxMode::Enforcing,
        permissive: None,
        inherit: Vec::new(),
        allow: Allow::new(),
    };
    let all: BTreeSet<_> = specs.into_iter().flat_map(permissions).collect();
    for permission in all {
        match permission {
            Permission::Everything => merged.mode = SelinuxMode::Permissive,
            Permission::Inherited { kind, name } => merged.inherit.push(Inherit { kind, name }),
            Permission::Allowed { target, class, permission } => {
                merged.allow.entry(target).or_default().entry(class).or_default().push(permission);
            }
        }
    }
    Some(merged)
}

/// What the left profile allows and the right one does not: nothing, where the left one is at most as permissive.
///
/// A profile that is permissive lets everything happen, whatever it lists.
pub fn exceeding(left: &SelinuxProfileSpec, right: &SelinuxProfileSpec) -> Vec<Permission> {
    let right = permissions(right);
    if right.contains(&Permission::Everything) {
        return Vec::new();
    }
    permissions(left).difference(&right).cloned().collect()
}

/// What each profile lists that the other does not.
pub fn diff(left: &SelinuxProfileSpec, right: &SelinuxProfileSpec) -> Diff {
    let (left, right) = (permissions(left), permissions(right));
    Diff {
        left: left.difference(&right).cloned().collect(),
        right: right.difference(&left).cloned().collect(),
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything => f.write_str("everything (permissive)"),
            Self::Inherited { kind, name } => write!(f, "what {kind} {name} allows"),
            Self::Allowed { target, class, permission } => {
                write!(f, "{permission} of {class} on {target}")
            }
        }
    }
}

impl std::fmt::Display for Diff {
    /// One line for each difference: `+` is allowed on the right only, `-` on the left only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.left.iter().try_for_each(|permission| writeln!(f, "- {permission}"))?;
        self.right.iter().try_for_each(|permission| writeln!(f, "+ {permission}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn profile() -> impl Strategy<Value = SelinuxProfileSpec> {
        let word = |words: &'static [&'static str]| select(words).prop_map(str::to_owned);
        let permissions = prop::collection::vec(word(&["read", "write", "open"]), 0..3);
        let classes = prop::collection::btree_map(word(&["file", "dir"]), permissions, 0..3);
        let allow = prop::collection::btree_map(word(&["@self", "etc_t"]), classes, 0..3);
        let from = word(&["container", "net"])
            .prop_map(|name| Inherit { kind: InheritKind::System, name });
        (prop::collection::vec(from, 0..3), allow, prop::bool::weighted(0.2)).prop_map(
            |(inherit, allow, permissive)| SelinuxProfileSpec {
                state: ProfileState::Enabled,
                disabled: None,
                mode: SelinuxMode::Enforcing,
                permissive: Some(permissive),
                inherit,
                allow,
            },
        )
    }

    proptest! {
        #[test]
        fn merged_allows_what_any_profile_allows_and_no_more(
            specs in prop::collection::vec(profile(), 1..4),
        ) {
            let merged = merge(&specs).unwrap();
            let all: BTreeSet<_> = specs.iter().flat_map(permissions).collect();
            prop_assert_eq!(permissions(&merged), all);
            prop_assert!(specs.iter().all(|spec| exceeding(spec, &merged).is_empty()));
            let again = merge(specs.iter().rev().chain([&merged]));
            prop_assert_eq!(again, Some(merged));
        }

        #[test]
        fn profiles_that_do_not_exceed_each_other_differ_in_nothing(a in profile(), b in profile()) {
            let both = exceeding(&a, &b).is_empty() && exceeding(&b, &a).is_empty();
            let permissive = permissions(&a).contains(&Permission::Everything);
            prop_assert_eq!(both && !permissive, diff(&a, &b) == Diff::default() && !permissive);
        }
    }

    #[test]
    fn nothing_exceeds_a_permissive_profile() {
        let spec = |text| serde_json::from_str::<SelinuxProfileSpec>(text).unwrap();
        let permissive = spec(r#"{"permissive": true}"#);
        let listed = spec(r#"{"allow": {"@self": {"file": ["read"]}}}"#);
        assert_eq!(exceeding(&listed, &permissive), []);
        assert_eq!(exceeding(&permissive, &listed), [Permission::Everything]);
    }

    #[test]
    fn a_difference_is_read_line_by_line() {
        let spec = |text| serde_json::from_str::<SelinuxProfileSpec>(text).unwrap();
        let left = spec(r#"{"allow": {"@self": {"file": ["read"]}}}"#);
        let right =
            spec(r#"{"inherit": [], "permissive": true, "allow": {"@self": {"file": ["open"]}}}"#);
        insta::assert_snapshot!(diff(&left, &right), @"
        - what System container allows
        - read of file on @self
        + everything (permissive)
        + open of file on @self
        ");
    }
}
