//! Is a second look at the same pod harmless?

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{
    audit::by,
    namespace::{BINDING, Namespace, RECORDING},
    until::until,
};

use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, pod, profile, recording},
};

questions![a_second_review_of_the_same_pod_changes_nothing];

const KIND: &str = "SeccompProfile";
const IMAGE: &str = "nginx:1.19.1";
const MARK: &str = "io.containers.trace-bpf/main";
const LIMIT: Duration = Duration::from_secs(30);

/// Says in a label whether the webhook has been here, so that it changes the pod again after the
/// webhook did: then the API server asks the webhook a second time.
fn meddler(namespace: &Namespace) -> [Value; 2] {
    let api_version = "admissionregistration.k8s.io/v1";
    let name = format!("meddler-{}", namespace.name);
    let said = "has(object.spec.containers[0].securityContext) ? 'yes' : 'no'";
    [
        json!({
            "apiVersion": api_version,
            "kind": "MutatingAdmissionPolicy",
            "metadata": { "name": name },
            "spec": {
                "matchConstraints": {
                    "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace.name } },
                    "resourceRules": [{
                        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
                    }],
                },
                "failurePolicy": "Fail",
                "reinvocationPolicy": "IfNeeded",
                "mutations": [{
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {
                        "expression": format!("Object{{metadata: Object.metadata{{labels: {{'reviewed': {said}}}}}}}"),
                    },
                }],
            },
        }),
        json!({
            "apiVersion": api_version,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": { "name": name },
            "spec": { "policyName": name },
        }),
    ]
}

async fn a_second_review_of_the_same_pod_changes_nothing(shared: &Shared) -> Result<()> {
    shared.webhooks().await?;
    let namespace = shared.namespace(&[(RECORDING, "true"), (BINDING, "true")]).await?;
    let name = &namespace.name;
    create(
        &namespace,
        &[
            profile(KIND, name),
            binding("b", KIND, name, IMAGE, &json!({ "whenNotReady": "Gate" })),
            recording("r", KIND, "Bpf", &json!({})),
        ],
    )
    .await?;
    shared.settled(&namespace).await?;
    for object in meddler(&namespace) {
        shared.cluster.create(&object).await?;
    }
    let pod = pod(
        &json!({ "labels": { "app": "r" }, "generateName": "web-" }),
        &json!({ "containers": [{ "name": "main", "image": IMAGE }] }),
    );
    until("the policy is in force", LIMIT, async || {
        let made = namespace.dry_run(&pod).await?.granted()?;
        Ok((made.pointer("/metadata/labels/reviewed") == Some(&json!("yes"))).then_some(()))
    })
    .await?;

    let from = shared.cluster.audit().end()?;
    let made = namespace.create_object(&pod).await?.granted()?;
    assert_eq!(made.pointer("/spec/containers/0/securityContext"), Some(&context(KIND, name)));
    let gates = json!([{ "name": "spo.x-k8s.io/profile-not-ready" }]);
    assert_eq!(made["spec"]["schedulingGates"], gates);
    let mark = made["metadata"]["annotations"][MARK].as_str().context("no mark")?;

    let is_it = |event: &Value| {
        by("admin")(event) && event.pointer("/objectRef/namespace") == Some(&json!(name))
    };
    let event = shared.cluster.audit().event(from, "the pod", is_it).await?;
    let first = round(&event, "mutation", 0)?;
    let second = round(&event, "mutation", 1)?;
    assert!(first.contains("\"mutated\":true"), "{first}");
    assert!(second.contains("\"mutated\":false"), "{second}");
    // The mark is the one that the first review made.
    let patch = round(&event, "patch", 0)?;
    assert!(patch.contains(mark), "{mark} in {patch}");
    Ok(())
}

/// What the audit log says of our webhook in one round of admission.
fn round(event: &Value, what: &str, round: u32) -> Result<String> {
    let key = format!("{what}.webhook.admission.k8s.io/round_{round}_");
    let annotations = event["annotations"].as_object().context("no annotations")?;
    let found = annotations.iter().find(|(name, _)| name.starts_with(&key));
    let (_, value) = found.with_context(|| format!("no {key} in {annotations:?}"))?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}
