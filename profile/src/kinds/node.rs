//! NodeSecurityProfiles: what one node has installed. Pure.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ProfileKind, spelling::spelled};

spelled! {
    /// How far a profile is on a node.
    pub enum NodeProfileState {
        Pending = "Pending",
        Installed = "Installed",
        Failed = "Failed",
        /// Nobody asks for it any more, but something on the node uses it.
        Terminating = "Terminating",
    }
}

/// Nothing: the node alone writes the object, and only its status.
#[derive(
    CustomResource, JsonSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize,
)]
#[kube(
    group = "security-profiles-operator.x-k8s.io",
    version = "v1",
    kind = "NodeSecurityProfiles",
    plural = "nodesecurityprofiles",
    singular = "nodesecurityprofiles",
    shortname = "nsp",
    category = "security-profiles",
    status = "NodeSecurityProfilesStatus",
    derive = "PartialEq",
    no_spec,
    doc = "What the node of the same name has installed. Written by the node, not by users.",
    printcolumn(name = "Installed", type_ = "integer", json_path = ".status.installed"),
    printcolumn(name = "Pending", type_ = "integer", json_path = ".status.pending"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct NodeSecurityProfilesSpec {}

/// What the node has installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSecurityProfilesStatus {
    /// How many profiles are installed.
    #[schemars(range(min = 0))]
    pub installed: i32,
    /// How many profiles wait to be installed.
    #[schemars(range(min = 0))]
    pub pending: i32,
    /// How many profiles could not be installed.
    #[schemars(range(min = 0))]
    pub failed: i32,
    /// Every profile that the node has or should have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8192),
        // The node alone writes it, and as a whole: who owns which entry would be as long as the list itself.
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub profiles: Vec<NodeProfile>,
}

/// One profile on the node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeProfile {
    /// The kind of the profile.
    pub kind: ProfileKind,
    /// The name of the profile.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Pending, Installed, Failed or Terminating (no object asks for it, but something on the node uses it).
    pub state: NodeProfileState,
    /// The generation of the profile that the node has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Why it could not be installed, or why it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}
