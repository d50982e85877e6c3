//! ProfileBinding: which profile the containers of which images get. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{label_selector, rule, spelling::spelled};

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
    #[schemars(length(min = 1, max = 253), transform = rule::name::object)]
    pub name: String,
}

/// Which containers get which profile.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
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
    /// The image whose containers get the profile: a reference such as nginx:1.27 or nginx@sha256:... (in full), with
    /// the defaults of container runtimes (nginx is docker.io/library/nginx:latest). The globs * and ? may stand in
    /// registry, repository and tag: ghcr.io/acme/*, nginx:1.*, */nginx. A single * is every image that no more special
    /// binding of the same kind matches.
    #[schemars(length(max = 1024), transform = rule::image::image)]
    pub image: String,
    /// Only pods with these labels. Default: every pod of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector::schema")]
    pub pod_selector: Option<LabelSelector>,
    /// Only containers with these names, in which * and ? are globs. Default: every container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        inner(length(min = 1, max = 63)),
        transform = rule::name::container_globs
    )]
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
    #[schemars(length(max = 100), inner(length(max = 317)))]
    pub active_workloads: Vec<String>,
    /// How many pods got the profile from this binding, all of them counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub workload_count: Option<i32>,
}
