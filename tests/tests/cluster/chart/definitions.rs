//! Are the CRDs of a cluster those of the chart after an upgrade, whatever they were before?

use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use tests::{
    audit::{Moment, by},
    chart::{self, NAMESPACE},
    cluster::Cluster,
    node, object,
    programs::Programs,
    webhook,
};

use super::{elements, helm, named};
use crate::{questions, shared::Shared};

questions![definitions_of_another_version_are_replaced_in_full_by_whom_the_chart_lets,];

async fn definition(cluster: &Cluster, name: &str) -> Result<Value> {
    let at = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
    cluster.asker().ask("GET", &at, None).await?.granted()
}

async fn definitions_of_another_version_are_replaced_in_full_by_whom_the_chart_lets(
    _: &Shared,
) -> Result<()> {
    let objects = helm()?.template(&json!({}))?;
    // Others need the definitions of the shared one.
    let cluster =
        Cluster::start(&Programs::find().map_err(|missing| anyhow!("{missing}"))?).await?;
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    node::apply(&cluster, &namespace.to_string()).await?;
    for kind in ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"] {
        node::apply(&cluster, &named(&objects, kind, "cinch-crds")?.to_string()).await?;
    }
    let binding = format!("profilebindings.{}", object::GROUP);
    let recording = format!("profilerecordings.{}", object::GROUP);
    let wanted = definition(&cluster, &binding).await?;
    // One field less, one more, and a version that is gone; another definition is missing.
    let mut other = wanted.clone();
    for version in other["spec"]["versions"].as_array_mut().context("no versions")? {
        let fields = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        fields["former"] = json!({ "type": "string" });
        fields.as_object_mut().context("no fields")?.remove("whenMissing");
    }
    let at = object::location(&other, "")?;
    cluster.asker().ask("PUT", &at, Some(&other)).await?.granted()?;
    ensure!(definition(&cluster, &binding).await?["spec"] != wanted["spec"]);
    let gone = definition(&cluster, &recording).await?;
    cluster.delete(&gone).await?;
    tests::until::until("it is gone", super::LIMIT, async || {
        Ok(definition(&cluster, &recording).await.is_err().then_some(()))
    })
    .await?;

    let account = node::token(&cluster, NAMESPACE, "cinch-crds", None).await?;
    let kubeconfig = cluster.kubeconfig("crds", &account)?;
    let job = named(&objects, "Job", "cinch-crds")?;
    let arguments = elements(job, "/spec/template/spec/containers/0/args").iter();
    let run = || -> Result<String> {
        let arguments: Vec<_> = arguments.clone().filter_map(Value::as_str).collect();
        let mut command = Command::new(webhook::program()?);
        let output = command.args(arguments).arg("--kubeconfig").arg(&kubeconfig).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let said = tokio::task::block_in_place(run)?;
    ensure!(said.contains(&format!("{binding}: replaced\n")), "{said}");
    ensure!(said.contains(&format!("{recording}: created\n")), "{said}");
    ensure!(said.matches(": as it should be\n").count() == 5, "{said}");
    assert_eq!(definition(&cluster, &binding).await?["spec"], wanted["spec"]);
    for file in std::fs::read_dir(chart::chart().join("crds"))? {
        let file = object::parse_one(&std::fs::read_to_string(file?.path())?)?;
        definition(&cluster, object::text(&file, "/metadata/name")?).await?;
    }
    let again = tokio::task::block_in_place(run)?;
    ensure!(again.matches(": as it should be\n").count() == 7, "{again}");

    // Of what it asks for nothing is refused, and it has no other definition to ask for.
    let user = format!("system:serviceaccount:{NAMESPACE}:cinch-crds");
    let events = cluster.audit().since(Moment::BEGIN)?;
    let own: Vec<_> = events.iter().filter(|event| by(&user)(event)).collect();
    ensure!(own.len() >= 14, "{}", own.len());
    for event in own {
        ensure!(event.pointer("/responseStatus/code") != Some(&json!(403)), "{event}");
    }
    let asker = account.asker().await?;
    let other = wanted["metadata"]["name"].as_str().context("no name")?.replace("profile", "other");
    let at = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{other}");
    ensure!(asker.ask("GET", &at, None).await?.status == 403);
    Ok(())
}
