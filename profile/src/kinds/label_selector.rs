//! The schema of label selectors, with the bounds and rules that Kubernetes' own leaves out. Pure.

use schemars::{Schema, SchemaGenerator, json_schema, transform::Transform as _};

use super::rule::selector::requirement;

const KEY: &str =
    r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$";
const VALUE: &str = "^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$";

pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    let mut expression = json_schema!({
        "description": "A key, an operator and values. The label must be as they say.",
        "type": "object",
        "required": ["key", "operator"],
        "properties": {
            "key": {
                "description": "The key of the label.",
                "type": "string", "maxLength": 317, "pattern": KEY,
            },
            "operator": {
                "description": "In (the label has one of values), NotIn (it has none of them, or is not there), Exists \
                    or DoesNotExist.",
                "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
            },
            "values": {
                "description": "The values, for In and NotIn.",
                "type": "array", "maxItems": 256,
                "items": { "type": "string", "maxLength": 63, "pattern": VALUE },
            },
        },
    });
    requirement.transform(&mut expression);
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "description": "Labels that the pod must have, by key and value.",
                "type": "object", "maxProperties": 64,
                "additionalProperties": { "type": "string", "maxLength": 63, "pattern": VALUE },
            },
            "matchExpressions": {
                "description": "Requirements that the pod's labels must meet, all of them.",
                "type": "array", "maxItems": 64,
                "items": expression,
            },
        },
    })
}
