//! Writes the objects that the questions are about, and says what became of a pod.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};
use tests::{namespace::Namespace, object::GROUP};

use crate::shared::Shared;

/// Kind, and how the profile of that name is called on a node.
pub(crate) const KINDS: [&str; 4] =
    ["SeccompProfile", "SelinuxProfile", "RawSelinuxProfile", "AppArmorProfile"];

/// The version of our kinds that is stored.
pub(crate) fn v1() -> String {
    format!("{GROUP}/v1")
}

/// A profile of any kind, as small as it can be.
pub(crate) fn profile(kind: &str, name: &str) -> Value {
    let spec = match kind {
        "SeccompProfile" => json!({ "defaultAction": "SCMP_ACT_LOG" }),
        "RawSelinuxProfile" => json!({ "policy": "(blockinherit container)" }),
        _ => json!({}),
    };
    json!({ "apiVersion": v1(), "kind": kind, "metadata": { "name": name }, "spec": spec })
}

/// A binding; `more` are further fields of its spec.
pub(crate) fn binding(name: &str, kind: &str, profile: &str, image: &str, more: &Value) -> Value {
    let mut spec = json!({ "profileRef": { "kind": kind, "name": profile }, "image": image });
    merge(&mut spec, more);
    json!({ "apiVersion": v1(), "kind": "ProfileBinding", "metadata": { "name": name }, "spec": spec })
}

/// A recording of pods that carry the label `app: <name>`; `more` are further fields of its spec.
pub(crate) fn recording(name: &str, kind: &str, recorder: &str, more: &Value) -> Value {
    let mut spec = json!({
        "kind": kind, "recorder": recorder, "podSelector": { "matchLabels": { "app": name } },
    });
    merge(&mut spec, more);
    json!({
        "apiVersion": v1(), "kind": "ProfileRecording", "metadata": { "name": name }, "spec": spec,
    })
}

/// A pod; `metadata` has no name unless it matters, since each test names its pods itself.
pub(crate) fn pod(metadata: &Value, spec: &Value) -> Value {
    let mut metadata = metadata.clone();
    if metadata.get("name").is_none() && metadata.get("generateName").is_none() {
        metadata["name"] = json!("pod");
    }
    let mut spec = spec.clone();
    // The volume of a token has a random name, which would differ from pod to pod.
    spec["automountServiceAccountToken"] = json!(false);
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
}

/// A pod with one container, `main`, of this image.
pub(crate) fn simple(image: &str) -> Value {
    pod(&json!({}), &json!({ "containers": [{ "name": "main", "image": image }] }))
}

/// The field that a bound profile of this kind becomes.
pub(crate) fn field(kind: &str, profile: &str) -> (&'static str, Value) {
    match kind {
        "SeccompProfile" => (
            "seccompProfile",
            json!({ "type": "Localhost", "localhostProfile": format!("operator/{profile}.json") }),
        ),
        "AppArmorProfile" => {
            ("appArmorProfile", json!({ "type": "Localhost", "localhostProfile": profile }))
        }
        _ => ("seLinuxOptions", json!({ "type": format!("{profile}.process") })),
    }
}

/// A security context with one field.
pub(crate) fn context(kind: &str, profile: &str) -> Value {
    let (name, value) = field(kind, profile);
    json!({ name: value })
}

/// Creates objects one after the other.
pub(crate) async fn create(namespace: &Namespace, objects: &[Value]) -> Result<()> {
    for object in objects {
        namespace.create_object(object).await?.granted()?;
    }
    Ok(())
}

/// What the webhook does to a pod: where it differs, and what is there instead (null: nothing), from
/// the same pod in a namespace that the webhook leaves alone.
pub(crate) async fn effect(shared: &Shared, namespace: &Namespace, pod: &Value) -> Result<Value> {
    let plain = shared.namespace(&[]).await?.dry_run(pod).await?.granted()?;
    let reviewed = namespace.dry_run(pod).await?.granted()?;
    difference(&plain, &reviewed)
}

/// Where two pods differ, but for what differs between any two pods.
pub(crate) fn difference(before: &Value, after: &Value) -> Result<Value> {
    let mut paths = BTreeMap::new();
    let changes = json_patch::diff(&own(before), &own(after));
    for operation in serde_json::to_value(changes)?.as_array().into_iter().flatten() {
        let path = operation["path"].as_str().unwrap_or_default().to_owned();
        paths.insert(path, operation["value"].clone());
    }
    Ok(json!(paths))
}

fn own(pod: &Value) -> Value {
    let mut pod = pod.clone();
    // Conditions carry the time at which they came to hold.
    pod.as_object_mut().map(|pod| pod.remove("status"));
    for field in ["namespace", "uid", "creationTimestamp", "managedFields", "resourceVersion"] {
        pod["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
    }
    if pod["metadata"].get("generateName").is_some() {
        pod["metadata"].as_object_mut().map(|metadata| metadata.remove("name"));
    }
    pod
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}
