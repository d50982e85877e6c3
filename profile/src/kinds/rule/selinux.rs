//! Names in an SELinux policy. Pure.

use super::{Rule, groups};

const NAME: &str = r"^[a-zA-Z0-9.\-_]+$";

const MESSAGE: &str =
    "an SELinux name must be letters, digits, '.', '-' and '_' only, such as var_log_t";

groups! {
    /// The name of a template or profile.
    name(attach) = vec![Rule::pattern(NAME, MESSAGE)];
    /// Types as the keys of a map.
    types(attach) = vec![Rule::new(
        format!("self.all(type, type == '@self' || type.matches(r'{NAME}'))"),
        "a type must be letters, digits, '.', '-' and '_' only, such as var_log_t; the profile's own type is @self",
        |value| keys(value).all(|name| name == "@self" || is_name(name)),
    )];
    /// Classes as the keys of a map.
    classes(attach) = vec![Rule::new(
        format!("self.all(class, class.matches(r'{NAME}'))"),
        "a class must be letters, digits, '.', '-' and '_' only, such as sock_file",
        |value| keys(value).all(is_name),
    )];
}

/// Whether a type, class or permission can have this name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
}

fn keys(value: &serde_json::Value) -> impl Iterator<Item = &str> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str())
}
