//! Checks that OpenAPI has no words for: each in CEL for the API server and in Rust for folders, with one message. Pure.

use std::borrow::Cow;

use regex_lite::Regex;
use schemars::Schema;
use serde_json::{Value, json};

pub(crate) mod apparmor;
pub(crate) mod image;
pub(crate) mod name;
pub(crate) mod recording;
pub(crate) mod seccomp;
pub(crate) mod selector;
pub(crate) mod selinux;

/// One check of one value.
pub(crate) struct Rule {
    /// The check in CEL, where the value is `self`.
    pub(crate) cel: Cow<'static, str>,
    /// What is wrong and what would be right, for a person.
    pub(crate) message: Cow<'static, str>,
    test: Test,
}

enum Test {
    Pattern(Regex),
    Holds(Box<dyn Fn(&Value) -> bool + Send + Sync>),
}

impl Rule {
    /// A check that the API server and Rust both do with one regular expression, within their common syntax.
    fn pattern(pattern: &str, message: &'static str) -> Self {
        Self {
            cel: format!("self.matches(r'{pattern}')").into(),
            message: message.into(),
            test: Test::Pattern(Regex::new(pattern).expect("a test compiles every rule")),
        }
    }

    fn new(
        cel: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
        holds: impl Fn(&Value) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { cel: cel.into(), message: message.into(), test: Test::Holds(Box::new(holds)) }
    }

    /// Whether a value passes.
    pub(crate) fn holds(&self, value: &Value) -> bool {
        match &self.test {
            Test::Pattern(pattern) => value.as_str().is_none_or(|text| pattern.is_match(text)),
            Test::Holds(holds) => holds(value),
        }
    }
}

/// Every rule.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    let names = apparmor::all().chain(image::all()).chain(name::all()).chain(recording::all());
    names.chain(seccomp::all()).chain(selector::all()).chain(selinux::all())
}

/// Writes rules into the schema of what they check.
fn attach(schema: &mut Schema, rules: &[Rule]) {
    let list = schema.ensure_object().entry("x-kubernetes-validations").or_insert(json!([]));
    if let Value::Array(list) = list {
        list.extend(rules.iter().map(|rule| json!({ "rule": rule.cel, "message": rule.message })));
    }
}

/// Writes rules into the schema of each item of a list.
fn attach_to_items(schema: &mut Schema, rules: &[Rule]) {
    if let Some(items) = schema.get_mut("items").and_then(|items| items.try_into().ok()) {
        attach(items, rules);
    }
}

/// Declares groups of rules, and for each the function that writes it into a schema.
macro_rules! groups {
    ($($(#[$meta:meta])* $name:ident($attach:ident) = $rules:expr;)+) => {
        static GROUPS: std::sync::LazyLock<Vec<(&str, Vec<Rule>)>> =
            std::sync::LazyLock::new(|| vec![$((stringify!($name), $rules)),+]);

        pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
            GROUPS.iter().flat_map(|(_, rules)| rules)
        }

        $(
            $(#[$meta])*
            pub(crate) fn $name(schema: &mut schemars::Schema) {
                let group = GROUPS.iter().filter(|(name, _)| *name == stringify!($name));
                group.for_each(|(_, rules)| $crate::kinds::rule::$attach(schema, rules));
            }
        )+
    };
}
use groups;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_and_end_without_a_full_stop() {
        for rule in all() {
            assert!(
                !rule.message.contains('\n') && !rule.message.ends_with('.'),
                "{}",
                rule.message
            );
        }
    }
}
