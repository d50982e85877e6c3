//! AppArmorProfile: which files, capabilities and networks a container may use. Pure.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rules::{
    Abstract, AllowedProtocols, CapabilityRules, ExecutableRules, FilesystemRules, MountOperation,
    MountRule, NetworkRules, PtraceAccess, PtraceRule, SignalAccess, SignalRule, UnixRule,
    UnixSocketType,
};

use super::{
    rule,
    spelling::spelled,
    status::{ProfileState, ProfileStatus},
};

mod rules;

spelled! {
    /// Whether the profile is enforced.
    #[derive(Default)]
    pub enum AppArmorMode {
        #[default]
        Enforce = "Enforce",
        Complain = "Complain",
    }
}

/// The AppArmor profile of a container.
#[derive(
    CustomResource, JsonSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize,
)]
#[kube(
    group = "security-profiles-operator.x-k8s.io",
    version = "v1",
    kind = "AppArmorProfile",
    plural = "apparmorprofiles",
    shortname = "aa",
    category = "security-profiles",
    status = "AppArmorProfileStatus",
    derive = "PartialEq",
    doc = "An AppArmor profile, which is loaded on every node: files, capabilities and networks of a container.",
    printcolumn(name = "Status", type_ = "string", json_path = ".status.status")
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rule::apparmor::source)]
pub struct AppArmorProfileSpec {
    /// Whether the profile is put on nodes: Enabled or Disabled. Default: Enabled.
    #[serde(default)]
    pub state: ProfileState,
    /// The spelling of state before v1: true is Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Enforce, or Complain (what is not allowed is logged and happens). Default: Enforce.
    #[serde(default)]
    pub mode: AppArmorMode,
    /// The spelling of mode before v1: true is Complain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complain_mode: Option<bool>,
    /// What the container may do. What is not named is refused.
    #[serde(rename = "abstract", default, skip_serializing_if = "Option::is_none")]
    pub abstract_: Option<Abstract>,
    /// The body of the profile in AppArmor's own language, in place of abstract. For administrators of the cluster:
    /// nothing in it is checked but its length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500_000))]
    pub policy: Option<String>,
}

impl AppArmorProfileSpec {
    /// Whether the profile is put on nodes, whichever spelling says so.
    pub fn effective_state(&self) -> ProfileState {
        self.state.or_disabled(self.disabled)
    }

    /// The mode, whichever spelling says so.
    pub fn effective_mode(&self) -> AppArmorMode {
        if self.complain_mode == Some(true) { AppArmorMode::Complain } else { self.mode }
    }
}

/// Where the profile is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct AppArmorProfileStatus {
    #[serde(flatten)]
    pub shared: ProfileStatus,
}
