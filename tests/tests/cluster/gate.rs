//! Does a pod wait for profiles that are not on the nodes yet, and never longer?

use serde_json::{Value, json};

#[path = "gate/controller.rs"]
pub(crate) mod controller;
#[path = "gate/release.rs"]
pub(crate) mod release;
#[path = "gate/stage.rs"]
pub(crate) mod stage;
#[path = "gate/webhook.rs"]
pub(crate) mod webhook;

const KIND: &str = "SeccompProfile";
const IMAGE: &str = "nginx:1.19.1";
const GATE: &str = "spo.x-k8s.io/profile-not-ready";

/// What a binding says whose pods are to wait.
fn gate() -> Value {
    json!({ "whenNotReady": "Gate" })
}

/// The gates that a pod waits behind.
fn gates(pod: &Value) -> Vec<&str> {
    let gates = pod["spec"]["schedulingGates"].as_array();
    gates.into_iter().flatten().filter_map(|gate| gate["name"].as_str()).collect()
}
