//! Which entries are written: rules in the form of the Security Profiles Operator's `logEnricherFilters`. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
#[error(
    "the filters are no list of rules such as {{\"priority\": 10, \"level\": \"None\", \"matchKeys\": [\"namespace\"], \"matchValues\": [\"default\"]}}"
)]
pub struct FilterError(#[from] serde_json::Error);

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    /// The lowest is asked first.
    priority: i64,
    level: Level,
    /// An entry that has all of these …
    match_keys: Vec<String>,
    /// … and in one of them one of these, or anything where there is none here.
    #[serde(default)]
    match_values: Vec<String>,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Level {
    /// It is written.
    Metadata,
    /// It is not.
    None,
}

/// Rules in the order in which they are asked; the first that fits decides, and without one an entry is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(Vec<Rule>);

impl std::str::FromStr for Filters {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rules: Vec<Rule> = serde_json::from_str(text)?;
        rules.sort_by_key(|rule| rule.priority);
        Ok(Self(rules))
    }
}

impl Filters {
    /// Whether an entry is written.
    pub fn let_through(&self, entry: &Map<String, Value>) -> bool {
        self.0.iter().find(|rule| rule.fits(entry)).is_none_or(|rule| rule.level == Level::Metadata)
    }
}

impl Rule {
    fn fits(&self, entry: &Map<String, Value>) -> bool {
        let values: Option<Vec<_>> = self.match_keys.iter().map(|key| entry.get(key)).collect();
        let Some(values) = values else { return false };
        let is = |value: &Value, right: &str| match value {
            Value::String(text) => text == right,
            Value::Number(number) => number.to_string() == right,
            Value::Bool(yes) => yes.to_string() == right,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        self.match_values.is_empty()
            || values.iter().any(|value| self.match_values.iter().any(|right| is(value, right)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn through(filters: &str, entry: &Value) -> bool {
        filters.parse::<Filters>().unwrap().let_through(entry.as_object().unwrap())
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let only_default = r#"[
            {"priority": 999, "level": "None", "matchKeys": ["type"], "matchValues": ["seccomp"]},
            {"priority": 100, "level": "Metadata", "matchKeys": ["namespace"], "matchValues": ["default"]}
        ]"#;
        assert!(through(only_default, &json!({"type": "seccomp", "namespace": "default"})));
        assert!(!through(only_default, &json!({"type": "seccomp", "namespace": "other"})));
        assert!(!through(only_default, &json!({"type": "seccomp"})));
        assert!(through(only_default, &json!({"type": "apparmor"})), "no rule fits");
        assert!(through("[]", &json!({"type": "seccomp"})));
    }

    #[test]
    fn all_keys_must_be_there_and_one_value_must_be_right() {
        let rule = r#"[{"priority": 1, "level": "None", "matchKeys": ["pid", "action"], "matchValues": ["7", "log"]}]"#;
        assert!(!through(rule, &json!({"pid": 7, "action": "errno"})));
        assert!(!through(rule, &json!({"pid": 8, "action": "log"})));
        assert!(through(rule, &json!({"pid": 8, "action": "errno"})));
        assert!(through(rule, &json!({"pid": 7})));
        let any = r#"[{"priority": 1, "level": "None", "matchKeys": ["pod"]}]"#;
        assert!(!through(any, &json!({"pod": "x"})));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in
            ["{}", r#"[{"priority": 1}]"#, r#"[{"priority": 1, "level": "Some", "matchKeys": []}]"#]
        {
            assert!(text.parse::<Filters>().is_err(), "{text}");
        }
    }
}
