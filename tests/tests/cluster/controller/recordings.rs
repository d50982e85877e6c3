//! Is ended what no recorder can end any more?

use anyhow::Result;
use serde_json::{Value, json};

use super::{KIND, controlled, until_is};
use crate::{questions, shared::Shared, write};

questions![a_part_of_a_recording_whose_node_is_lost_is_ended];

async fn a_part_of_a_recording_whose_node_is_lost_is_ended(shared: &Shared) -> Result<()> {
    let controlled = controlled(shared).await?;
    let (cluster, namespace) = (&controlled.cluster, controlled.namespace().await?);
    let recording = write::recording("web", KIND, "Bpf", &json!({ "mergeStrategy": "Containers" }));
    namespace.create_object(&recording).await?.granted()?;
    // As its recorder has left it.
    let status =
        json!({ "phase": "Recording", "activeWorkloads": [format!("{}/lost", namespace.name)] });
    namespace.set_status(&write::v1(), "ProfileRecording", "web", &status).await?;
    let name = format!("web-main-{}", namespace.name);
    let mut part = write::profile(KIND, &name);
    part["metadata"]["labels"] = json!({
        "spo.x-k8s.io/recording-id": "web", "spo.x-k8s.io/recording-namespace": namespace.name,
        "spo.x-k8s.io/container-id": "main", "spo.x-k8s.io/partial": "true",
    });
    cluster.create(&part).await?;
    let says = |phase: &'static str| move |object: &Value| object["status"]["status"] == phase;
    until_is(cluster, &part, "", "it is a part", says("Partial")).await?;
    // Two minutes, in which a recorder could say it.
    let whole = |object: &Value| object.pointer("/metadata/labels/spo.x-k8s.io~1partial").is_none();
    for _ in 0..2 {
        drop(until_is(cluster, &part, "", "it is whole", whole).await);
    }
    let object = until_is(cluster, &part, "", "it is whole", whole).await?;
    assert_eq!(object["metadata"]["labels"]["spo.x-k8s.io/recording-id"], "web", "the others stay");
    let left = |object: &Value| {
        object["status"]["activeWorkloads"] == json!([]) && object["status"]["phase"] == "Waiting"
    };
    until_is(cluster, &recording, &namespace.name, "nothing is counted any more", left).await?;
    Ok(())
}
