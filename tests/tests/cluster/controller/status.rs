//! Does the status of a profile say what the nodes say, whatever becomes of some of them?

use anyhow::Result;
use serde_json::{Value, json};
use tests::{cluster::Cluster, namespace::unique, object};

use super::{KIND, controlled, daemon::Controller, profile, quiet_cluster, until_is};
use crate::{questions, shared::Shared, write};

questions![
    a_node_that_is_gone_not_ready_or_new_holds_up_no_profile,
    a_binding_that_names_no_profile_is_told_of,
];

async fn set_ready(cluster: &Cluster, node: &str, ready: bool) -> Result<()> {
    let condition = json!({
        "type": "Ready", "status": if ready { "True" } else { "Unknown" }, "reason": "Test", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "lastHeartbeatTime": "2026-01-01T00:00:00Z",
    });
    let patch = json!({ "status": { "conditions": [condition] } });
    let at = format!("/api/v1/nodes/{node}/status");
    cluster.asker().ask("PATCH", &at, Some(&patch)).await?.granted()?;
    Ok(())
}

async fn new_node(cluster: &Cluster, name: &str) -> Result<()> {
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } });
    cluster.create(&node).await?;
    set_ready(cluster, name, true).await
}

fn report(node: &str) -> Value {
    json!({ "apiVersion": write::v1(), "kind": "NodeSecurityProfiles", "metadata": { "name": node } })
}

/// The daemon of a node says this of a profile.
async fn say(
    cluster: &Cluster,
    node: &str,
    profile: &str,
    state: &str,
    generation: i64,
) -> Result<()> {
    let object = report(node);
    let at = object::location(&object, "")?;
    if !cluster.asker().ask("GET", &at, None).await?.status.is_success() {
        cluster.create(&object).await?;
    }
    let message = (state == "Failed").then_some("no room");
    let status = json!({ "installed": 0, "pending": 0, "failed": 0, "profiles": [{
        "kind": KIND, "name": profile, "state": state, "observedGeneration": generation, "message": message,
    }]});
    let patch = json!({ "status": status });
    cluster.asker().ask("PATCH", &format!("{at}/status"), Some(&patch)).await?.granted()?;
    Ok(())
}

async fn a_node_that_is_gone_not_ready_or_new_holds_up_no_profile(_: &Shared) -> Result<()> {
    let cluster = quiet_cluster().await?;
    let _controller = Controller::start(&cluster, "only").await?;
    let (name, object) = profile();
    cluster.create(&object).await?;
    let nodes = ["n1", "n2", "n3"].map(|node| format!("{node}-{}", unique()));
    for node in &nodes {
        new_node(&cluster, node).await?;
        say(&cluster, node, &name, "Installed", 1).await?;
    }
    let until_says = async |what: &str, phase: &str, count: [u8; 3], condition: [&str; 2]| {
        let [desired, installed, failed] = count;
        let nodes = json!({ "desired": desired, "installed": installed, "failed": failed });
        let is = |object: &Value| {
            let (status, ready) = (&object["status"], &object["status"]["conditions"][0]);
            status["status"] == *phase
                && status["nodes"] == nodes
                && ready["reason"] == condition[0]
                && ready["message"] == condition[1]
                && ready["observedGeneration"] == object["metadata"]["generation"]
        };
        until_is(&cluster, &object, "", what, is).await
    };
    let all =
        until_says("all have it", "Installed", [3, 3, 0], ["Available", "installed on 3 nodes"]);
    let all = all.await?;
    assert_eq!(all["status"]["localhostProfile"], json!(format!("operator/{name}.json")));
    assert_eq!(all["status"]["conditions"][0]["status"], "True");

    let [n1, n2, n3] = &nodes;
    let change = json!({ "spec": { "defaultAction": "SCMP_ACT_ERRNO" } });
    cluster
        .asker()
        .ask("PATCH", &object::location(&object, "")?, Some(&change))
        .await?
        .granted()?;
    say(&cluster, n1, &name, "Installed", 2).await?;
    let message = format!("installed on 1 of 3 nodes; waits for {n2}, {n3}");
    until_says("two are behind", "InProgress", [3, 1, 0], ["Updating", &message]).await?;
    // Neither says anything any more; and one comes whose daemon has said nothing yet.
    set_ready(&cluster, n2, false).await?;
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": n3 } });
    cluster.delete(&node).await?;
    new_node(&cluster, "n4").await?;
    until_says(
        "nothing is waited for",
        "Installed",
        [1, 1, 0],
        ["Available", "installed on 1 node"],
    )
    .await?;

    say(&cluster, "n4", &name, "Failed", 1).await?;
    let message = "failed on 1 of 2 nodes: n4 (no room)";
    until_says("it failed on the new one", "Error", [2, 1, 1], ["Unavailable", message]).await?;
    cluster.delete(&report("n4")).await?;
    let disabled = json!({ "spec": { "state": "Disabled" } });
    cluster
        .asker()
        .ask("PATCH", &object::location(&object, "")?, Some(&disabled))
        .await?
        .granted()?;
    say(&cluster, n1, &name, "Terminating", 2).await?;
    let message = "disabled: it is put on no node, and one still has it for its pods";
    until_says("it is disabled", "Disabled", [0, 1, 0], ["Unavailable", message]).await?;
    Ok(())
}

async fn a_binding_that_names_no_profile_is_told_of(shared: &Shared) -> Result<()> {
    let controlled = controlled(shared).await?;
    let (cluster, namespace) = (&controlled.cluster, controlled.namespace().await?);
    let binding = write::binding("b", KIND, "is-not-there", "*", &json!({}));
    namespace.create_object(&binding).await?.granted()?;
    let at = format!("/apis/events.k8s.io/v1/namespaces/{}/events", namespace.name);
    let told = tests::until::until("an Event tells of it", super::LIMIT, async || {
        let events = cluster.asker().ask("GET", &at, None).await?.granted()?;
        Ok(events["items"].as_array().and_then(|events| events.first()).cloned())
    });
    let told = told.await?;
    assert_eq!((&told["reason"], &told["type"]), (&json!("ProfileMissing"), &json!("Warning")));
    assert_eq!(
        told["note"],
        "SeccompProfile is-not-there does not exist: no pod gets it until it does"
    );
    assert_eq!(
        (&told["regarding"]["kind"], &told["regarding"]["name"]),
        (&json!("ProfileBinding"), &json!("b"))
    );
    Ok(())
}
