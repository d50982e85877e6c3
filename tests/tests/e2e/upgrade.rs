//! Does an upgrade bring everything up to date, and is nothing of it left?

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::{
    chart::{self, NAMESPACE},
    object::{self, GROUP},
};

use crate::{ground::Ground, questions};

questions![helm_upgrades_the_chart_and_brings_crds_up_to_date];

async fn helm_upgrades_the_chart_and_brings_crds_up_to_date(ground: &mut Ground) -> Result<()> {
    ground.installed().await?;
    let asker = ground.cluster.asker();
    // As if they were of an older version, which knew less.
    let at =
        format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/profilebindings.{GROUP}");
    let wanted = asker.ask("GET", &at, None).await?.granted()?;
    let mut older = wanted.clone();
    for version in older["spec"]["versions"].as_array_mut().context("no versions")? {
        let fields = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        fields.as_object_mut().context("no fields")?.remove("whenNotReady");
    }
    asker.ask("PUT", &at, Some(&older)).await?.granted()?;

    let line = format!(
        "upgrade cinch {} --namespace={NAMESPACE} --reset-then-reuse-values --wait --timeout=4m --set={}",
        chart::chart().display(),
        "logLevel=debug"
    );
    ground.user.helm(&line).await.context("cannot upgrade")?;
    let now = asker.ask("GET", &at, None).await?.granted()?;
    ensure!(now["spec"] == wanted["spec"], "{now}");
    // Whoever did that has no rights any more, and is not there.
    for kind in ["Job", "ServiceAccount"] {
        let api = if kind == "Job" { "batch/v1" } else { "v1" };
        let job = json!({ "apiVersion": api, "kind": kind, "metadata": { "name": "cinch-crds" } });
        let answer = asker.ask("GET", &object::location(&job, NAMESPACE)?, None).await?;
        ensure!(answer.status == 404, "{kind}: {}", answer.status);
    }
    Ok(())
}
