//! Does a profile that cannot be installed stop others, and is it installed as soon as it can be?

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{object, until::until};

use super::{KIND, change, installed, profile, quiet_cluster};
use crate::{questions, shared::Shared};

questions![
    a_profile_that_cannot_be_rendered_says_why_and_stops_no_other,
    an_object_that_a_later_schema_would_take_says_why_and_stops_no_other,
    a_profile_is_installed_once_its_base_is_there,
    a_profile_follows_its_base_through_all_stages,
    a_profile_that_fails_after_a_change_leaves_the_one_before,
    a_profile_of_an_older_version_is_installed,
];

fn on(base: &str) -> (String, Value) {
    let (name, mut object) = profile();
    object["spec"]["baseProfileName"] = json!(base);
    (name, object)
}

/// The names of the system calls of a file, each with what is done about it.
fn calls(path: &Path) -> Result<String> {
    let file: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    Ok(file["syscalls"].to_string())
}

async fn a_profile_that_cannot_be_rendered_says_why_and_stops_no_other(
    shared: &Shared,
) -> Result<()> {
    let (node, installer) = installed(&shared.cluster).await?;
    for base in ["oci://ghcr.io/acme/base:v1", "there-is-none"] {
        let ((bad, bad_object), (good, good_object)) = (on(base), profile());
        shared.cluster.create(&bad_object).await?;
        shared.cluster.create(&good_object).await?;
        let said = node.until_state(KIND, &bad, "Failed").await?;
        let message = said["message"].as_str().context("no message")?;
        ensure!(message.contains(base), "{message}");
        node.until_state(KIND, &good, "Installed").await?;
        ensure!(!installer.seccomp(&bad).exists(), "a file of a profile that has no text");
        let (status, detail) = installer.readyz().await?;
        ensure!(status == 200 && detail.contains("[-] node:"), "{status} {detail}");
    }
    Ok(())
}

async fn an_object_that_a_later_schema_would_take_says_why_and_stops_no_other(
    _: &Shared,
) -> Result<()> {
    let cluster = quiet_cluster().await?;
    let (node, installer) = installed(&cluster).await?;
    // As after an upgrade of the CRDs alone: an action that this daemon does not know.
    let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/seccompprofiles.security-profiles-operator.x-k8s.io";
    let asker = cluster.asker();
    let mut definition = asker.ask("GET", crd, None).await?.granted()?;
    for version in definition["spec"]["versions"].as_array_mut().context("no versions")? {
        version["schema"]["openAPIV3Schema"]["properties"]["spec"] =
            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    }
    asker.ask("PUT", crd, Some(&definition)).await?.granted()?;
    let ((bad, mut bad_object), (good, good_object)) = (profile(), profile());
    bad_object["spec"]["defaultAction"] = json!("SCMP_ACT_ASK_LATER");
    let at = object::collection(&bad_object, "")?;
    until("the API server takes it", Duration::from_mins(1), async || {
        let answer = asker.ask("POST", &at, Some(&bad_object)).await?;
        Ok(answer.status.is_success().then_some(()))
    })
    .await?;
    cluster.create(&good_object).await?;
    let said = node.until_state(KIND, &bad, "Failed").await?;
    let message = said["message"].as_str().context("no message")?;
    ensure!(message.contains("SCMP_ACT_ASK_LATER"), "{message}");
    node.until_state(KIND, &good, "Installed").await?;
    ensure!(!installer.seccomp(&bad).exists());
    Ok(())
}

async fn a_profile_is_installed_once_its_base_is_there(shared: &Shared) -> Result<()> {
    let (node, installer) = installed(&shared.cluster).await?;
    let (base, mut base_object) = profile();
    let (middle, middle_object) = on(&base);
    let (top, top_object) = on(&middle);
    shared.cluster.create(&top_object).await?;
    shared.cluster.create(&middle_object).await?;
    node.until_state(KIND, &top, "Failed").await?;
    node.until_state(KIND, &middle, "Failed").await?;
    base_object["spec"]["syscalls"] = json!([{ "names": ["getppid"], "action": "SCMP_ACT_ALLOW" }]);
    shared.cluster.create(&base_object).await?;
    for name in [&base, &middle, &top] {
        node.until_state(KIND, name, "Installed").await?;
        let calls = calls(&installer.seccomp(name))?;
        ensure!(calls.contains("getppid"), "{name}: {calls}");
    }
    Ok(())
}

