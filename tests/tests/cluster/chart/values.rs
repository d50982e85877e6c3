//! Do values that make no sense get an answer that helps?

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{chart, object};

use super::helm;
use crate::{questions, shared::Shared};

questions![
    values_that_make_no_sense_are_refused_by_name,
    every_value_has_a_default_and_every_default_is_a_value,
    every_value_is_explained,
];

async fn values_that_make_no_sense_are_refused_by_name(_: &Shared) -> Result<()> {
    let helm = helm()?;
    for (values, complaint) in [
        (json!({ "webhok": {} }), "additional properties 'webhok' not allowed"),
        (json!({ "webhook": { "replcas": 3 } }), "at '/webhook': additional properties 'replcas'"),
        (json!({ "webhook": { "replicas": 0 } }), "at '/webhook/replicas': minimum: got 0, want 1"),
        (
            json!({ "webhook": { "binding": { "timeoutSeconds": 31 } } }),
            "at '/webhook/binding/timeoutSeconds': maximum: got 31, want 30",
        ),
        (
            json!({ "webhook": { "binding": { "failurePolicy": "fail" } } }),
            "at '/webhook/binding/failurePolicy': value must be one of 'Fail', 'Ignore'",
        ),
        (
            json!({ "features": { "record": { "ebpf": true } } }),
            "at '/features/record': additional properties 'ebpf' not allowed",
        ),
        (
            json!({ "features": { "seccomp": "yes" } }),
            "at '/features/seccomp': got string, want boolean",
        ),
        (
            json!({ "certificates": { "mode": "given" } }),
            "at '/certificates/given/caBundle': minLength: got 0, want 1",
        ),
        (
            json!({ "certificates": { "mode": "self-made" } }),
            "at '/certificates/mode': value must be one of 'selfMade', 'certManager', 'given'",
        ),
        (
            json!({ "excludedNamespaces": ["Kube"] }),
            "at '/excludedNamespaces/0': 'Kube' does not match",
        ),
        (
            json!({ "finalState": { "action": "Refuse" } }),
            "value must be one of 'Deny', 'Warn', 'Audit'",
        ),
        (
            json!({ "recorder": { "source": "audit.log" } }),
            "at '/recorder/source': 'audit.log' does not match",
        ),
        (json!({ "recorder": { "base": "runsc" } }), "value must be one of 'runc', 'crun', 'none'"),
        (
            json!({ "nodeInstaller": { "kubeletRoot": "kubelet" } }),
            "at '/nodeInstaller/kubeletRoot': 'kubelet' does not match",
        ),
        (
            json!({ "allowedSyscalls": ["read write"] }),
            "at '/allowedSyscalls/0': 'read write' does not match",
        ),
        (json!({ "image": { "tag": "a tag" } }), "at '/image/tag': 'a tag' does not match"),
    ] {
        let error = helm.template(&values).err().context("taken")?.to_string();
        assert!(error.contains(complaint), "{values}: {error}");
    }
    Ok(())
}

/// Paths of all properties of a schema that have no properties of their own.
fn leaves(schema: &Value, root: &Value, path: &str, found: &mut Vec<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(to) => root.pointer(to.trim_start_matches('#')).unwrap_or(schema),
        None => schema,
    };
    match schema["properties"].as_object() {
        Some(properties) => {
            for (name, schema) in properties {
                leaves(schema, root, &format!("{path}/{name}"), found);
            }
        }
        None => found.push(path.to_owned()),
    }
}

/// Those that say nothing unless somebody does.
const WITHOUT_DEFAULT: [&str; 9] = [
    "/global",
    "/localhostProfile",
    "/claims",
    "/requests",
    "/limits",
    "/maxSurge",
    "/rollingUpdate/maxSurge",
    "/affinity",
    "/priorityClassName",
];

async fn every_value_has_a_default_and_every_default_is_a_value(_: &Shared) -> Result<()> {
    let defaults = object::parse_one(&chart::file("values.yaml")?)?;
    let schema: Value = serde_json::from_str(&chart::file("values.schema.json")?)?;
    let mut all = Vec::new();
    leaves(&schema, &schema, "", &mut all);
    assert!(all.len() > 60, "{}", all.len());
    for path in all {
        let optional = WITHOUT_DEFAULT.iter().any(|end| path.ends_with(end));
        assert!(optional || defaults.pointer(&path).is_some(), "{path} has no default");
    }
    // That each default is one that the schema knows is what helm looks at.
    helm()?.template(&json!({}))?;
    Ok(())
}

/// What all parts have, and is explained once.
const OF_ALL_PARTS: [&str; 10] = [
    "affinity",
    "nodeSelector",
    "podAnnotations",
    "podDisruptionBudget",
    "priorityClassName",
    "resources",
    "seccompProfile",
    "tolerations",
    "topologySpreadConstraints",
    "updateStrategy",
];

async fn every_value_is_explained(_: &Shared) -> Result<()> {
    let text = chart::file("values.yaml")?;
    let mut explained = Vec::new();
    let mut above = "";
    for line in text.lines() {
        let name = line.trim_start();
        let depth = line.len() - name.len();
        if depth <= 2
            && let Some((name, _)) = name.split_once(':')
            && name.chars().all(char::is_alphanumeric)
        {
            let comment = above.trim_start().starts_with('#');
            let of_all = OF_ALL_PARTS.contains(&name);
            assert!(comment || of_all, "no comment above {line}");
            explained.extend(comment.then_some(name));
        }
        above = line;
    }
    for name in OF_ALL_PARTS {
        let where_pods_go = ["tolerations", "affinity"].contains(&name);
        assert!(where_pods_go || explained.contains(&name), "nowhere explained: {name}");
    }
    Ok(())
}
