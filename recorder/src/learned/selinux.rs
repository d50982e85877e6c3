//! Makes an SELinux profile of what its type was denied, or would have been. Pure.
//!
//! It inherits the node's template for containers, so it lists only what goes beyond that. A rule names types: the levels
//! by which containers are kept apart stay with the runtime. Permissions are those that were asked for, no more: a file
//! that was handed over open is read without being opened.

use std::collections::{BTreeMap, BTreeSet};

use profile::{
    kinds::{
        ProfileState, SelinuxProfile, SelinuxProfileSpec,
        selinux::{Allow, Inherit, InheritKind, Permitted, SelinuxMode},
    },
    render,
};

use super::Profile;
use crate::seen::Seen;

/// The type's own name in a profile.
const OWN: &str = "@self";

/// A type, a class and a permission have at most so many entries each (the schema of the kind says so).
const MOST: [usize; 3] = [512, 128, 64];

/// How a profile is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// The type under which it was recorded; what other types asked for is left out. None takes in all.
    pub recorded: Option<&'a str>,
}

/// The profile that allows what was asked for.
pub fn profile(name: &str, seen: &Seen, options: Options<'_>) -> Profile<SelinuxProfile> {
    let mut fit = Fit::default();
    let mut left = BTreeSet::new();
    let mut allow = BTreeMap::<String, BTreeMap<String, BTreeSet<String>>>::new();
    for permission in seen.permissions() {
        let source = permission.source_type();
        if options.recorded.is_some_and(|recorded| recorded != source) {
            continue;
        }
        let target = permission.target_type();
        let target = if target == source { OWN } else { target };
        let (class, name) = (&permission.tclass, &permission.permission);
        if let Some(why) = fit.problem(target, class, name) {
            left.insert(format!("{name} of {class} on {target}: {why}"));
            continue;
        }
        let names = entry(&mut allow, target, MOST[0])
            .and_then(|classes| entry(classes, class, MOST[1]))
            .filter(|names| names.len() < MOST[2] || names.contains(name));
        if let Some(names) = names {
            names.insert(name.clone());
        } else {
            let most = "a profile cannot have so many different ones";
            left.insert(format!("{name} of {class} on {target}: {most}"));
        }
    }
    let list = |permissions: BTreeSet<String>| permissions.into_iter().collect::<Vec<_>>();
    let allow = allow.into_iter().map(|(target, classes)| {
        let classes = classes.into_iter().map(|(class, all)| (class, list(all)));
        (target, classes.collect())
    });
    let spec = of_container(allow.collect());
    let rules: usize = spec.allow.values().map(BTreeMap::len).sum();
    let mut profile = SelinuxProfile::new(name, spec);
    let description =
        format!("{rules} rules, recorded, beyond what the template of containers allows");
    profile.metadata.annotations = Some(BTreeMap::from([("description".to_owned(), description)]));
    Profile { profile, left: left.into_iter().collect() }
}

/// The entry of a name, while there is room for it.
fn entry<'m, T: Default>(
    map: &'m mut BTreeMap<String, T>,
    name: &str,
    most: usize,
) -> Option<&'m mut T> {
    (map.len() < most || map.contains_key(name)).then(|| map.entry(name.to_owned()).or_default())
}

/// What is known of names: one that nodes refuse would keep the whole profile from being installed.
#[derive(Debug, Default)]
struct Fit {
    types: BTreeMap<String, Option<String>>,
    classes: BTreeMap<String, Option<String>>,
    permissions: BTreeMap<String, Option<String>>,
}

impl Fit {
    /// Why no rule can have these names.
    fn problem(&mut self, target: &str, class: &str, permission: &str) -> Option<String> {
        let of_type = || refusal(target, "file", "read");
        let of_class = || refusal(OWN, class, "read");
        let of_permission = || refusal(OWN, "file", permission);
        self.types
            .entry(target.to_owned())
            .or_insert_with(of_type)
            .clone()
            .or_else(|| self.classes.entry(class.to_owned()).or_insert_with(of_class).clone())
            .or_else(|| {
                self.permissions.entry(permission.to_owned()).or_insert_with(of_permission).clone()
            })
    }
}

/// Why a profile with one rule cannot be rendered.
fn refusal(target: &str, class: &str, permission: &str) -> Option<String> {
    let classes = BTreeMap::from([(class.to_owned(), vec![permission.to_owned()])]);
    let spec = of_container(BTreeMap::from([(target.to_owned(), classes)]));
    let error = render::selinux::render("x", &spec, &Permitted::default()).err()?;
    let (render::selinux::SelinuxError::Invalid { problems, .. }
    | render::selinux::SelinuxError::Refused { problems, .. }) = &error
    else {
        return Some(error.to_string());
    };
    let first = problems.0.first().map(|problem| problem.message.clone());
    first.map(|message| format!("{message}; a RawSelinuxProfile can name it"))
}

/// A profile that allows this beyond the template of containers.
fn of_container(allow: Allow) -> SelinuxProfileSpec {
    SelinuxProfileSpec {
        state: ProfileState::Enabled,
        disabled: None,
        mode: SelinuxMode::Enforcing,
        permissive: None,
        inherit: vec![Inherit { kind: InheritKind::System, name: "container".to_owned() }],
        allow,
    }
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
    #[test]
    fn what_no_selinux_profile_can_name_is_told() {
        let mut seen = Seen::default();
        for (ttype, tclass, permission) in [
            ("own_t", "capability", "sys_admin"),
            ("shadow_t", "file", "read"),
            ("etc_t", "file", "relabelto"),
            ("etc t", "file", "read"),
            ("etc_t", "file", "map"),
        ] {
            seen.permission(Permission {
                scontext: "u:r:own_t:s0".to_owned(),
                tcontext: format!("u:object_r:{ttype}:s0"),
                tclass: tclass.to_owned(),
                permission: permission.to_owned(),
            });
        }
        let Profile { profile, left } = profile("p", &seen, Options { recorded: None });
        render::selinux::render("p", &profile.spec, &Permitted::default()).unwrap();
        assert_eq!(profile.spec.allow.keys().collect::<Vec<_>>(), ["etc_t"]);
        assert_eq!(profile.spec.allow["etc_t"]["file"], ["map"]);
        for (line, told) in left.iter().zip([
            "read of file on etc t: ",
            "read of file on shadow_t: the type shadow_t is refused",
            "relabelto of file on etc_t: the permission relabelto is refused",
            "sys_admin of capability on @self: the class capability is refused",
        ]) {
            assert!(line.starts_with(told), "{line}");
        }
        assert_eq!(left.len(), 4, "{left:?}");
    }

    #[test]
    fn more_types_than_a_profile_can_have_are_told() {
        let mut seen = Seen::default();
        for n in 0..520 {
            seen.permission(Permission {
                scontext: "u:r:own_t:s0".to_owned(),
                tcontext: format!("u:object_r:t{n:03}:s0"),
                tclass: "file".to_owned(),
                permission: "read".to_owned(),
            });
        }
        let Profile { profile, left } = profile("p", &seen, Options { recorded: None });
        assert_eq!((profile.spec.allow.len(), left.len()), (512, 8));
    }
}
