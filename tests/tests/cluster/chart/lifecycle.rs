//! Can the chart be installed, upgraded and taken away by the real helm, and what is left then?
//!
//! No kubelet runs here, so hooks are left out: what they do is shown where they are.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use tests::{
    chart::{self, Helm, NAMESPACE},
    cluster::Cluster,
    namespace::{BINDING, Namespace},
    object,
    programs::Programs,
    until::until,
};

use super::{LIMIT, elements, helm};
use crate::{questions, shared::Shared, write::simple};

questions![what_helm_installs_it_upgrades_without_losing_trust_and_takes_away_in_full,];

/// Where objects of the chart that are no namespace's can be.
const CLUSTER_WIDE: [&str; 9] = [
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/security-profiles-operator.x-k8s.io/v1/seccompprofiles",
    "/apis/security-profiles-operator.x-k8s.io/v1/selinuxprofiles",
    "/apis/security-profiles-operator.x-k8s.io/v1/apparmorprofiles",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
];

/// The same of its namespace.
const IN_NAMESPACE: [&str; 8] = [
    "/apis/apps/v1/namespaces/NAMESPACE/deployments",
    "/apis/apps/v1/namespaces/NAMESPACE/daemonsets",
    "/apis/batch/v1/namespaces/NAMESPACE/jobs",
    "/api/v1/namespaces/NAMESPACE/services",
    "/api/v1/namespaces/NAMESPACE/serviceaccounts",
    "/apis/networking.k8s.io/v1/namespaces/NAMESPACE/networkpolicies",
    "/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/NAMESPACE/rolebindings",
];

fn run(helm: &Helm, kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = helm.command();
    command.args(arguments).args(["--namespace", NAMESPACE, "--no-hooks", "--kubeconfig"]);
    let output = tokio::task::block_in_place(|| command.arg(kubeconfig).output())?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm {}: {complaint}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// The names of all objects that may be the chart's.
async fn objects(cluster: &Cluster) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for at in CLUSTER_WIDE.iter().chain(&IN_NAMESPACE) {
        let at = at.replace("NAMESPACE", NAMESPACE);
        let list = cluster.asker().ask("GET", &at, None).await?.granted()?;
        for item in elements(&list, "/items") {
            let name = object::text(item, "/metadata/name")?;
            // What an API server makes itself has other labels.
            if name.starts_with("cinch")
                || item["metadata"]["labels"]["app.kubernetes.io/name"] == "cinch"
            {
                found.push(format!("{} {name}", at.rsplit('/').next().unwrap_or_default()));
            }
        }
    }
    Ok(found)
}

async fn what_helm_installs_it_upgrades_without_losing_trust_and_takes_away_in_full(
    _: &Shared,
) -> Result<()> {
    let helm = helm()?;
    let cluster =
        Cluster::start(&Programs::find().map_err(|missing| anyhow!("{missing}"))?).await?;
    let admin = cluster.identity("admin", &["system:masters"])?;
    let kubeconfig = cluster.kubeconfig("admin", &admin)?;
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE },
    });
    cluster.create(&namespace).await?;
    let chart = chart::chart();
    let chart = chart.to_str().context("the path of the chart is text")?;
    run(&helm, &kubeconfig, &["install", "cinch", chart])?;
    let installed = objects(&cluster).await?;
    ensure!(installed.len() > 25, "{installed:?}");

    // While nobody answers reviews, a pod of a namespace that is switched on does not start: failurePolicy is Fail.
    let user = Namespace::new(cluster.asker(), &[(BINDING, "true")]).await?;
    let refused = until("the API server asks the webhook", LIMIT, async || {
        let answer = user.dry_run(&simple("web:1")).await?;
        Ok((!answer.status.is_success()).then_some(answer))
    })
    .await?;
    ensure!(refused.refused()?.contains("binding.security-profiles-operator.x-k8s.io"));

    // As the webhook does.
    let at = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/cinch";
    let registration = || async { cluster.asker().ask("GET", at, None).await?.granted() };
    let mut there = registration().await?;
    for webhook in there["webhooks"].as_array_mut().context("no webhooks")? {
        webhook["clientConfig"]["caBundle"] = json!(trust(&cluster)?);
    }
    cluster.asker().ask("PUT", at, Some(&there)).await?.granted()?;
    let values = cluster.folder().join("values.yaml");
    fs::write(&values, "webhook: {recording: {failurePolicy: Fail}, replicas: 3}\n")?;
    let values = values.to_str().context("the path of values is text")?;
    run(&helm, &kubeconfig, &["upgrade", "cinch", chart, "--values", values])?;
    let there = registration().await?;
    for webhook in elements(&there, "/webhooks") {
        ensure!(webhook["clientConfig"]["caBundle"] == json!(trust(&cluster)?), "{webhook}");
        ensure!(webhook["failurePolicy"] == "Fail", "{webhook}");
    }
    assert_eq!(objects(&cluster).await?, installed);

    run(&helm, &kubeconfig, &["uninstall", "cinch"])?;
    until("all objects are gone", LIMIT, async || {
        Ok(objects(&cluster).await?.is_empty().then_some(()))
    })
    .await
    .with_context(|| "what helm installed stays")?;
    until("pods start again", LIMIT, async || {
        Ok(user.dry_run(&simple("web:1")).await?.status.is_success().then_some(()))
    })
    .await?;
    // Objects of users stay, and so do their kinds.
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let list: Value = cluster.asker().ask("GET", crds, None).await?.granted()?;
    assert_eq!(elements(&list, "/items").len(), fs::read_dir(chart::chart().join("crds"))?.count());
    Ok(())
}

/// Something that an API server takes for a bundle.
fn trust(cluster: &Cluster) -> Result<String> {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    Ok(BASE64_STANDARD.encode(fs::read(cluster.folder().join("ca.crt"))?))
}
