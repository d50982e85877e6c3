//! Names that SELinux would refuse, or read as something else than the name of one thing. Pure.

use crate::kinds::{Problem, SelinuxProfileSpec};

/// Why an SELinux module cannot have the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error(
        "SELinux has no module called {0}: let the profile's name begin with a letter and have letters, digits and '-' \
         only, such as nginx-127"
    )]
    Characters(String),
    #[error("SELinux has no module of so long a name: {0} is longer than {LONGEST} characters")]
    Long(String),
}

/// `semodule` reads a module from NAME.cil, and no file's name is longer than 255.
const LONGEST: usize = 251;

/// Whether a module and its block can have this name: that of an object could begin with a digit, and have dots, which
/// part a block from what is in it.
pub(in crate::render) fn check(name: &str) -> Result<(), NameError> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let all = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !first || !all {
        return Err(NameError::Characters(name.to_owned()));
    }
    if name.len() > LONGEST { Err(NameError::Long(name.to_owned())) } else { Ok(()) }
}

/// The words of CIL's expressions and sets: `(file (all))` gives every permission, those that are refused as well.
const WORDS: [&str; 10] =
    ["all", "and", "eq", "neq", "not", "notself", "or", "other", "range", "xor"];

/// What a profile could get around the refusals by.
pub(super) fn refused(spec: &SelinuxProfileSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |field: String, what, name: &str| {
        if let Some(message) = message(what, name) {
            problems.push(Problem { field, message });
        }
    };
    for (place, from) in spec.inherit.iter().enumerate() {
        check(format!("spec.inherit[{place}].name"), "template", &from.name);
    }
    for (target, classes) in &spec.allow {
        let field = format!("spec.allow.{target}");
        if target != "@self" {
            check(field.clone(), "type", target);
        }
        for (class, permissions) in classes {
            let field = format!("{field}.{class}");
            check(field.clone(), "class", class);
            for (place, permission) in permissions.iter().enumerate() {
                check(format!("{field}[{place}]"), "permission", permission);
            }
        }
    }
    problems
}

fn message(what: &str, name: &str) -> Option<String> {
    if WORDS.contains(&name) {
        return Some(format!(
            "{name} is a word of CIL that stands for more than one {what}: name each"
        ));
    }
    // .shadow_t is shadow_t.
    let begins = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let good = name.split('.').all(begins);
    (!good).then(|| format!("the {what} {name} must begin with a letter, and so after each '.'"))
}
