//! What the API server checks of an object, for objects that come from a folder. Pure.
//!
//! The checks are read from the schema itself, so none can be forgotten here: bounds, patterns and enums as they
//! stand, rules by their Rust half.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex_lite::Regex;
use serde_json::Value;

use super::rule::{self, Rule, name};

/// Something in an object that the API server would refuse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is, such as `spec.syscalls[0].args`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// An object that can be checked.
pub trait Validate {
    /// Everything that is wrong with it, in the order of its fields.
    fn validate(&self) -> Vec<Problem>;
}

/// What a schema asks of a value, and of the values inside it.
pub(crate) struct Checks {
    bounds: Bounds,
    pattern: Option<Regex>,
    rules: Vec<&'static Rule>,
    unique: bool,
    properties: BTreeMap<String, Self>,
    /// Of each item of a list, or each value of a map.
    each: Option<Box<Self>>,
}

struct Bounds {
    length: (usize, usize),
    items: (usize, usize),
    entries: usize,
    range: (f64, f64),
}

impl Checks {
    /// Reads the checks of a definition's first version.
    pub(crate) fn of(crd: &CustomResourceDefinition) -> Self {
        let schema = crd.spec.versions[0].schema.as_ref();
        let schema = schema.and_then(|schema| schema.open_api_v3_schema.as_ref());
        Self::read(schema.expect("a derived definition has a schema"))
    }

    fn read(schema: &JSONSchemaProps) -> Self {
        let each = match (&schema.items, &schema.additional_properties) {
            (Some(JSONSchemaPropsOrArray::Schema(each)), _)
            | (_, Some(JSONSchemaPropsOrBool::Schema(each))) => Some(Box::new(Self::read(each))),
            _ => None,
        };
        let properties = schema.properties.iter().flatten();
        Self {
            bounds: Bounds::read(schema),
            pattern: schema.pattern.as_deref().map(|p| Regex::new(p).expect("a tested pattern")),
            rules: schema
                .x_kubernetes_validations
                .iter()
                .flatten()
                .map(|r| find(&r.rule))
                .collect(),
            unique: schema.x_kubernetes_list_type.as_deref() == Some("set"),
            properties: properties.map(|(name, s)| (name.clone(), Self::read(s))).collect(),
            each,
        }
    }

    /// Checks an object: its name, and everything that the schema says.
    pub(crate) fn run(&self, object: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if name.len() > 253 || !name::is_object(name) {
            let message = name::OBJECT_MESSAGE.to_owned();
            problems.push(Problem { field: "metadata.name".to_owned(), message });
        }
        self.walk(object, "", &mut problems);
        problems
    }

    fn walk(&self, value: &Value, field: &str, problems: &mut Vec<Problem>) {
        let mut report = |message| problems.push(Problem { field: field.to_owned(), message });
        self.bounds.check(value, &mut report);
        if let (Some(pattern), Some(text)) = (&self.pattern, value.as_str())
            && !pattern.is_match(text)
        {
            report(format!("{text:?} must match {pattern}"));
        }
        for rule in self.rules.iter().filter(|rule| !rule.holds(value)) {
            report(rule.message.clone().into_owned());
        }
        match value {
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    let field = format!("{field}[{place}]");
                    if self.unique && items[..place].contains(item) {
                        let message = format!("{item} is there already: leave out the second one");
                        problems.push(Problem { field: field.clone(), message });
                    }
                    self.each.iter().for_each(|each| each.walk(item, &field, problems));
                }
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    let dot = if field.is_empty() { "" } else { "." };
                    if let Some(checks) = self.properties.get(key).or(self.each.as_deref()) {
                        checks.walk(value, &format!("{field}{dot}{key}"), problems);
                    }
                }
            }
            _ => (),
        }
    }
}

impl Bounds {
    fn read(schema: &JSONSchemaProps) -> Self {
        let size = |bound: Option<i64>, default| {
            bound.map_or(default, |n| n.try_into().unwrap_or(default))
        };
        Self {
            length: (size(schema.min_length, 0), size(schema.max_length, usize::MAX)),
            items: (size(schema.min_items, 0), size(schema.max_items, usize::MAX)),
            entries: size(schema.max_properties, usize::MAX),
            range: (schema.minimum.unwrap_or(f64::MIN), schema.maximum.unwrap_or(f64::MAX)),
        }
    }

    fn check(&self, value: &Value, report: &mut impl FnMut(String)) {
        let mut within = |what: &str, size: usize, (least, most): (usize, usize)| {
            if size < least {
                report(format!("must have {least} or more {what}"));
            } else if size > most {
                report(format!("must have at most {most} {what}, but has {size}"));
            }
        };
        match value {
            Value::String(text) => within("characters", text.chars().count(), self.length),
            Value::Array(items) => within("items", items.len(), self.items),
            Value::Object(entries) => within("entries", entries.len(), (0, self.entries)),
            Value::Number(number) => {
                let (least, most) = self.range;
                if number.as_f64().is_some_and(|n| n < least || n > most) {
                    report(format!("must be from {least} to {most}"));
                }
            }
            _ => (),
        }
    }
}

/// The Rust half of a rule in a schema.
fn find(cel: &str) -> &'static Rule {
    rule::all().find(|rule| rule.cel == cel).expect("every rule in a schema is attached from there")
}
