//! What stands in the cluster.

use anyhow::Result;
use serde_json::{Value, json};
use tests::{
    cluster::Cluster,
    namespace::{BINDING, Namespace},
    object::GROUP,
};

/// A namespace in which pods get what bindings say.
pub(crate) async fn namespace(cluster: &Cluster) -> Result<Namespace> {
    Namespace::new(cluster.asker(), &[(BINDING, "true")]).await
}

/// The version of our kinds.
pub(crate) fn version() -> String {
    format!("{GROUP}/v1")
}

/// A profile as small as it can be: how large they are concerns the installer alone, which is measured elsewhere.
pub(crate) fn profile(number: usize) -> Value {
    json!({
        "apiVersion": version(), "kind": "SeccompProfile",
        "metadata": { "name": format!("profile-{number}") },
        "spec": { "defaultAction": "SCMP_ACT_LOG" },
    })
}

/// The binding of a number in its namespace: of an image of its own, and one of them of every image.
pub(crate) fn binding(number: usize, profile: usize) -> Value {
    let image = match number {
        0 => "*".to_owned(),
        _ => format!("registry.example/team/application-{number}:v1"),
    };
    json!({
        "apiVersion": version(), "kind": "ProfileBinding",
        "metadata": { "name": format!("binding-{number}") },
        "spec": {
            "profileRef": { "kind": "SeccompProfile", "name": format!("profile-{profile}") },
            "image": image,
        },
    })
}

/// What a pod is called.
pub(crate) fn pod_name(number: usize) -> String {
    format!("application-{number}")
}

/// A pod as tools write them: some labels, variables, probes and volumes.
pub(crate) fn pod(number: usize, node: &str) -> Value {
    let variables: Vec<Value> = (0..20)
        .map(|n| json!({ "name": format!("VARIABLE_{n}"), "value": "a value of some length" }))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": pod_name(number),
            "labels": {
                "app.kubernetes.io/name": "application",
                "app.kubernetes.io/instance": pod_name(number),
                "app.kubernetes.io/part-of": "a-shop",
            },
            "annotations": { "example.com/checksum": "0123456789abcdef0123456789abcdef" },
        },
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "main",
                "image": format!("registry.example/team/application-{}:v1", 1 + number % 9),
                "env": variables,
                "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } },
                "livenessProbe": { "httpGet": { "path": "/healthz", "port": 8080 } },
                "volumeMounts": [{ "name": "scratch", "mountPath": "/tmp" }],
            }],
            "volumes": [{ "name": "scratch", "emptyDir": {} }],
        },
    })
}
