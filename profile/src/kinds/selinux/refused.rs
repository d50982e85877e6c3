//! What a SelinuxProfile may allow only where the operator's configuration says so. Pure.

use std::collections::BTreeSet;

use super::SelinuxProfileSpec;
use crate::kinds::Problem;

const TYPES: [&str; 4] = ["kernel_t", "kmem_t", "security_t", "shadow_t"];
const CLASSES: [&str; 4] = ["capability", "capability2", "security", "system"];
const PERMISSIONS: [&str; 8] = [
    "load_policy",
    "mac_admin",
    "mounton",
    "relabelfrom",
    "relabelto",
    "setbool",
    "setenforce",
    "setsecparam",
];

/// What the operator's configuration lets profiles name although it is refused otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permitted {
    pub types: BTreeSet<String>,
    pub classes: BTreeSet<String>,
    pub permissions: BTreeSet<String>,
}

impl SelinuxProfileSpec {
    /// What the profile names and may not: types, classes and permissions with which a container could get around the
    /// policy.
    pub fn refused(&self, permitted: &Permitted) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |field: &str,
                         what,
                         name: &str,
                         refused: &[&str],
                         permitted: &BTreeSet<_>| {
            if refused.contains(&name) && !permitted.contains(name) {
                let message = format!(
                    "the {what} {name} is refused unless the operator's configuration permits it"
                );
                problems.push(Problem { field: field.to_owned(), message });
            }
        };
        for (name, classes) in &self.allow {
            let field = format!("spec.allow.{name}");
            check(&field, "type", name, &TYPES, &permitted.types);
            for (name, permissions) in classes {
                let field = format!("{field}.{name}");
                check(&field, "class", name, &CLASSES, &permitted.classes);
                for (place, name) in permissions.iter().enumerate() {
                    let field = format!("{field}[{place}]");
                    check(&field, "permission", name, &PERMISSIONS, &permitted.permissions);
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn spec() -> SelinuxProfileSpec {
        let yaml = "allow: { shadow_t: { file: [read] }, '@self': { capability: [sys_admin], file: [read, relabelto] } }";
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn types_classes_and_permissions_that_undo_the_policy_are_refused() {
        let problems: Vec<_> =
            spec().refused(&Permitted::default()).iter().map(ToString::to_string).collect();
        assert_snapshot!(problems.join("\n"), @r"
        spec.allow.@self.capability: the class capability is refused unless the operator's configuration permits it
        spec.allow.@self.file[1]: the permission relabelto is refused unless the operator's configuration permits it
        spec.allow.shadow_t: the type shadow_t is refused unless the operator's configuration permits it
        ");
    }

    #[test]
    fn the_configuration_permits_by_name() {
        let permitted = Permitted {
            types: ["shadow_t".to_owned()].into(),
            classes: ["capability".to_owned()].into(),
            permissions: ["relabelto".to_owned()].into(),
        };
        assert_eq!(spec().refused(&permitted), []);
    }
}