async fn a_profile_follows_its_base_through_all_stages(shared: &Shared) -> Result<()> {
    let (node, installer) = installed(&shared.cluster).await?;
    let (base, base_object) = profile();
    let (middle, middle_object) = on(&base);
    let (top, top_object) = on(&middle);
    for object in [&base_object, &middle_object, &top_object] {
        shared.cluster.create(object).await?;
    }
    node.until_state(KIND, &top, "Installed").await?;
    let calls_of = |name: &str| calls(&installer.seccomp(name));
    ensure!(!calls_of(&top)?.contains("getppid"));
    let spec = json!({ "syscalls": [{ "names": ["getppid"], "action": "SCMP_ACT_ALLOW" }] });
    change(&shared.cluster, &base, &spec).await?;
    node.until_says(KIND, &base, "generation 2", |said| said["observedGeneration"] == 2).await?;
    for name in [&middle, &top] {
        let said = node.until_state(KIND, name, "Installed").await?;
        assert_eq!(said["observedGeneration"], json!(1), "its own object has not changed");
        let calls = calls_of(name)?;
        ensure!(calls.contains("getppid"), "{name}: {calls}");
    }
    // Without their base they cannot be made anew, but what containers start under stays.
    shared.cluster.delete(&base_object).await?;
    for name in [&middle, &top] {
        let said = node.until_state(KIND, name, "Failed").await?;
        let message = said["message"].as_str().context("no message")?;
        ensure!(message.contains(&base) && message.contains("generation 1 stays"), "{message}");
        ensure!(calls_of(name)?.contains("getppid"));
    }
    Ok(())
}

async fn a_profile_that_fails_after_a_change_leaves_the_one_before(shared: &Shared) -> Result<()> {
    let (node, installer) = installed(&shared.cluster).await?;
    let (name, object) = profile();
    shared.cluster.create(&object).await?;
    node.until_state(KIND, &name, "Installed").await?;
    let before = fs::read(installer.seccomp(&name))?;
    let spec = json!({ "defaultAction": "SCMP_ACT_KILL", "baseProfileName": "there-is-none" });
    change(&shared.cluster, &name, &spec).await?;
    let said = node.until_state(KIND, &name, "Failed").await?;
    assert_eq!(said["observedGeneration"], json!(1), "the one that the node has: {said}");
    assert_eq!(fs::read(installer.seccomp(&name))?, before);
    let spec = json!({ "baseProfileName": null });
    change(&shared.cluster, &name, &spec).await?;
    node.until_says(KIND, &name, "generation 3", |said| said["observedGeneration"] == 3).await?;
    ensure!(fs::read_to_string(installer.seccomp(&name))?.contains("SCMP_ACT_KILL"));
    Ok(())
}

async fn a_profile_of_an_older_version_is_installed(shared: &Shared) -> Result<()> {
    let (node, installer) = installed(&shared.cluster).await?;
    let manifest = include_str!("../../../fixtures/manifests/seccompprofile-v1beta1.yaml");
    let mut object = object::parse_one(manifest)?;
    ensure!(object::text(&object, "/apiVersion")?.ends_with("/v1beta1"));
    let (name, _) = profile();
    object["metadata"]["name"] = json!(name);
    shared.cluster.create(&object).await?;
    node.until_state(KIND, &name, "Installed").await?;
    let calls = calls(&installer.seccomp(&name))?;
    for rule in object["spec"]["syscalls"].as_array().context("no calls")? {
        for call in rule["names"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            ensure!(calls.contains(&format!("\"{call}\"")), "no {call} in {calls}");
        }
    }
    Ok(())
}
