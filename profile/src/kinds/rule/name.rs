//! Names of objects and containers. Pure.

use super::{Rule, groups};

/// What the API server takes as the name of an object.
pub(crate) const DNS_SUBDOMAIN: &str =
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$";

pub(crate) const OBJECT_MESSAGE: &str = "a name must be lower-case letters, digits, '-' and '.', and begin and end with \
    a letter or digit, such as nginx-1.27";

/// Whether an object can have this name, but for its length.
pub(crate) fn is_object(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|&b| word(b) || b == b'-')
            && bytes.first().is_some_and(|&b| word(b))
            && bytes.last().is_some_and(|&b| word(b))
    };
    name.split('.').all(label)
}

groups! {
    /// The name of another object.
    object(attach) = vec![Rule::pattern(DNS_SUBDOMAIN, OBJECT_MESSAGE)];
    /// A list of container names.
    containers(attach_to_items) = vec![Rule::pattern(
        r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        "a container's name must be lower-case letters, digits and '-', and begin and end with a letter or digit, such \
         as log-agent",
    )];
    /// A list of globs over container names.
    container_globs(attach_to_items) = vec![Rule::pattern(
        r"^[a-z0-9*?]([a-z0-9*?-]*[a-z0-9*?])?$",
        "a container's name must be lower-case letters, digits and '-', with the globs '*' and '?', such as log-*",
    )];
}
