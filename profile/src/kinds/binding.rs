//! ProfileBinding: which profile the containers of which images get. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spelling::spelled;

spelled! {
    /// The kinds of profile that can be bound.
    pub enum ProfileKind {
        SeccompProfile = "SeccompProfile",
        SelinuxProfile = "SelinuxProfile",
        AppArmorProfile = "AppArmorProfile",
        RawSelinuxProfile = "RawSelinuxProfile",
    }
}

spelled! {
    /// What happens to a container that already names a profile.
    pub enum Override {
        Always = "Always",
        IfUnset = "IfUnset",
    }
}

spelled! {
    /// What happens to a pod when the bound profile does not exist.
    #[derive(Default)]
    pub enum WhenMissing {
        #[default]
        Admit = "Admit",
        Deny = "Deny",
    }
}

spelled! {
    /// What happens to a pod when the bound profile is not on the nodes yet.
    #[derive(Default)]
    pub enum WhenNotReady {
        #[default]
        Bind = "Bind",
        Gate = "Gate",
    }
}

/// The profile that a binding puts into containers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileRef {
    /// The kind of the profile: SeccompProfile, SelinuxProfile, AppArmorProfile or RawSelinuxProfile.
    pub kind: ProfileKind,
    /// The name of the profile. Profiles are cluster-wide, so there is no namespace.
    pub name: String,
}

/// Which containers get which profile.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "security-profiles-operator.x-k8s.io",
    version = "v1",
    kind = "ProfileBinding",
    plural = "profilebindings",
    namespaced,
    shortname = "pb",
    category = "security-profiles",
    status = "ProfileBindingStatus",
    derive = "PartialEq",
    doc = "Puts a security profile into the containers of this namespace that run an image.",
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.profileRef.kind"),
    printcolumn(name = "Profile", type_ = "string", json_path = ".spec.profileRef.name"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image"),
    printcolumn(name = "Workloads", type_ = "integer", json_path = ".status.workloadCount")
)]
#[serde(rename_all = "camelCase")]
pub struct ProfileBindingSpec {
    /// The profile that the containers get.
    pub profile_ref: ProfileRef,
    /// The image whose containers get the profile.
    pub image: String,
    /// Only pods with these labels. Default: every pod of the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// Only containers with these names; `*` and `?` are globs. Default: every container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers: Option<Vec<String>>,
    /// What happens to a container that already names a profile of this kind: Always (the binding replaces it) or
    /// IfUnset (it keeps its own). Default: Always, and IfUnset where image is *.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_: Option<Override>,
    /// What happens to a pod when the profile does not exist: Admit (it starts without the profile, and the client gets
    /// a warning) or Deny. Default: Admit.
    #[serde(default)]
    pub when_missing: WhenMissing,
    /// What happens to a pod when the profile is not on the nodes yet: Bind (it is bound and its containers wait for
    /// the profile) or Gate (a scheduling gate holds the pod until the profile is on the nodes that it may go to).
    /// Default: Bind.
    #[serde(default)]
    pub when_not_ready: WhenNotReady,
}

/// What the binding does at present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ProfileBindingStatus {
    /// Pods that got the profile from this binding, as namespace/pod: the first 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub active_workloads: Vec<String>,
    /// How many pods got the profile from this binding, all of them counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_count: Option<i32>,
}
