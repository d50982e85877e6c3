//! A pod, reduced to what a controller needs of it: a thousand of them take little room. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::ObjectMeta;
use profile::{mechanism::Mechanism, pod::Gates};
use serde::Deserialize;

use super::{
    key::ProfileKey,
    place::{Affinity, Placement, Toleration},
};

/// The beta annotation for AppArmor, which the API server still turns into the field; the container's name follows.
const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// A pod. Of one whose containers have all ended, or that is under no profile of the node, little is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub uid: Box<str>,
    /// Whether not all of its containers have ended.
    pub live: bool,
    /// Empty where nothing is to be matched.
    pub labels: BTreeMap<String, String>,
    /// Those that are under a profile of the node.
    pub containers: Box<[Container]>,
    /// The profiles that it uses, whether or not they are there.
    pub uses: BTreeSet<ProfileKey>,
    /// Where it may go, while it waits behind our scheduling gate.
    pub gated: Option<Box<Placement>>,
}

/// A container that is under a profile of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    pub name: Box<str>,
    pub image: Box<str>,
    /// By mechanism, what the profile is called on the node.
    pub under: [Option<Box<str>>; Mechanism::ALL.len()],
}

impl Container {
    /// Whether it is under a profile of this name.
    pub fn is_under(&self, mechanism: Mechanism, local_name: &str) -> bool {
        self.under[mechanism as usize].as_deref() == Some(local_name)
    }
}

/// The part of a pod's spec that is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    security_context: Option<Context>,
    init_containers: Option<Vec<RawContainer>>,
    containers: Option<Vec<RawContainer>>,
    ephemeral_containers: Option<Vec<RawContainer>>,
    scheduling_gates: Gates,
    node_selector: Option<BTreeMap<String, String>>,
    affinity: Option<Affinity>,
    tolerations: Option<Vec<Toleration>>,
}

