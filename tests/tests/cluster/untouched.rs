//! Does everything else in a pod stay as it was?

use anyhow::Result;
use serde_json::{Value, json};
use tests::review::{BOTH, Review};

use crate::{
    questions,
    shared::Shared,
    write::{binding, create, effect, field, pod, profile, simple},
};

questions![
    fields_that_the_webhook_does_not_know_survive,
    fields_that_nobody_knows_yet_survive,
    a_level_that_the_user_set_stays,
    what_the_pod_says_about_selinux_is_kept_for_the_container,
    windows_and_mirror_pods_pass_through,
];

const IMAGE: &str = "nginx:1.19.1";

/// A pod with much in it that has nothing to do with profiles.
fn rich() -> Value {
    pod(
        &json!({ "labels": { "app": "web" }, "annotations": { "example.com/note": "a \"quoted\" ✓ text" } }),
        &json!({
            "hostUsers": false,
            "schedulingGates": [{ "name": "example.com/wait" }],
            "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": { "matchLabels": { "app": "web" } },
            }],
            "securityContext": { "fsGroup": 2000, "sysctls": [{ "name": "net.ipv4.tcp_syncookies", "value": "1" }] },
            "volumes": [{ "name": "data", "image": { "reference": "example.com/data:1" } }],
            "containers": [{
                "name": "main",
                "image": IMAGE,
                "resizePolicy": [{ "resourceName": "cpu", "restartPolicy": "NotRequired" }],
                "securityContext": {
                    "procMount": "Default",
                    "readOnlyRootFilesystem": true,
                    "capabilities": { "add": ["NET_ADMIN"], "drop": ["ALL"] },
                },
                "volumeMounts": [{ "name": "data", "mountPath": "/data", "recursiveReadOnly": "Disabled" }],
                "lifecycle": { "preStop": { "sleep": { "seconds": 1 } } },
            }],
        }),
    )
}

async fn fields_that_the_webhook_does_not_know_survive(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    let mut expected = json!({});
    for kind in ["SeccompProfile", "SelinuxProfile", "AppArmorProfile"] {
        let binding = binding(&kind.to_lowercase(), kind, name, IMAGE, &json!({}));
        create(&namespace, &[profile(kind, name), binding]).await?;
        let (key, value) = field(kind, name);
        expected[format!("/spec/containers/0/securityContext/{key}")] = value;
    }
    shared.settled(&namespace).await?;
    assert_eq!(effect(shared, &namespace, &rich()).await?, expected);
    Ok(())
}

async fn fields_that_nobody_knows_yet_survive(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let (name, kind) = (&namespace.name, "SeccompProfile");
    create(&namespace, &[profile(kind, name), binding("b", kind, name, IMAGE, &json!({}))]).await?;
    shared.settled(&namespace).await?;
    let mut pod = simple(IMAGE);
    pod["spec"]["fieldOf2040"] = json!({ "deep": [1, 2.5, null, { "x": "y" }] });
    pod["spec"]["containers"][0]["securityContext"] = json!({ "alsoNew": { "a/b~c": [] } });
    let mut expected = pod.clone();
    let (key, value) = field(kind, name);
    expected["spec"]["containers"][0]["securityContext"][key] = value;
    // Straight to the webhook: the API server drops what it does not know itself.
    let [webhook, _] = shared.webhooks().await?;
    let verdict = webhook.review(BOTH, &Review::of(name, &pod)).await?;
    assert_eq!(verdict.applied_to(&pod)?, expected);
    Ok(())
}

async fn a_level_that_the_user_set_stays(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let (name, kind) = (&namespace.name, "SelinuxProfile");
    create(&namespace, &[profile(kind, name), binding("b", kind, name, IMAGE, &json!({}))]).await?;
    shared.settled(&namespace).await?;
    let mut pod = simple(IMAGE);
    pod["spec"]["containers"][0]["securityContext"] =
        json!({ "seLinuxOptions": { "level": "s0:c1,c2", "user": "user_u" } });
    assert_eq!(
        effect(shared, &namespace, &pod).await?,
        json!({ "/spec/containers/0/securityContext/seLinuxOptions/type": format!("{name}.process") })
    );
    Ok(())
}

/// Options of a container replace those of its pod as a whole: without a copy they would be lost.
async fn what_the_pod_says_about_selinux_is_kept_for_the_container(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let (name, kind) = (&namespace.name, "SelinuxProfile");
    create(&namespace, &[profile(kind, name), binding("b", kind, name, IMAGE, &json!({}))]).await?;
    shared.settled(&namespace).await?;
    let mut pod = simple(IMAGE);
    let of_pod =
        json!({ "user": "user_u", "role": "role_r", "type": "type_t", "level": "s0:c1,c2" });
    pod["spec"]["securityContext"] = json!({ "seLinuxOptions": of_pod });
    let of_container = json!({
        "user": "user_u", "role": "role_r", "type": format!("{name}.process"), "level": "s0:c1,c2",
    });
    assert_eq!(
        effect(shared, &namespace, &pod).await?,
        json!({ "/spec/containers/0/securityContext": { "seLinuxOptions": of_container } })
    );
    Ok(())
}

async fn windows_and_mirror_pods_pass_through(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let (name, kind) = (&namespace.name, "SeccompProfile");
    create(&namespace, &[profile(kind, name), binding("b", kind, name, IMAGE, &json!({}))]).await?;
    shared.settled(&namespace).await?;
    let mut windows = simple(IMAGE);
    windows["spec"]["os"] = json!({ "name": "windows" });
    assert_eq!(effect(shared, &namespace, &windows).await?, json!({}));

    let mut mirror = simple(IMAGE);
    mirror["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "hash" });
    mirror["spec"]["nodeName"] = json!("node");
    // The API server takes mirror pods from nodes only: the webhook is asked straight away.
    for webhook in shared.webhooks().await? {
        for pod in [&windows, &mirror] {
            let verdict = webhook.review(BOTH, &Review::of(name, pod)).await?;
            assert!(verdict.allowed && verdict.patch.is_null(), "{verdict:?}");
        }
    }
    Ok(())
}
