//! A `SelinuxProfile` as the CIL text of a module. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use super::Problems;
use crate::kinds::{
    SelinuxProfile, SelinuxProfileSpec, Validate as _,
    selinux::{InheritKind, Permitted, SelinuxMode},
};

pub use name::NameError;

pub(super) mod name;

/// How many profiles can be inherited one through the other.
const DEEPEST: usize = 15;

/// The template of the node that gives a process its type, which a block can have only once.
const CONTAINER: &str = "container";

/// Why a profile cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelinuxError {
    #[error("the SELinux profile {name} is not valid: {problems}")]
    Invalid { name: String, problems: Problems },
    #[error("the SELinux profile {name} is refused: {problems}")]
    Refused { name: String, problems: Problems },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(
        "the SELinux profile {0} inherits nothing, so it has no process type: let it inherit container"
    )]
    NothingInherited(String),
    #[error("the SELinux profile {name} inherits {inherited}, which does not exist")]
    Missing { name: String, inherited: String },
    #[error("SELinux profiles inherit from one another in a circle: {}", .0.join(" -> "))]
    Circle(Vec<String>),
    #[error("the SELinux profile {0} inherits through more than {DEEPEST} others")]
    Deep(String),
    #[error(
        "the SELinux profile {name} inherits {inherited} twice, by {} and by {}: SELinux refuses that; leave one out",
        .ways[0].join(" -> "), .ways[1].join(" -> ")
    )]
    Twice { name: String, inherited: String, ways: Box<[Vec<String>; 2]> },
}

/// The CIL text of a profile: a block of its name, in which `process` is its type.
pub fn render(
    name: &str,
    spec: &SelinuxProfileSpec,
    permitted: &Permitted,
) -> Result<String, SelinuxError> {
    check(name, spec, permitted)?;
    let mut text = format!("(block {name}\n");
    let inherited: BTreeSet<_> = spec.inherit.iter().map(|from| from.name.as_str()).collect();
    for inherited in inherited {
        let _ = writeln!(text, "    (blockinherit {inherited})");
    }
    for ((target, class), permissions) in rules(spec) {
        let permissions = permissions.into_iter().collect::<Vec<_>>().join(" ");
        let _ = writeln!(text, "    (allow process {target} ({class} ({permissions})))");
    }
    text += ")\n";
    if spec.effective_mode() == SelinuxMode::Permissive {
        // Outside of the block: in it, every profile that inherits this one would become permissive too.
        let _ = writeln!(text, "(typepermissive {name}.process)");
    }
    Ok(text)
}

/// The names of the other profiles that a profile inherits.
pub fn needs(spec: &SelinuxProfileSpec) -> impl Iterator<Item = &str> {
    let other = |kind| kind == InheritKind::SelinuxProfile;
    spec.inherit.iter().filter(move |from| other(from.kind)).map(|from| from.name.as_str())
}

/// Finds a profile by its name.
pub type Lookup<'a> = dyn Fn(&str) -> Option<Arc<SelinuxProfileSpec>> + 'a;

/// The names of all profiles that a profile stands on, each after those that it stands on itself.
///
/// SELinux has no clear words for a template that is inherited twice or a profile that is not there: this has.
pub fn bases(
    name: &str,
    spec: &SelinuxProfileSpec,
    other: &Lookup<'_>,
) -> Result<Vec<String>, SelinuxError> {
    let mut search =
        Search { other, way: vec![name.to_owned()], ways: BTreeMap::new(), found: Vec::new() };
    search.walk(spec)?;
    Ok(search.found)
}

struct Search<'a> {
    other: &'a Lookup<'a>,
    /// From the first profile to where the search is.
    way: Vec<String>,
    /// How each profile and template was come to.
    ways: BTreeMap<String, Vec<String>>,
    found: Vec<String>,
}

impl Search<'_> {
    fn walk(&mut self, spec: &SelinuxProfileSpec) -> Result<(), SelinuxError> {
        let mut seen = BTreeSet::new();
        for from in &spec.inherit {
            if !seen.insert(from.name.as_str()) {
                continue;
            }
            let inherited = from.name.clone();
            if let Some(start) = self.way.iter().position(|name| *name == inherited) {
                let circle = self.way[start..].iter().cloned().chain([inherited]).collect();
                return Err(SelinuxError::Circle(circle));
            }
            let typed = from.kind == InheritKind::SelinuxProfile || inherited == CONTAINER;
            let before = self.ways.insert(inherited.clone(), self.way.clone());
            if let Some(before) = before.filter(|_| typed) {
                let name = self.way[0].clone();
                let ways = Box::new([before, self.way.clone()]);
                return Err(SelinuxError::Twice { name, inherited, ways });
            }
            if from.kind == InheritKind::SelinuxProfile {
                self.step(inherited)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, inherited: String) -> Result<(), SelinuxError> {
        if self.way.len() > DEEPEST {
            return Err(SelinuxError::Deep(self.way[0].clone()));
        }
        let Some(spec) = (self.other)(&inherited) else {
            let name = self.way.last().unwrap_or(&inherited).clone();
            return Err(SelinuxError::Missing { name, inherited });
        };
        self.way.push(inherited);
        self.walk(&spec)?;
        self.found.extend(self.way.pop());
        Ok(())
    }
}

fn check(name: &str, spec: &SelinuxProfileSpec, permitted: &Permitted) -> Result<(), SelinuxError> {
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
    if spec.inherit.iter().any(|from| from.name == name) {
        return Err(SelinuxError::Circle(vec![name.to_owned(), name.to_owned()]));
    }
    Ok(())
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

#[cfg(test)]
mod tests;
