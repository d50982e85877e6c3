//! Which profiles the pods of this node use. Pure.

use std::collections::{BTreeMap, BTreeSet};

use profile::mechanism::Mechanism;
use serde::Deserialize;

use crate::plan::Use;

/// What pods use, by mechanism and name of the profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<(Mechanism, Box<str>), BTreeSet<Box<str>>>);

/// The part of a pod's spec that names profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    security_context: Context,
    init_containers: Vec<Container>,
    containers: Vec<Container>,
    ephemeral_containers: Vec<Container>,
}

/// The part of a pod's status that tells whether it still runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    phase: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    security_context: Context,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Context {
    seccomp_profile: Localhost,
    app_armor_profile: Localhost,
    se_linux_options: SelinuxOptions,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Localhost {
    localhost_profile: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct SelinuxOptions {
    r#type: Option<String>,
}

/// The profiles that a pod uses.
pub type Used = BTreeSet<(Mechanism, Box<str>)>;

/// What a pod uses; nothing when all of its containers have ended.
pub fn used<'a>(
    spec: &PodSpec,
    status: Option<&PodStatus>,
    annotations: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Used {
    let phase = status.and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return Used::new();
    }
    let PodSpec { security_context, init_containers, containers, ephemeral_containers } = spec;
    let all = [init_containers, containers, ephemeral_containers].into_iter().flatten();
    let contexts = all.map(|container| &container.security_context).chain([security_context]);
    let mut used: Used = contexts.flat_map(Context::used).collect();
    for (key, value) in annotations {
        // As AppArmor was chosen before it had a field.
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/")
            && let Some(name) = value.strip_prefix("localhost/")
        {
            used.insert((Mechanism::Apparmor, name.into()));
        }
    }
    used
}

impl Context {
    fn used(&self) -> impl Iterator<Item = (Mechanism, Box<str>)> + use<> {
        let seccomp = self.seccomp_profile.localhost_profile.as_deref();
        let seccomp =
            seccomp.and_then(|path| path.strip_prefix("operator/")?.strip_suffix(".json"));
        let selinux = self.se_linux_options.r#type.as_deref();
        let selinux = selinux.and_then(|label| label.strip_suffix(".process"));
        let apparmor = self.app_armor_profile.localhost_profile.as_deref();
        let names = [
            (Mechanism::Seccomp, seccomp),
            (Mechanism::Selinux, selinux),
            (Mechanism::Apparmor, apparmor),
        ];
        let names = names.map(|(mechanism, name)| name.map(|name| (mechanism, name.into())));
        names.into_iter().flatten()
    }
}

impl Users {
    /// What these pods use, each called `NAMESPACE/NAME`.
    pub fn of<'a>(pods: impl IntoIterator<Item = (&'a str, &'a Used)>) -> Self {
        let mut users = Self::default();
        for (pod, used) in pods {
            for place in used {
                users.0.entry(place.clone()).or_default().insert(pod.into());
            }
        }
        users
    }

    /// Who uses a profile.
    pub fn by(&self, mechanism: Mechanism, name: &str) -> Use {
        let pods = self.0.get(&(mechanism, name.into()));
        Use::By(pods.into_iter().flatten().map(|pod| format!("the pod {pod}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(yaml: &str) -> PodSpec {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn every_place_in_a_pod_counts() {
        let spec = pod("
securityContext: {seccompProfile: {type: Localhost, localhostProfile: operator/pod.json}}
initContainers: [{name: i, securityContext: {appArmorProfile: {type: Localhost, localhostProfile: init}}}]
containers:
- {name: a, image: x, securityContext: {seLinuxOptions: {type: web.process}}}
- {name: b, securityContext: {seccompProfile: {type: Localhost, localhostProfile: other/b.json}}}
ephemeralContainers: [{name: e, securityContext: {seccompProfile: {localhostProfile: operator/e.json}}}]
");
        let old = (
            "container.apparmor.security.beta.kubernetes.io/a".to_owned(),
            "localhost/old".to_owned(),
        );
        let used = used(&spec, None, [(&old.0, &old.1)]);
        let names = |mechanism| -> Vec<_> {
            used.iter().filter(|(m, _)| *m == mechanism).map(|(_, name)| &**name).collect()
        };
        assert_eq!(names(Mechanism::Seccomp), ["e", "pod"]);
        assert_eq!(names(Mechanism::Selinux), ["web"]);
        assert_eq!(names(Mechanism::Apparmor), ["init", "old"]);
    }

    #[test]
    fn a_pod_that_has_ended_uses_nothing() {
        let spec = pod("containers: [{securityContext: {seLinuxOptions: {type: web.process}}}]");
        let phase = |phase: &str| PodStatus { phase: Some(phase.to_owned()) };
        assert_eq!(used(&spec, Some(&phase("Succeeded")), []).len(), 0);
        assert_eq!(used(&spec, Some(&phase("Running")), []).len(), 1);
    }

    #[test]
    fn users_are_named() {
        let web: Used = [(Mechanism::Selinux, "web".into())].into();
        let users = Users::of([("ns/a", &web), ("ns/b", &web)]);
        assert_eq!(
            users.by(Mechanism::Selinux, "web"),
            Use::By(vec!["the pod ns/a".into(), "the pod ns/b".into()])
        );
        assert_eq!(users.by(Mechanism::Seccomp, "web"), Use::By(vec![]));
    }
}