/// The part of a pod's status that is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    phase: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawContainer {
    name: String,
    image: Option<String>,
    security_context: Option<Context>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Context {
    privileged: Option<bool>,
    seccomp_profile: Option<Localhost>,
    app_armor_profile: Option<Localhost>,
    se_linux_options: Option<SelinuxOptions>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Localhost {
    r#type: String,
    localhost_profile: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SelinuxOptions {
    r#type: Option<String>,
}

impl Pod {
    /// Reduces an object.
    pub fn of(metadata: &ObjectMeta, spec: &PodSpec, status: Option<&PodStatus>) -> Self {
        let phase = status.and_then(|status| status.phase.as_deref());
        let mut pod = Self {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            live: !matches!(phase, Some("Succeeded" | "Failed")),
            ..Self::default()
        };
        if !pod.live {
            return pod;
        }
        let PodSpec {
            security_context,
            init_containers,
            containers,
            ephemeral_containers,
            scheduling_gates,
            node_selector,
            affinity,
            tolerations,
        } = spec;
        pod.gated = (*scheduling_gates == Gates::Ours).then(|| {
            Box::new(Placement::new(
                node_selector.as_ref(),
                affinity.as_ref(),
                tolerations.as_deref(),
            ))
        });
        let lists = [init_containers, containers, ephemeral_containers];
        let mut under_any = Vec::new();
        for raw in lists.into_iter().flatten().flatten() {
            let annotated = metadata.annotations.as_ref().and_then(|annotations| {
                annotations.get(&[APPARMOR_ANNOTATION, &raw.name].concat())
            });
            let under = Mechanism::ALL.map(|mechanism| {
                let (own, pod) = (raw.security_context.as_ref(), security_context.as_ref());
                under(mechanism, own, pod, annotated.map(String::as_str))
            });
            for (mechanism, name) in Mechanism::ALL.into_iter().zip(&under) {
                pod.uses.extend(name.iter().flat_map(|name| ProfileKey::meant(mechanism, name)));
            }
            // The kubelet gives a privileged container no seccomp profile, whatever its field says.
            let privileged =
                raw.security_context.as_ref().is_some_and(|c| c.privileged == Some(true));
            let mut under = under.map(|name| name.map(Into::into));
            if privileged {
                under[Mechanism::Seccomp as usize] = None;
            }
            if under.iter().any(Option::is_some) {
                let image = raw.image.as_deref().unwrap_or_default().into();
                under_any.push(Container { name: (*raw.name).into(), image, under });
            }
        }
        // The pod's own sandbox runs under what the pod says.
        for mechanism in Mechanism::ALL {
            let name = under(mechanism, None, security_context.as_ref(), None);
            pod.uses.extend(name.iter().flat_map(|name| ProfileKey::meant(mechanism, name)));
        }
        if !under_any.is_empty() {
            pod.labels = metadata.labels.clone().unwrap_or_default();
        }
        pod.containers = under_any.into();
        pod
    }
}

/// The profile of the node that a container is under, as admission sees it: its own field comes before the pod's, and its
/// SELinux options replace the pod's as a whole.
fn under<'a>(
    mechanism: Mechanism,
    own: Option<&'a Context>,
    pod: Option<&'a Context>,
    annotated: Option<&'a str>,
) -> Option<&'a str> {
    fn profile(of: Option<&Localhost>) -> Option<&Localhost> {
        of.filter(|profile| !profile.r#type.is_empty())
    }
    fn localhost(profile: &Localhost) -> Option<&str> {
        profile.localhost_profile.as_deref().filter(|_| profile.r#type == "Localhost")
    }
    match mechanism {
        Mechanism::Seccomp => {
            let of = |context: Option<&'a Context>| profile(context?.seccomp_profile.as_ref());
            of(own).or_else(|| of(pod)).and_then(localhost)
        }
        Mechanism::Apparmor => {
            let of = |context: Option<&'a Context>| profile(context?.app_armor_profile.as_ref());
            match (of(own), annotated) {
                (Some(profile), _) => localhost(profile),
                (None, Some(value)) => value.strip_prefix("localhost/"),
                (None, None) => of(pod).and_then(localhost),
            }
        }
        Mechanism::Selinux => {
            let of = |context: Option<&'a Context>| context?.se_linux_options.as_ref();
            of(own).or_else(|| of(pod))?.r#type.as_deref().filter(|name| !name.is_empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use profile::kinds::ProfileKind;
    use serde_json::{Value, json};

    use super::*;

    fn pod(spec: &Value, phase: &str) -> Pod {
        let metadata = serde_json::from_value(json!({
            "name": "p", "uid": "u", "labels": { "app": "web" },
            "annotations": { "container.apparmor.security.beta.kubernetes.io/old": "localhost/aa" },
        }));
        let spec = serde_json::from_value(spec.clone()).unwrap();
        let status = PodStatus { phase: Some(phase.to_owned()) };
        Pod::of(&metadata.unwrap(), &spec, Some(&status))
    }

    fn seccomp(name: &str) -> Value {
        json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": name } })
    }

    #[test]
    fn what_a_pod_uses_is_read_from_every_place_that_names_a_profile() {
        let spec = json!({
            "securityContext": { "seLinuxOptions": { "type": "se.process" } },
            "initContainers": [{ "name": "i", "securityContext": seccomp("operator/init.json") }],
            "containers": [
                { "name": "a", "image": "nginx", "securityContext": seccomp("operator/a.json") },
                { "name": "old" },
            ],
            "ephemeralContainers": [{ "name": "e", "securityContext": {
                "appArmorProfile": { "type": "Localhost", "localhostProfile": "debug" },
            }}],
        });
        let pod = pod(&spec, "Running");
        let uses: Vec<_> = pod.uses.iter().map(ToString::to_string).collect();
        let expected = [
            "SeccompProfile a",
            "SeccompProfile init",
            "SelinuxProfile se",
            "AppArmorProfile aa",
            "AppArmorProfile debug",
            "RawSelinuxProfile se",
        ];
        assert_eq!(uses, expected);
        assert_eq!(pod.containers.len(), 4, "the pod's SELinux type holds for all of them");
        assert!(pod.containers[1].is_under(Mechanism::Seccomp, "operator/a.json"));
        assert!(pod.containers[1].is_under(Mechanism::Selinux, "se.process"));
    }

    #[test]
    fn a_containers_own_field_hides_the_pods() {
        let spec = json!({
            "securityContext": {
                "seLinuxOptions": { "type": "se.process" },
                "seccompProfile": { "type": "Localhost", "localhostProfile": "operator/all.json" },
            },
            "containers": [{ "name": "a", "securityContext": {
                "seLinuxOptions": { "level": "s0" }, "seccompProfile": { "type": "RuntimeDefault" },
            }}],
        });
        let pod = pod(&spec, "Running");
        assert_eq!(pod.containers.len(), 0);
        let all = ProfileKey::new(ProfileKind::SeccompProfile, "all");
        assert!(pod.uses.contains(&all), "the sandbox is under it all the same");
    }

    #[test]
    fn a_privileged_container_uses_its_seccomp_profile_but_is_not_under_it() {
        let mut context = seccomp("operator/a.json");
        context["privileged"] = json!(true);
        let spec = json!({ "containers": [{ "name": "a", "securityContext": context }] });
        let pod = pod(&spec, "Running");
        assert_eq!((pod.uses.len(), pod.containers.len()), (1, 0));
    }

    #[test]
    fn a_pod_that_has_ended_uses_nothing() {
        let spec = json!({ "containers": [{ "name": "a", "securityContext": seccomp("operator/a.json") }] });
        for phase in ["Succeeded", "Failed"] {
            let pod = pod(&spec, phase);
            assert!(!pod.live && pod.uses.is_empty() && pod.containers.is_empty());
        }
        assert!(!pod(&spec, "Pending").uses.is_empty(), "one that has not begun will");
    }
}
