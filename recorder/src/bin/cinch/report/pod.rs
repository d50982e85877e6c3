//! The part of a pod's object that a report reads. Pure.

use serde::Deserialize;

/// The containers, and what they run under.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpec {
    init_containers: Vec<Container>,
    containers: Vec<Container>,
    ephemeral_containers: Vec<Container>,
    pub(super) security_context: Option<Context>,
    os: Option<Named>,
    scheduling_gates: Vec<Named>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodStatus {
    phase: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    restart_policy: Option<String>,
    pub(super) security_context: Option<Context>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Context {
    pub(super) privileged: Option<bool>,
    pub(super) seccomp_profile: Option<Source>,
    pub(super) app_armor_profile: Option<Source>,
    pub(super) se_linux_options: Option<SelinuxOptions>,
}

/// Where a seccomp or AppArmor profile comes from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Source {
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) localhost_profile: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SelinuxOptions {
    #[serde(rename = "type")]
    pub(super) type_: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Role {
    Main,
    Sidecar,
    Init,
    Ephemeral,
}

/// The gate of a pod that waits for its profile.
const GATE: &str = "spo.x-k8s.io/profile-not-ready";

impl PodSpec {
    pub(super) fn containers(&self) -> impl Iterator<Item = (Role, &Container)> {
        let init = self.init_containers.iter().map(|container| match &container.restart_policy {
            Some(policy) if policy == "Always" => (Role::Sidecar, container),
            _ => (Role::Init, container),
        });
        let main = self.containers.iter().map(|container| (Role::Main, container));
        let ephemeral = self.ephemeral_containers.iter().map(|it| (Role::Ephemeral, it));
        main.chain(init).chain(ephemeral)
    }

    pub(super) fn is_windows(&self) -> bool {
        self.os.as_ref().is_some_and(|os| os.name == "windows")
    }

    /// Whether it waits until its profile is on the nodes.
    pub(super) fn is_gated(&self) -> bool {
        self.scheduling_gates.iter().any(|gate| gate.name == GATE)
    }
}

impl PodStatus {
    /// Whether its containers have ended for good.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.phase.as_deref(), Some("Succeeded" | "Failed"))
    }
}

impl Container {
    pub(super) fn is_privileged(&self) -> bool {
        self.security_context.as_ref().and_then(|context| context.privileged) == Some(true)
    }
}
