//! Label selectors, parsed once and matched often. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Labels to be matched.
pub trait Labels {
    /// The value of a label, if it is there.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for std::collections::BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// A compiled label selector; without requirements it selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: Box<str>,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Box<[Box<str>]>),
    NotIn(Box<[Box<str>]>),
    Exists,
    DoesNotExist,
}

/// Why a selector means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    #[error(
        "unknown operator {operator:?} for key {key:?}: one of In, NotIn, Exists, DoesNotExist is needed"
    )]
    Operator { key: String, operator: String },
    #[error("operator {operator} for key {key:?} needs at least one value")]
    NoValues { key: String, operator: String },
    #[error("operator {operator} for key {key:?} takes no values")]
    Values { key: String, operator: String },
}

impl Selector {
    /// Compiles a selector of the Kubernetes API.
    ///
    /// # Errors
    /// When an operator is unknown or has the wrong number of values.
    pub fn new(selector: &LabelSelector) -> Result<Self, SelectorError> {
        let equal = selector.match_labels.iter().flatten().map(|(key, value)| {
            Ok(Requirement { key: (**key).into(), test: Test::In([(**value).into()].into()) })
        });
        let expressions = selector.match_expressions.iter().flatten().map(|expression| {
            let (key, operator) = (&expression.key, &expression.operator);
            let values: Box<[Box<str>]> =
                expression.values.iter().flatten().map(|v| (**v).into()).collect();
            let owned = || (key.clone(), operator.clone());
            let (needs_values, test) = match operator.as_str() {
                "In" => (true, Test::In(values.clone())),
                "NotIn" => (true, Test::NotIn(values.clone())),
                "Exists" => (false, Test::Exists),
                "DoesNotExist" => (false, Test::DoesNotExist),
                _ => {
                    let (key, operator) = owned();
                    return Err(SelectorError::Operator { key, operator });
                }
            };
            let (key, operator) = owned();
            match (needs_values, values.is_empty()) {
                (true, true) => Err(SelectorError::NoValues { key, operator }),
                (false, false) => Err(SelectorError::Values { key, operator }),
                _ => Ok(Requirement { key: key.into(), test }),
            }
        });
        equal.chain(expressions).collect::<Result<_, _>>().map(Self)
    }

    /// Whether labels meet every requirement.
    pub fn matches(&self, labels: &impl Labels) -> bool {
        self.0.iter().all(|Requirement { key, test }| {
            let value = labels.label(key);
            match test {
                Test::In(values) => value.is_some_and(|v| values.iter().any(|w| **w == *v)),
                Test::NotIn(values) => value.is_none_or(|v| values.iter().all(|w| **w != *v)),
                Test::Exists => value.is_some(),
                Test::DoesNotExist => value.is_none(),
            }
        })
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn selector(json: serde_json::Value) -> Result<Selector, SelectorError> {
        Selector::new(&serde_json::from_value(json).unwrap())
    }

    fn expression(operator: &str, values: &[&str]) -> serde_json::Value {
        json!({"matchExpressions": [{"key": "app", "operator": operator, "values": values}]})
    }

    #[rstest]
    #[case("In", &["web", "db"], [true, false, false])]
    #[case("NotIn", &["web", "db"], [false, true, true])]
    #[case("Exists", &[], [true, true, false])]
    #[case("DoesNotExist", &[], [false, false, true])]
    fn operators_mean_what_the_api_says(
        #[case] operator: &str,
        #[case] values: &[&str],
        #[case] expected: [bool; 3],
    ) {
        let selector = selector(expression(operator, values)).unwrap();
        let labels = |app: &str| BTreeMap::from([("app".to_owned(), app.to_owned())]);
        let got = [labels("web"), labels("cache"), BTreeMap::new()]
            .map(|labels| selector.matches(&labels));
        assert_eq!(got, expected);
    }

    #[test]
    fn all_requirements_must_be_met() {
        let selector = selector(json!({"matchLabels": {"a": "1", "b": "2"}})).unwrap();
        let labels = |b: &str| BTreeMap::from([("a".into(), "1".into()), ("b".into(), b.into())]);
        assert!(selector.matches(&labels("2")) && !selector.matches(&labels("3")));
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        assert!(selector(json!({})).unwrap().matches(&BTreeMap::new()));
    }

    #[rstest]
    #[case("Equals", &["a"], "unknown operator \"Equals\" for key \"app\": one of In, NotIn, Exists, DoesNotExist is needed")]
    #[case("In", &[], "operator In for key \"app\" needs at least one value")]
    #[case("Exists", &["a"], "operator Exists for key \"app\" takes no values")]
    fn names_what_is_wrong(#[case] operator: &str, #[case] values: &[&str], #[case] text: &str) {
        assert_eq!(selector(expression(operator, values)).unwrap_err().to_string(), text);
    }
}
