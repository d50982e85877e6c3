//! Does what refers to something in the chart find it there, and is it what the tests look at?

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{
    chart::{self, NAMESPACE},
    object,
    registration::ONE_PATH,
};

use super::{elements, helm, named, of_kind, variants};
use crate::{questions, shared::Shared};

questions![
    every_reference_finds_what_it_names,
    every_selector_finds_pods_of_one_part,
    objects_are_in_the_namespace_of_the_release_and_carry_labels,
    the_webhook_is_registered_as_in_the_tests_and_never_for_the_namespace_of_the_release,
    rights_to_keep_certificates_are_those_of_the_tests,
    crds_of_the_chart_are_applied_before_anything_else,
];

const RIGHTS: &str = include_str!("../../../fixtures/rights-certificates.yaml");

async fn every_reference_finds_what_it_names(_: &Shared) -> Result<()> {
    let helm = helm()?;
    for (what, values) in variants() {
        let objects = helm.template(&values)?;
        for kind in ["Deployment", "DaemonSet", "Job"] {
            for workload in of_kind(&objects, kind) {
                let account = object::text(workload, "/spec/template/spec/serviceAccountName")?;
                named(&objects, "ServiceAccount", account).context(what)?;
            }
        }
        for kind in ["RoleBinding", "ClusterRoleBinding"] {
            for binding in of_kind(&objects, kind) {
                let role = object::text(binding, "/roleRef/name")?;
                named(&objects, object::text(binding, "/roleRef/kind")?, role).context(what)?;
                for subject in elements(binding, "/subjects") {
                    let account = object::text(subject, "/name")?;
                    named(&objects, "ServiceAccount", account).context(what)?;
                    assert_eq!(subject["namespace"], NAMESPACE, "{what}: {binding}");
                }
            }
        }
        for binding in of_kind(&objects, "ValidatingAdmissionPolicyBinding") {
            let policy = object::text(binding, "/spec/policyName")?;
            named(&objects, "ValidatingAdmissionPolicy", policy).context(what)?;
        }
        let registration = named(&objects, "MutatingWebhookConfiguration", "cinch")?;
        for webhook in elements(registration, "/webhooks") {
            let service = object::text(webhook, "/clientConfig/service/name")?;
            let service = named(&objects, "Service", service).context(what)?;
            let ports = elements(service, "/spec/ports").iter();
            let port = &webhook["clientConfig"]["service"]["port"];
            assert!(ports.map(|it| &it["port"]).any(|it| it == port), "{what}: {webhook}");
        }
        for workload in of_kind(&objects, "DaemonSet") {
            let pod = &workload["spec"]["template"]["spec"];
            let names = |list: &str| -> Vec<String> {
                let mut names: Vec<_> =
                    elements(pod, list).iter().map(|it| it["name"].to_string()).collect();
                names.sort();
                names
            };
            assert_eq!(names("/volumes"), names("/containers/0/volumeMounts"), "{what}");
        }
    }
    Ok(())
}

/// Names of the workloads whose pods have these labels.
fn selected(objects: &[Value], labels: &Value) -> Vec<String> {
    let workloads = ["Deployment", "DaemonSet"].into_iter().flat_map(|it| of_kind(objects, it));
    let has = |workload: &&Value| {
        let own = &workload["spec"]["template"]["metadata"]["labels"];
        labels.as_object().is_some_and(|all| all.iter().all(|(key, value)| own[key] == *value))
    };
    workloads.filter(has).filter_map(|it| Some(it["metadata"]["name"].as_str()?.into())).collect()
}

async fn every_selector_finds_pods_of_one_part(_: &Shared) -> Result<()> {
    let helm = helm()?;
    for (what, values) in variants() {
        let objects = helm.template(&values)?;
        for object in &objects {
            let name = object::text(object, "/metadata/name")?;
            let selector = match object["kind"].as_str() {
                Some("Deployment" | "DaemonSet" | "PodDisruptionBudget") => {
                    "/spec/selector/matchLabels"
                }
                Some("NetworkPolicy") => "/spec/podSelector/matchLabels",
                Some("Service") => "/spec/selector",
                _ => continue,
            };
            let labels = object.pointer(selector).context("no selector")?;
            let found = selected(&objects, labels);
            if name == "cinch-metrics" {
                assert!(found.len() >= 2, "{what}: {found:?}");
            } else if object["kind"] != "NetworkPolicy" || !found.is_empty() {
                assert_eq!(found, [name], "{what}: {}", object["kind"]);
            }
        }
    }
    Ok(())
}

