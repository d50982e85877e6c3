//! What the four profile kinds have in common: the switch in the spec, and the status. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spelling::spelled;

spelled! {
    /// Whether a profile is put on nodes.
    #[derive(Default)]
    pub enum ProfileState {
        #[default]
        Enabled = "Enabled",
        Disabled = "Disabled",
    }
}

spelled! {
    /// How far a profile is.
    pub enum ProfilePhase {
        /// A part of a recording that is not merged yet.
        Partial = "Partial",
        Disabled = "Disabled",
        Pending = "Pending",
        InProgress = "InProgress",
        Installed = "Installed",
        Terminating = "Terminating",
        Error = "Error",
    }
}

impl ProfileState {
    /// With what `spec.disabled` says, which was the switch before v1 and which manifests in the wild still carry.
    #[must_use]
    pub fn or_disabled(self, disabled: Option<bool>) -> Self {
        if disabled == Some(true) { Self::Disabled } else { self }
    }
}

/// How many nodes have the profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeCount {
    /// Nodes that should have the profile.
    #[schemars(range(min = 0))]
    pub desired: i32,
    /// Nodes that have it in the newest form.
    #[schemars(range(min = 0))]
    pub installed: i32,
    /// Nodes on which it could not be installed.
    #[schemars(range(min = 0))]
    pub failed: i32,
}

/// The status that every profile kind has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ProfileStatus {
    /// How far the profile is: Partial (a part of a recording), Disabled, Pending, InProgress, Installed, Terminating
    /// or Error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ProfilePhase>,
    /// The condition Ready, with the reason Available, Unavailable, Creating, Deleting, Pending or Updating.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]),
        transform = bound_conditions
    )]
    pub conditions: Vec<Condition>,
    /// How many nodes should have the profile, have it, and failed to install it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeCount>,
    /// The generation of the profile that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Gives the texts of conditions the bounds that they have in Kubernetes' own kinds.
fn bound_conditions(schema: &mut Schema) {
    let bounds = [("type", 316), ("status", 16), ("reason", 1024), ("message", 32768)];
    for (name, most) in bounds {
        let text = schema.pointer_mut(&format!("/items/properties/{name}"));
        if let Some(Value::Object(text)) = text {
            text.insert("maxLength".to_owned(), most.into());
        }
    }
}
