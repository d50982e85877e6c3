//! The image of a binding: one rule for each error of the parser. Pure.
//!
//! The API server has no parser, so each error is a regular expression over the whole text here; a test holds them
//! against the parser.

use super::{Rule, groups};
use crate::image::{ImageError, Pattern};

const TAG: &str = "[A-Za-z0-9_][A-Za-z0-9_.-]*|[A-Za-z0-9_.-]*[*?][A-Za-z0-9_.*?-]*";
const LABEL: &str = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?";
/// A first component that the grammar takes for a registry, good or bad, with its slash.
const REGISTRY: &str = r"([.:\[A-Z]|[^*/@.:\[A-Z][^/@.:\[A-Z]*[.:\[A-Z])[^/@]*/";
/// A first component that may stand for a registry and more, with its slash.
const WILD: &str = r"\*[A-Za-z0-9_.:\[\]*?-]*/";
/// In either case, so that a capital is one error and not two.
const COMPONENT: &str =
    r"([A-Za-z0-9]+((\.|_|__|-+)[A-Za-z0-9]+)*|[A-Za-z0-9._-]*[*?][A-Za-z0-9._*?-]*)";
/// What may stand after the name.
const REST: &str = "(:[^/@]*)?(@.*)?$";

groups! {
    /// The image of a binding.
    image(attach) = vec![
        rule(ImageError::Empty, matches(r"(?s)^[^@:]|^:[^@]*/")),
        rule(ImageError::BadRegistry, matches(&registry())),
        rule(ImageError::NameTooLong, length()),
        rule(ImageError::UpperCase, matches(&format!(r"(?s)^({WILD}|{REGISTRY})?[^@A-Z]*{REST}"))),
        rule(ImageError::BadName, matches(&name())),
        rule(ImageError::BadTag, tag()),
        rule(ImageError::GlobInDigest, matches("(?s)^[^@]*(@[^*?]*)?$")),
        rule(ImageError::BadDigest, digest()),
    ];
}

fn rule(error: ImageError, cel: String) -> Rule {
    Rule::new(cel, error.to_string(), move |value| {
        value.as_str().is_none_or(|text| Pattern::parse(text).err() != Some(error))
    })
}

fn matches(pattern: &str) -> String {
    format!("self.matches(r'{pattern}')")
}

/// No registry, or a good one.
fn registry() -> String {
    let host = format!(r"({LABEL}(\.{LABEL})*|\[[0-9A-Fa-f:]+\])(:[0-9]+)?");
    let glob = r"[A-Za-z0-9.:\[\]-]*[*?][A-Za-z0-9.:\[\]*?-]*";
    format!(r"(?s)^([^/@]*(@.*)?$|\*|[^.:\[A-Z/@]*/|({host}|{glob})/)")
}

/// A single component has `library/` before it, which counts as well.
fn length() -> String {
    let single = format!(r"(?s)^((index\.)?docker\.io/)?[^*/@:][^/@:]{{247,}}{REST}");
    format!(
        "{} && !{}",
        matches(&format!("(?s)^({REGISTRY})?[^@]{{0,255}}{REST}")),
        matches(&single)
    )
}

fn name() -> String {
    // A * that begins a name of several components has WILD's characters, not a component's.
    let first =
        r"([A-Za-z0-9._-]+[*?]|\?)[A-Za-z0-9._*?-]*/|[A-Za-z0-9]+((\.|_|__|-+)[A-Za-z0-9]+)*/";
    // An empty name is another error.
    format!("(?s)^((({WILD}|{REGISTRY}|{first})({COMPONENT}/)*)?{COMPONENT})?{REST}")
}

fn tag() -> String {
    let short = matches("(?s)^([^@]*/)?[^/@:]*(:[^/@]{1,128})?(@.*)?$");
    format!("{} && {short}", matches(&format!("(?s)^([^@]*/)?[^/@:]*(:({TAG}))?(@.*)?$")))
}

fn digest() -> String {
    let known = "sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}";
    let other = "[a-z][a-z0-9]*([+._-][a-z][a-z0-9]*)*:[0-9a-f]{32,256}";
    format!(
        "{} || ({} && !self.matches(r'@sha(256|384|512):'))",
        matches(&format!("(?s)^[^@]*(@({known}|.*[*?].*))?$")),
        matches(&format!("(?s)^[^@]*@({other})$")),
    )
}

#[cfg(test)]
mod tests;