async fn objects_are_in_the_namespace_of_the_release_and_carry_labels(_: &Shared) -> Result<()> {
    let helm = helm()?;
    for (what, values) in variants() {
        let objects = helm.template_in("somewhere-else", &values)?;
        for object in &objects {
            let about = format!("{what}: {} {}", object["kind"], object["metadata"]["name"]);
            let text = object.to_string().replace("security-profiles-operator.x-k8s.io", "");
            let text = text.replace("/var/run/security-profiles-operator", "");
            let text = text.replace("/var/lib/security-profiles-operator", "");
            ensure!(!text.contains(NAMESPACE), "{about} is bound to one namespace");
            if let Some(namespace) = object.pointer("/metadata/namespace") {
                assert_eq!(namespace, "somewhere-else", "{about}");
            }
            let profile = object["apiVersion"] == format!("{}/v1", object::GROUP);
            if object["kind"] != "CustomResourceDefinition" && !profile {
                let label = &object["metadata"]["labels"]["app.kubernetes.io/name"];
                assert_eq!(label, "cinch", "{about}");
            }
        }
    }
    Ok(())
}

/// What of a registration the tests and the chart must agree on.
fn essence(webhook: &Value) -> Value {
    let mut webhook = webhook.clone();
    let url = webhook["clientConfig"]["url"]
        .as_str()
        .map(|url| url.replace("https://127.0.0.1:PORT", ""));
    webhook["clientConfig"] =
        url.map_or_else(|| webhook["clientConfig"]["service"]["path"].clone(), Value::from);
    let all = webhook["namespaceSelector"]["matchExpressions"].as_array_mut();
    for expression in all.into_iter().flatten() {
        if expression["key"] == "kubernetes.io/metadata.name" {
            expression["values"] = json!("names");
        }
    }
    webhook["failurePolicy"].take();
    webhook
}

async fn the_webhook_is_registered_as_in_the_tests_and_never_for_the_namespace_of_the_release(
    _: &Shared,
) -> Result<()> {
    let ours = object::parse_one(ONE_PATH)?;
    let objects = helm()?.template(&json!({ "excludedNamespaces": ["kube-system", "other"] }))?;
    let chart = named(&objects, "MutatingWebhookConfiguration", "cinch")?;
    let essences =
        |all: &Value| -> Vec<Value> { elements(all, "/webhooks").iter().map(essence).collect() };
    assert_eq!(essences(chart), essences(&ours));
    let policies = elements(chart, "/webhooks").iter().map(|it| &it["failurePolicy"]);
    assert_eq!(policies.collect::<Vec<_>>(), ["Fail", "Ignore", "Ignore"]);
    for webhook in elements(chart, "/webhooks") {
        let names = &elements(webhook, "/namespaceSelector/matchExpressions")[0];
        assert_eq!(names["key"], "kubernetes.io/metadata.name");
        assert_eq!(names["operator"], "NotIn");
        assert_eq!(names["values"], json!(["kube-system", "other", NAMESPACE]));
    }
    Ok(())
}

async fn rights_to_keep_certificates_are_those_of_the_tests(_: &Shared) -> Result<()> {
    let text =
        RIGHTS.replace("CONFIGURATION", "cinch").replace("USER-bundle", "cinch-webhook-bundle");
    let ours = object::parse(&text)?;
    let objects = helm()?.template(&json!({}))?;
    for (kind, name) in
        [("Role", "cinch-webhook-certificates"), ("ClusterRole", "cinch-webhook-bundle")]
    {
        let rules = |objects| anyhow::Ok(named(objects, kind, name)?["rules"].clone());
        assert_eq!(rules(&objects)?, rules(&ours)?, "{kind} {name}");
    }
    Ok(())
}

async fn crds_of_the_chart_are_applied_before_anything_else(_: &Shared) -> Result<()> {
    let objects = helm()?.template(&json!({}))?;
    let crds = objects.iter().take_while(|it| it["kind"] == "CustomResourceDefinition").count();
    assert_eq!(crds, std::fs::read_dir(chart::chart().join("crds"))?.count());
    assert_eq!(crds, of_kind(&objects, "CustomResourceDefinition").len());
    Ok(())
}
