//! RawSelinuxProfile: the CIL text of a container's policy, as its author wrote it. Pure.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problem, selinux::SelinuxProfileStatus, status::ProfileState};

mod cil;

/// The SELinux policy of a container, in CIL.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[kube(
    group = "security-profiles-operator.x-k8s.io",
    version = "v1",
    kind = "RawSelinuxProfile",
    plural = "rawselinuxprofiles",
    category = "security-profiles",
    status = "SelinuxProfileStatus",
    derive = "PartialEq",
    doc = "An SELinux policy module in CIL, which is put on every node.",
    printcolumn(name = "Usage", type_ = "string", json_path = ".status.usage"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.status")
)]
#[serde(rename_all = "camelCase")]
pub struct RawSelinuxProfileSpec {
    /// Whether the profile is put on nodes: Enabled or Disabled. Default: Enabled.
    #[serde(default)]
    pub state: ProfileState,
    /// The spelling of state before v1: true is Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// The body of the module's CIL block, without the block itself: at most 500000 characters. Only statements about the
    /// block's own types have an effect, such as (blockinherit container) and (allow process var_log_t (file (read)));
    /// a profile with another one, or with a parenthesis that is not closed, is not installed.
    #[schemars(length(min = 1, max = 500_000))]
    pub policy: String,
}

impl RawSelinuxProfileSpec {
    /// Whether the profile is put on nodes, whichever spelling says so.
    pub fn effective_state(&self) -> ProfileState {
        self.state.or_disabled(self.disabled)
    }
}

/// What the API server cannot check: it has no parser.
pub(super) fn problems(profile: &RawSelinuxProfile) -> Vec<Problem> {
    let problem = |error: cil::CilError| Problem {
        field: "spec.policy".to_owned(),
        message: error.to_string(),
    };
    cil::check(&profile.spec.policy).err().map(problem).into_iter().collect()
}
