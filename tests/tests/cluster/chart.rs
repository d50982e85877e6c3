//! Is the chart what a cluster takes, and what its parts need?

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::chart::Helm;

use crate::shared::Skipped;

#[path = "chart/accepted.rs"]
pub(crate) mod accepted;
#[path = "chart/consistent.rs"]
pub(crate) mod consistent;
#[path = "chart/definitions.rs"]
pub(crate) mod definitions;
#[path = "chart/final_state.rs"]
pub(crate) mod final_state;
#[path = "chart/lifecycle.rs"]
pub(crate) mod lifecycle;
#[path = "chart/needs.rs"]
pub(crate) mod needs;
#[path = "chart/rights.rs"]
pub(crate) mod rights;
#[path = "chart/syscalls.rs"]
pub(crate) mod syscalls;
#[path = "chart/values.rs"]
pub(crate) mod values;

const LIMIT: Duration = Duration::from_secs(30);

fn helm() -> Result<Helm> {
    Helm::find().ok_or_else(|| Skipped("needs helm: install Go and run make test").into())
}

/// Values that show each object of the chart at least once, and the least of it, by what they are for.
fn variants() -> Vec<(&'static str, Value)> {
    let features = |on: bool| {
        json!({
            "seccomp": on, "apparmor": on, "selinux": on, "record": { "bpf": on, "logs": on },
            "violations": on, "enrich": on,
        })
    };
    vec![
        ("defaults", json!({})),
        (
            "everything",
            json!({
                "features": features(true),
                "namespace": { "create": true },
                "image": { "registry": "registry.example.com/acme", "tag": "1.2.3", "pullSecrets": ["login"] },
                "certificates": { "mode": "certManager" },
                "webhook": { "otlpEndpoint": "http://collector.observability:4317" },
                "nodeInstaller": { "permitSelinux": { "types": ["a_t"], "classes": ["b"], "permissions": ["c"] } },
                "allowedSyscalls": ["read", "write"],
                "networkPolicy": { "extraEgress": [{ "ports": [{ "protocol": "TCP", "port": 4317 }] }] },
                "serviceMonitor": { "enabled": true, "labels": { "release": "prometheus" } },
            }),
        ),
        (
            "the least",
            json!({
                "features": features(false),
                "certificates": { "mode": "given", "given": { "caBundle": "eA==" } },
                "webhook": {
                    "replicas": 1, "podDisruptionBudget": { "enabled": false }, "priorityClassName": "",
                    "nodeSelector": null, "topologySpreadConstraints": null, "resources": null,
                },
                "controller": { "podDisruptionBudget": { "enabled": false }, "topologySpreadConstraints": null },
                "finalState": { "enabled": false },
                "profiles": { "builtin": false },
                "networkPolicy": { "enabled": false },
            }),
        ),
        (
            "a log of auditd",
            json!({
                "features": { "record": { "bpf": false, "logs": true } },
                "recorder": { "source": "/var/log/audit/audit.log", "runtimeSocket": "" },
                "certificates": { "mode": "certManager", "certManager": { "issuerRef": { "name": "ca", "kind": "ClusterIssuer" } } },
                "finalState": { "action": "Warn" },
            }),
        ),
    ]
}

/// The objects of a kind.
fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The one object of a kind and name.
fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    let found = of_kind(objects, kind);
    let found = found.into_iter().find(|object| object["metadata"]["name"] == name);
    found.with_context(|| format!("the chart has no {kind} {name}"))
}

/// The elements of the array at a JSON pointer; none where there is no array.
fn elements<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
