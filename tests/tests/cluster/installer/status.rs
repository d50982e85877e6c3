//! Does a node say what it has, and does that stay true?

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{node::Node, object, until::until};

use super::{KIND, change, installed, profile};
use crate::{
    questions,
    shared::{Shared, Skipped},
};

questions![
    a_node_says_what_it_has_of_which_generation,
    what_a_node_says_goes_with_the_node,
    what_somebody_else_wrote_is_put_right_with_the_next_change,
    a_deleted_object_is_made_again_with_the_next_change,
];

const LIMIT: Duration = Duration::from_mins(2);

/// The counts are those of what is said of each profile.
fn assert_counted(object: &Value) {
    let profiles = object["status"]["profiles"].as_array().cloned().unwrap_or_default();
    for (count, state) in [("installed", "Installed"), ("pending", "Pending"), ("failed", "Failed")]
    {
        let found = profiles.iter().filter(|profile| profile["state"] == *state).count();
        assert_eq!(object["status"][count], json!(found), "{count}");
    }
}

async fn own_object(node: &Node<'_>) -> Result<Value> {
    node.object().await?.context("the node says nothing")
}

async fn a_node_says_what_it_has_of_which_generation(shared: &Shared) -> Result<()> {
    let (node, installer) = installed(&shared.cluster).await?;
    let ((good, good_object), (bad, mut bad_object)) = (profile(), profile());
    bad_object["spec"]["baseProfileName"] = json!("there-is-none");
    shared.cluster.create(&good_object).await?;
    shared.cluster.create(&bad_object).await?;
    let said = node.until_state(KIND, &good, "Installed").await?;
    assert_eq!(
        said,
        json!({ "kind": KIND, "name": good, "state": "Installed", "observedGeneration": 1 })
    );
    let text = fs::read_to_string(installer.seccomp(&good))?;
    assert!(text.contains("SCMP_ACT_LOG"), "{text}");
    let said = node.until_state(KIND, &bad, "Failed").await?;
    let message = said["message"].as_str().context("no message")?;
    assert!(message.contains("there-is-none"), "{message}");
    assert_eq!(said["observedGeneration"], Value::Null, "it has none of it");

    let object = own_object(&node).await?;
    assert_counted(&object);
    let owner = &object["metadata"]["ownerReferences"];
    assert_eq!(owner.as_array().map(Vec::len), Some(1));
    assert_eq!(owner[0]["uid"], node.reference()["uid"]);
    assert_eq!((&owner[0]["kind"], &owner[0]["name"]), (&json!("Node"), &json!(node.name)));
    let managers = object["metadata"]["managedFields"].as_array().context("no managers")?;
    let status = managers.iter().find(|manager| manager["subresource"] == "status");
    let status = status.context("nobody manages the status")?;
    assert_eq!(
        (&status["manager"], &status["operation"]),
        (&json!("cinch-node-installer"), &json!("Apply"))
    );

    change(&shared.cluster, &good, &json!({ "defaultAction": "SCMP_ACT_ALLOW" })).await?;
    node.until_says(KIND, &good, "generation 2", |said| said["observedGeneration"] == 2).await?;
    assert!(fs::read_to_string(installer.seccomp(&good))?.contains("SCMP_ACT_ALLOW"));
    assert_counted(&own_object(&node).await?);
    Ok(())
}

async fn what_a_node_says_goes_with_the_node(shared: &Shared) -> Result<()> {
    if !shared.cluster.has_controller_manager() {
        return Err(Skipped("needs kube-controller-manager").into());
    }
    let (node, mut installer) = installed(&shared.cluster).await?;
    until("the node says something", LIMIT, async || node.object().await).await?;
    installer.kill()?;
    node.delete().await?;
    until("the object is gone", LIMIT, async || Ok(node.object().await?.is_none().then_some(())))
        .await
}

async fn what_somebody_else_wrote_is_put_right_with_the_next_change(shared: &Shared) -> Result<()> {
    let (node, _installer) = installed(&shared.cluster).await?;
    let ((first, first_object), (second, second_object)) = (profile(), profile());
    shared.cluster.create(&first_object).await?;
    node.until_state(KIND, &first, "Installed").await?;
    let lie = json!({ "status": { "failed": 999, "profiles": [
        { "kind": KIND, "name": first, "state": "Failed", "message": "a lie" },
        { "kind": KIND, "name": "a-lie", "state": "Installed" },
    ]}});
    let at = format!("{}/status", object::location(&node.own_object(), "")?);
    shared.cluster.asker().ask("PATCH", &at, Some(&lie)).await?.granted()?;
    shared.cluster.create(&second_object).await?;
    node.until_state(KIND, &second, "Installed").await?;
    node.until_state(KIND, &first, "Installed").await?;
    node.until_silent(KIND, "a-lie").await?;
    assert_counted(&own_object(&node).await?);
    Ok(())
}

async fn a_deleted_object_is_made_again_with_the_next_change(shared: &Shared) -> Result<()> {
    let (node, _installer) = installed(&shared.cluster).await?;
    let ((first, first_object), (second, second_object)) = (profile(), profile());
    shared.cluster.create(&first_object).await?;
    node.until_state(KIND, &first, "Installed").await?;
    shared.cluster.delete(&node.own_object()).await?;
    shared.cluster.create(&second_object).await?;
    node.until_state(KIND, &second, "Installed").await?;
    node.until_state(KIND, &first, "Installed").await?;
    let object = own_object(&node).await?;
    assert_eq!(object["metadata"]["ownerReferences"][0]["name"], json!(node.name));
    Ok(())
}
