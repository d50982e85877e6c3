//! A SelinuxProfile as a CIL block. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Problems;
use crate::kinds::{
    SelinuxProfile, SelinuxProfileSpec, Validate as _,
    selinux::{InheritKind, Permitted, SelinuxMode},
};

pub use name::NameError;

pub(super) mod name;

/// Why a profile cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelinuxError {
    #[error("the SELinux profile {name} is not valid: {problems}")]
    Invalid { name: String, problems: Problems },
    #[error("the SELinux profile {name} is refused: {problems}")]
    Refused { name: String, problems: Problems },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("the SELinux profile {0} inherits from itself")]
    Itself(String),
    #[error(
        "the SELinux profile {0} inherits nothing, so it has no process type: let it inherit container"
    )]
    NothingInherited(String),
}

/// The CIL block of a profile, which is the whole of its module.
pub fn render(
    name: &str,
    spec: &SelinuxProfileSpec,
    permitted: &Permitted,
) -> Result<String, SelinuxError> {
    name::check(name)?;
    let problems = SelinuxProfile::new(name, spec.clone()).validate();
    Problems::none(problems)
        .map_err(|problems| SelinuxError::Invalid { name: name.to_owned(), problems })?;
    let problems = [spec.refused(permitted), name::refused(spec)].concat();
    Problems::none(problems)
        .map_err(|problems| SelinuxError::Refused { name: name.to_owned(), problems })?;
    if spec.inherit.is_empty() {
        return Err(SelinuxError::NothingInherited(name.to_owned()));
    }
    let inherited: BTreeSet<_> = spec.inherit.iter().map(|from| from.name.as_str()).collect();
    if inherited.contains(name) {
        return Err(SelinuxError::Itself(name.to_owned()));
    }
    let mut text = format!("(block {name}\n");
    for inherited in inherited {
        text += &format!("    (blockinherit {inherited})\n");
    }
    if spec.effective_mode() == SelinuxMode::Permissive {
        text += "    (typepermissive process)\n";
    }
    for ((target, class), permissions) in rules(spec) {
        let permissions: Vec<_> = permissions.into_iter().collect();
        let permissions = permissions.join(" ");
        text += &format!("    (allow process {target} ({class} ({permissions})))\n");
    }
    text += ")\n";
    Ok(text)
}

/// The names of the other SelinuxProfiles that a profile inherits.
pub fn needs(spec: &SelinuxProfileSpec) -> impl Iterator<Item = &str> {
    let other = |kind| kind == InheritKind::SelinuxProfile;
    spec.inherit.iter().filter(move |from| other(from.kind)).map(|from| from.name.as_str())
}

/// Permissions by type and class; a class without a permission has no rule.
fn rules(spec: &SelinuxProfileSpec) -> BTreeMap<(&str, &str), BTreeSet<&str>> {
    let mut rules: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (target, classes) in &spec.allow {
        let target = if target == "@self" { "process" } else { target };
        for (class, permissions) in classes {
            for permission in permissions {
                rules.entry((target, class.as_str())).or_default().insert(permission.as_str());
            }
        }
    }
    rules
}
