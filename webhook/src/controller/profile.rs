//! A profile of any kind, reduced to what its status depends on. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::ObjectMeta;
use profile::kinds::{NodeCount, ProfileKind, ProfileState, selinux::InheritKind};
use serde::Deserialize;

use super::key::{Named, ProfileKey};

/// Keeps a profile for as long as a pod uses it.
pub const IN_USE: &str = "spo.x-k8s.io/in-use";

/// The name of the recording, its namespace, and the container that a profile is of.
pub const RECORDING: &str = "spo.x-k8s.io/recording-id";
pub const RECORDING_NAMESPACE: &str = "spo.x-k8s.io/recording-namespace";
pub const CONTAINER: &str = "spo.x-k8s.io/container-id";
/// There while more may come.
pub const PARTIAL: &str = "spo.x-k8s.io/partial";

/// A profile that is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    pub uid: Box<str>,
    pub version: Box<str>,
    pub generation: i64,
    pub enabled: bool,
    pub deleting: bool,
    /// Whether our finalizer is on it.
    pub held: bool,
    /// The finalizers of others.
    pub others: Box<[Box<str>]>,
    /// The profiles that it builds on.
    pub bases: Box<[ProfileKey]>,
    /// The recording that it is a part of, which may be going on.
    pub part_of: Option<Part>,
    /// What its status says.
    pub status: Status,
}

/// Where a partial profile comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub recording: Named,
    pub container: Box<str>,
}

/// What the status of a profile says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    pub status: Option<String>,
    pub conditions: Vec<Condition>,
    pub nodes: Option<NodeCount>,
    pub observed_generation: Option<i64>,
    pub localhost_profile: Option<String>,
    pub usage: Option<String>,
}

/// The part of a spec that is read, the same in all four kinds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    state: ProfileState,
    disabled: Option<bool>,
    base_profile_name: Option<String>,
    inherit: Vec<Inherit>,
}

#[derive(Clone, Debug, Deserialize)]
struct Inherit {
    #[serde(default)]
    kind: InheritKind,
    name: String,
}

impl Profile {
    /// Reduces an object.
    pub fn of(
        kind: ProfileKind,
        metadata: &ObjectMeta,
        spec: &Spec,
        status: Option<&Status>,
    ) -> Self {
        let text = |field: &Option<String>| field.as_deref().unwrap_or_default().into();
        let finalizers = metadata.finalizers.iter().flatten();
        let labels = metadata.labels.as_ref();
        let label = |key| labels.and_then(|labels| labels.get(key)).map(String::as_str);
        let part_of = label(PARTIAL).filter(|partial| *partial == "true").map(|_| Part {
            recording: Named::new(
                label(RECORDING_NAMESPACE).unwrap_or_default(),
                label(RECORDING).unwrap_or_default(),
            ),
            container: label(CONTAINER).unwrap_or_default().into(),
        });
        Self {
            uid: text(&metadata.uid),
            version: text(&metadata.resource_version),
            generation: metadata.generation.unwrap_or_default(),
            enabled: spec.state.or_disabled(spec.disabled) == ProfileState::Enabled,
            deleting: metadata.deletion_timestamp.is_some(),
            held: finalizers.clone().any(|finalizer| finalizer == IN_USE),
            others: finalizers
                .filter(|finalizer| *finalizer != IN_USE)
                .map(|finalizer| (**finalizer).into())
                .collect(),
            bases: spec.bases(kind).collect(),
            part_of,
            status: status.cloned().unwrap_or_default(),
        }
    }
}

impl Spec {
    fn bases(&self, kind: ProfileKind) -> impl Iterator<Item = ProfileKey> {
        // An image is no profile of the cluster's.
        let base = self.base_profile_name.iter().filter(|name| !name.contains("://"));
        let base = base.filter(move |_| kind == ProfileKind::SeccompProfile).map(String::as_str);
        let inherited = self.inherit.iter().filter(move |inherit| {
            kind == ProfileKind::SelinuxProfile && inherit.kind == InheritKind::SelinuxProfile
        });
        let inherited = inherited.map(|inherit| &*inherit.name);
        base.chain(inherited).map(move |name| ProfileKey::new(kind, name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn profile(kind: ProfileKind, metadata: &Value, spec: &Value) -> Profile {
        let metadata = ObjectMeta::deserialize(metadata).unwrap();
        Profile::of(kind, &metadata, &Spec::deserialize(spec).unwrap(), None)
    }

    #[test]
    fn bases_are_profiles_of_the_cluster() {
        let bases = |kind, spec: &Value| {
            let profile = profile(kind, &json!({}), spec);
            profile.bases.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let seccomp = ProfileKind::SeccompProfile;
        assert_eq!(bases(seccomp, &json!({ "baseProfileName": "runc" })), ["SeccompProfile runc"]);
        assert!(bases(seccomp, &json!({ "baseProfileName": "oci://ghcr.io/a/b" })).is_empty());
        let inherit = json!({ "inherit": [
            { "name": "container" }, { "kind": "SelinuxProfile", "name": "net" },
        ]});
        assert_eq!(bases(ProfileKind::SelinuxProfile, &inherit), ["SelinuxProfile net"]);
    }

    #[test]
    fn finalizers_of_others_are_told_from_ours() {
        let of = |finalizers: &[&str]| {
            let profile = profile(
                ProfileKind::AppArmorProfile,
                &json!({ "finalizers": finalizers }),
                &json!({ "disabled": true }),
            );
            assert!(!profile.enabled);
            (profile.held, profile.others.len())
        };
        assert_eq!(of(&[]), (false, 0));
        assert_eq!(of(&[IN_USE]), (true, 0));
        assert_eq!(of(&["a/b", IN_USE]), (true, 1));
    }
}
