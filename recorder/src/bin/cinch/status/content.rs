//! What a status says: the form of its JSON. Pure.

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

/// All of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// Whether every profile is where it should be, and every binding has its profile.
    pub(crate) ready: bool,
    /// What has failed: with any, the exit code is 1.
    pub(crate) failures: Vec<String>,
    /// What is not there yet.
    pub(crate) pending: Vec<String>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) recordings: Vec<Recording>,
    pub(crate) notes: Vec<String>,
}

/// A node, and what it says that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    pub(crate) name: String,
    /// None where nobody may tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ready: Option<bool>,
    /// Whether an installer has said anything of it.
    pub(crate) reports: bool,
    pub(crate) installed: i32,
    pub(crate) pending: i32,
    pub(crate) failed: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
}

/// A profile, and on how many nodes it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) desired: i32,
    pub(crate) installed: i32,
    pub(crate) failed: i32,
    /// Why it is not everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
}

/// A binding, and how many pods have its profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Binding {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) profile: String,
    pub(crate) image: String,
    pub(crate) workloads: usize,
    /// Why it has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// A recording, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recording {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) recorder: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<&'static str>,
    pub(crate) pods: usize,
    /// The most that was seen of one container, for how long nothing was new in any, and what was lost in all.
    pub(crate) seen: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stable_seconds: Option<i64>,
    pub(crate) lost: i64,
}
