//! Makes an SELinux profile of what its type was denied, or would have been. Pure.

use std::collections::{BTreeMap, BTreeSet};

use profile::kinds::{
    ProfileState, SelinuxProfile, SelinuxProfileSpec,
    selinux::{Inherit, InheritKind, SelinuxMode},
};

use super::Profile;
use crate::seen::Seen;

/// The type's own name in a profile.
const OWN: &str = "@self";

/// How a profile is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// The type under which it was recorded; what other types asked for is left out. None takes in all.
    pub recorded: Option<&'a str>,
}

/// The profile that allows what was asked for.
pub fn profile(name: &str, seen: &Seen, options: Options<'_>) -> Profile<SelinuxProfile> {
    let mut allow = BTreeMap::<String, BTreeMap<String, BTreeSet<String>>>::new();
    for permission in seen.permissions() {
        let source = permission.source_type();
        if options.recorded.is_some_and(|recorded| recorded != source) {
            continue;
        }
        let target = permission.target_type();
        let target = if target == source { OWN } else { target };
        let classes = allow.entry(target.to_owned()).or_default();
        classes.entry(permission.tclass.clone()).or_default().insert(permission.permission.clone());
    }
    let list = |permissions: BTreeSet<String>| permissions.into_iter().collect::<Vec<_>>();
    let allow = allow.into_iter().map(|(target, classes)| {
        let classes = classes.into_iter().map(|(class, all)| (class, list(all)));
        (target, classes.collect())
    });
    let spec = SelinuxProfileSpec {
        state: ProfileState::Enabled,
        disabled: None,
        mode: SelinuxMode::Enforcing,
        permissive: None,
        inherit: vec![Inherit { kind: InheritKind::System, name: "container".to_owned() }],
        allow: allow.collect(),
    };
    Profile { profile: SelinuxProfile::new(name, spec), left: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Permission;

    #[test]
    fn what_a_type_asked_for_is_allowed_once_and_sorted() {
        let own = "selinuxrecording.process";
        let mut seen = Seen::default();
        for (stype, ttype, tclass, permission) in [
            (own, "var_log_t", "file", "write"),
            (own, "var_log_t", "file", "open"),
            (own, own, "tcp_socket", "create"),
            ("other_t", "shadow_t", "file", "read"),
        ] {
            seen.permission(Permission {
                scontext: format!("u:r:{stype}:s0:c1,c2"),
                tcontext: format!("u:object_r:{ttype}:s0"),
                tclass: tclass.to_owned(),
                permission: permission.to_owned(),
            });
        }
        let learned = profile("p", &seen, Options { recorded: Some(own) });
        let allow = learned.profile.spec.allow;
        let rules: Vec<_> = allow
            .iter()
            .flat_map(|(target, classes)| {
                classes.iter().map(move |(class, p)| (&**target, &**class, p.join(" ")))
            })
            .collect();
        assert_eq!(
            rules,
            [
                ("@self", "tcp_socket", "create".into()),
                ("var_log_t", "file", "open write".to_owned())
            ]
        );
    }
}
