//! Names that CIL would read as something else than the name of one thing. Pure.

use crate::kinds::{Problem, SelinuxProfileSpec};

/// Why an SELinux module cannot have the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error(
        "the name {0} cannot be that of an SELinux module: it must begin with a letter and have letters, digits and '-' \
         only, such as nginx-127"
    )]
    Characters(String),
}

/// Whether a module and its block can have this name: an object's could have dots, and begin with a digit.
pub(in crate::render) fn check(name: &str) -> Result<(), NameError> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let all = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if first && all { Ok(()) } else { Err(NameError::Characters(name.to_owned())) }
}

/// The words of CIL's expressions and sets: as a type or permission each stands for many.
const WORDS: [&str; 10] =
    ["all", "and", "eq", "neq", "not", "notself", "or", "other", "range", "xor"];

/// What a profile names and would get around the refusals by.
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
        return Some(format!("the {what} {name} is a word of CIL that stands for many: name each"));
    }
    let part = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let bad = !name.split('.').all(part);
    bad.then(|| format!("the {what} {name} must begin with a letter, after each '.' too"))
}
