//! Does all that the chart installs run?

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::chart::NAMESPACE;

use crate::{ground::Ground, questions};

questions![helm_installs_the_chart_and_every_part_is_ready];

async fn helm_installs_the_chart_and_every_part_is_ready(ground: &mut Ground) -> Result<()> {
    ground.installed().await?;
    let line = format!("get pods --namespace={NAMESPACE} --output=json");
    let pods: Value = serde_json::from_str(&ground.user.kubectl(&line).await?)?;
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    for part in ["webhook", "controller", "node-installer", "recorder"] {
        let of_part = |pod: &&Value| {
            pod.pointer("/metadata/labels/app.kubernetes.io~1component") == Some(&part.into())
        };
        let statuses: Vec<_> = pods
            .iter()
            .filter(of_part)
            .filter_map(|pod| pod.pointer("/status/containerStatuses/0"))
            .collect();
        ensure!(!statuses.is_empty(), "no pod of {part}");
        for status in statuses {
            ensure!(status["ready"] == true && status["restartCount"] == 0, "{part}: {status}");
        }
    }
    Ok(())
}
