//! How our scheduling gate is taken off a pod. Pure.

use profile::pod::PROFILE_NOT_READY;
use serde_json::{Value, json};

/// A strategic merge patch that takes away our gate and no other one, of the pod that was looked at: another pod of the
/// same name has another uid, and one that has not got the gate any more stays as it is.
pub fn opening(uid: &str) -> Value {
    json!({
        "metadata": { "uid": uid },
        "spec": { "schedulingGates": [{ "name": PROFILE_NOT_READY, "$patch": "delete" }] },
    })
}
