//! SelinuxProfile: what a container's process type may do to other types. Pure.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    rule,
    spelling::spelled,
    status::{ProfileState, ProfileStatus},
};

pub use refused::Permitted;

mod refused;

/// The permissions that are given, by type and class.
pub type Allow = BTreeMap<String, BTreeMap<String, Vec<String>>>;

spelled! {
    /// Whether the policy is enforced.
    #[derive(Default)]
    pub enum SelinuxMode {
        #[default]
        Enforcing = "Enforcing",
        Permissive = "Permissive",
    }
}

spelled! {
    /// Where an inherited template comes from.
    #[derive(Default)]
    pub enum InheritKind {
        #[default]
        System = "System",
        SelinuxProfile = "SelinuxProfile",
    }
}

/// A template or profile whose rules are taken over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inherit {
    /// System (a template that the node has) or SelinuxProfile (another profile). Default: System.
    #[serde(default)]
    pub kind: InheritKind,
    /// The name of the template or profile.
    #[schemars(length(min = 1, max = 253), transform = rule::selinux::name)]
    pub name: String,
}

/// The SELinux policy of a container.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[kube(
    group = "security-profiles-operator.x-k8s.io",
    version = "v1",
    kind = "SelinuxProfile",
    plural = "selinuxprofiles",
    shortname = "selp",
    category = "security-profiles",
    status = "SelinuxProfileStatus",
    derive = "PartialEq",
    doc = "An SELinux policy module, which is put on every node: what a container's process type may do.",
    printcolumn(name = "Usage", type_ = "string", json_path = ".status.usage"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.status")
)]
#[serde(rename_all = "camelCase")]
pub struct SelinuxProfileSpec {
    /// Whether the profile is put on nodes: Enabled or Disabled. Default: Enabled.
    #[serde(default)]
    pub state: ProfileState,
    /// The spelling of state before v1: true is Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Enforcing, or Permissive (what is not allowed is logged and happens). Default: Enforcing.
    #[serde(default)]
    pub mode: SelinuxMode,
    /// The spelling of mode before v1: true is Permissive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissive: Option<bool>,
    /// Templates and profiles whose rules are taken over. Default: the template container of the node.
    #[serde(default = "inherit_container")]
    #[schemars(length(max = 32))]
    pub inherit: Vec<Inherit>,
    /// The permissions that the container gets: type, then class, then a list of permissions. The type @self is the
    /// container's own process type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "allow_schema")]
    pub allow: Allow,
}

impl SelinuxProfileSpec {
    /// Whether the profile is put on nodes, whichever spelling says so.
    pub fn effective_state(&self) -> ProfileState {
        self.state.or_disabled(self.disabled)
    }

    /// The mode, whichever spelling says so.
    pub fn effective_mode(&self) -> SelinuxMode {
        if self.permissive == Some(true) { SelinuxMode::Permissive } else { self.mode }
    }
}

fn allow_schema(_: &mut SchemaGenerator) -> Schema {
    let mut classes = json_schema!({
        "type": "object", "maxProperties": 128,
        "additionalProperties": {
            "type": "array", "maxItems": 64,
            "items": { "type": "string", "maxLength": 64, "pattern": r"^[a-zA-Z0-9.\-_]+$" },
        },
    });
    rule::selinux::classes(&mut classes);
    let mut types = json_schema!({
        "type": "object", "maxProperties": 512,
        "additionalProperties": classes,
    });
    rule::selinux::types(&mut types);
    types
}

fn inherit_container() -> Vec<Inherit> {
    vec![Inherit { kind: InheritKind::System, name: "container".to_owned() }]
}

/// Where the profile is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SelinuxProfileStatus {
    #[serde(flatten)]
    pub shared: ProfileStatus,
    /// What a pod writes as seLinuxOptions.type to use the profile: NAME.process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub usage: Option<String>,
}
