//! Does a real API server take every object, and do the pods of the parts that need no rights pass as restricted?

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use serde_json::{Value, json};
use tests::{answer::Asker, chart::NAMESPACE, node, object};

use super::{helm, named, of_kind, variants};
use crate::{questions, shared::Shared};

questions![
    every_object_is_accepted_whatever_the_values,
    what_is_misspelt_would_not_have_been_accepted,
    webhook_and_controller_run_in_a_namespace_that_is_restricted,
    pods_of_all_parts_are_accepted_where_everything_may_run,
];

/// Kinds of others that the chart may make objects of.
const FOREIGN: [(&str, &str, &str); 3] = [
    ("cert-manager.io", "certificates", "Certificate"),
    ("cert-manager.io", "issuers", "Issuer"),
    ("monitoring.coreos.com", "servicemonitors", "ServiceMonitor"),
];

/// Has the API server do all but keep an object: each field must be known, and valid. The reason where it refuses.
async fn ask(asker: &Asker, object: &Value) -> Result<Option<String>> {
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
    let at = object::collection(object, namespace.unwrap_or_default())?;
    let at = format!("{at}?dryRun=All&fieldValidation=Strict");
    let answer = asker.ask("POST", &at, Some(object)).await?;
    // It is there already: that is looked at last.
    if answer.status == StatusCode::CONFLICT || answer.status.is_success() {
        return Ok(None);
    }
    answer.refused().map(Some)
}

async fn prepare(shared: &Shared) -> Result<()> {
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}");
    node::apply(&shared.cluster, &namespace).await?;
    for (group, plural, kind) in FOREIGN {
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": { "kind": kind, "plural": plural },
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                }],
            },
        });
        node::apply(&shared.cluster, &crd.to_string()).await?;
    }
    for (group, plural, _) in FOREIGN {
        let at = format!("/apis/{group}/v1/namespaces/{NAMESPACE}/{plural}");
        tests::until::until(&format!("{plural} are served"), super::LIMIT, async || {
            let answer = shared.cluster.asker().ask("GET", &at, None).await?;
            Ok(answer.status.is_success().then_some(()))
        })
        .await?;
    }
    Ok(())
}

async fn every_object_is_accepted_whatever_the_values(shared: &Shared) -> Result<()> {
    let helm = helm()?;
    prepare(shared).await?;
    for (what, values) in variants() {
        let objects = helm.template(&values).with_context(|| what.to_owned())?;
        ensure!(objects.len() > 15, "{what}: only {} objects", objects.len());
        for object in objects {
            let about = format!("{what}: {} {}", object["kind"], object["metadata"]["name"]);
            let answer = ask(shared.cluster.asker(), &object).await.context(about.clone())?;
            assert_eq!(answer, None, "{about}");
        }
    }
    Ok(())
}

async fn what_is_misspelt_would_not_have_been_accepted(shared: &Shared) -> Result<()> {
    prepare(shared).await?;
    let objects = helm()?.template(&json!({}))?;
    let mut webhook = named(&objects, "Deployment", "cinch-webhook")?.clone();
    webhook["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = json!({});
    let refused = ask(shared.cluster.asker(), &webhook).await?.context("accepted")?;
    assert!(refused.contains("livenesProbe"), "{refused}");
    Ok(())
}

/// The pod that a controller would make of a workload, in a namespace with its account.
async fn pod(shared: &Shared, workload: &Value, level: &str) -> Result<Option<String>> {
    let namespace = shared.namespace(&[("pod-security.kubernetes.io/enforce", level)]).await?;
    let template = &workload["spec"]["template"];
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": template["spec"]["serviceAccountName"] },
    });
    namespace.create_object(&account).await?.granted()?;
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": template["metadata"], "spec": template["spec"],
    });
    pod["metadata"]["name"] = json!("pod");
    pod["metadata"]["namespace"] = json!(namespace.name);
    ask(shared.cluster.asker(), &pod).await
}

async fn webhook_and_controller_run_in_a_namespace_that_is_restricted(
    shared: &Shared,
) -> Result<()> {
    let helm = helm()?;
    for (what, values) in variants() {
        let objects = helm.template(&values)?;
        let deployments = of_kind(&objects, "Deployment");
        assert_eq!(deployments.len(), 2);
        for deployment in deployments.into_iter().chain(of_kind(&objects, "Job")) {
            let answer = pod(shared, deployment, "restricted").await?;
            assert_eq!(answer, None, "{what}: {}", deployment["metadata"]["name"]);
        }
        // A namespace that is not would have let it pass.
        for daemon in of_kind(&objects, "DaemonSet") {
            let refused = pod(shared, daemon, "restricted").await?.context("accepted")?;
            assert!(refused.contains("violates PodSecurity"), "{refused}");
        }
    }
    Ok(())
}

async fn pods_of_all_parts_are_accepted_where_everything_may_run(shared: &Shared) -> Result<()> {
    let helm = helm()?;
    for (what, values) in variants() {
        for daemon in of_kind(&helm.template(&values)?, "DaemonSet") {
            let answer = pod(shared, daemon, "privileged").await?;
            assert_eq!(answer, None, "{what}: {}", daemon["metadata"]["name"]);
        }
    }
    Ok(())
}
