//! What reports say of a profile: all but its rules. Pure.

use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt as _, api::Object};
use profile::kinds::{NodeCount, ProfileKind};
use serde::Deserialize;

/// There while a recording may still add to it.
const PARTIAL: &str = "spo.x-k8s.io/partial";

/// The fields of a spec that all kinds have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct HeadSpec {
    state: Option<String>,
    disabled: Option<bool>,
}

/// The fields of a status that all kinds have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct HeadStatus {
    status: Option<String>,
    nodes: Option<NodeCount>,
    conditions: Vec<HeadCondition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct HeadCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    message: String,
}

/// A profile without its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: ProfileKind,
    pub(crate) name: String,
    pub(crate) disabled: bool,
    pub(crate) partial: bool,
    pub(crate) generation: Option<i64>,
    pub(crate) created: Option<Timestamp>,
    /// What its status says, if there is one.
    pub(crate) status: Option<String>,
    pub(crate) nodes: Option<NodeCount>,
    /// What the condition says that it is not ready.
    pub(crate) message: Option<String>,
}

impl Head {
    pub(crate) fn of(kind: ProfileKind, object: Object<HeadSpec, HeadStatus>) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let state = object.spec.state.as_deref().unwrap_or_default();
        let not_ready = status
            .conditions
            .into_iter()
            .find(|condition| condition.type_ == "Ready" && condition.status != "True");
        Self {
            kind,
            name: object.name_any(),
            disabled: state.eq_ignore_ascii_case("disabled") || object.spec.disabled == Some(true),
            partial: object.labels().get(PARTIAL).is_some_and(|value| value == "true"),
            generation: object.metadata.generation,
            created: object.metadata.creation_timestamp.map(|time| time.0),
            status: status.status,
            nodes: status.nodes,
            message: not_ready.map(|it| it.message).filter(|message| !message.is_empty()),
        }
    }
}
