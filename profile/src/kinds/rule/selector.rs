//! Label selectors, whose operators want values or none. Pure.

use super::{Rule, groups};

groups! {
    /// One requirement of a selector.
    requirement(attach) = vec![Rule::new(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
        "operators In and NotIn need at least one of values, Exists and DoesNotExist take none",
        |value| {
            let wants = matches!(value["operator"].as_str(), Some("In" | "NotIn"));
            wants == value["values"].as_array().is_some_and(|values| !values.is_empty())
        },
    )];
}
