//! Are pods prepared for recording?

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tests::namespace::{BINDING, Namespace, RECORDING};

use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, effect, pod, profile, recording},
};

questions![
    each_recorder_and_kind_writes_its_annotation_and_field,
    the_value_names_the_recording_the_container_and_the_time,
    an_annotation_that_came_with_the_pod_is_replaced,
    only_the_chosen_containers_are_recorded,
    a_paused_recording_takes_no_pods,
    recording_works_where_binding_says_false,
    recording_from_logs_comes_before_a_binding_of_the_same_kind,
    recording_by_bpf_and_a_binding_go_together,
];

const IMAGE: &str = "nginx:1.19.1";
const LOG_SECCOMP: &str = "/spec/containers/0/securityContext";

fn recorded(name: &str) -> Value {
    pod(
        &json!({ "labels": { "app": name } }),
        &json!({ "containers": [{ "name": "main", "image": IMAGE }] }),
    )
}

/// The value of an annotation of the pod that the API server makes.
async fn annotation(namespace: &Namespace, pod: &Value, key: &str) -> Result<Option<String>> {
    let pod = namespace.dry_run(pod).await?.granted()?;
    Ok(pod["metadata"]["annotations"][key].as_str().map(str::to_owned))
}

async fn each_recorder_and_kind_writes_its_annotation_and_field(shared: &Shared) -> Result<()> {
    let trace = json!({
        "seccompProfile": { "type": "Localhost", "localhostProfile": "operator/log-enricher-trace.json" },
    });
    let selinux = json!({ "seLinuxOptions": { "type": "selinuxrecording.process" } });
    let apparmor = json!({ "appArmorProfile": { "type": "Localhost", "localhostProfile": "apparmorrecording" } });
    for (recorder, kind, key, context) in [
        ("Logs", "SeccompProfile", "io.containers.trace-logs/main", Some(trace)),
        ("Logs", "SelinuxProfile", "io.containers.trace-avcs/main", Some(selinux.clone())),
        ("Logs", "AppArmorProfile", "io.containers.trace-logs-apparmor/main", Some(apparmor)),
        ("Bpf", "SeccompProfile", "io.containers.trace-bpf/main", None),
        ("Bpf", "AppArmorProfile", "io.containers.trace-bpf-apparmor/main", None),
        ("Bpf", "SelinuxProfile", "io.containers.trace-bpf-selinux/main", Some(selinux)),
    ] {
        let namespace = shared.recorded().await?;
        create(&namespace, &[recording("r", kind, recorder, &json!({}))]).await?;
        shared.settled(&namespace).await?;
        let effect = effect(shared, &namespace, &recorded("r")).await?;
        let annotations = &effect["/metadata/annotations"];
        let keys: Vec<&String> =
            annotations.as_object().into_iter().flatten().map(|(k, _)| k).collect();
        assert_eq!(keys, [key], "{recorder} {kind}: {effect}");
        let mut expected = json!({ "/metadata/annotations": annotations });
        if let Some(context) = context {
            expected[LOG_SECCOMP] = context;
        }
        assert_eq!(effect, expected, "{recorder} {kind}");
    }
    Ok(())
}

async fn the_value_names_the_recording_the_container_and_the_time(shared: &Shared) -> Result<()> {
    let namespace = shared.recorded().await?;
    create(&namespace, &[recording("my-recording", "SeccompProfile", "Bpf", &json!({}))]).await?;
    shared.settled(&namespace).await?;
    let key = "io.containers.trace-bpf/main";
    let value = annotation(&namespace, &recorded("my-recording"), key).await?.context("no mark")?;
    let parts: Vec<&str> = value.split('_').collect();
    let [recording, container, nonce, seconds] = parts[..] else { bail!("four parts: {value}") };
    assert_eq!((recording, container), ("my-recording", "main"));
    assert!(!nonce.is_empty());
    let made = Duration::from_secs(seconds.parse()?);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    assert!(now.abs_diff(made) < Duration::from_mins(1), "{value} at {now:?}");
    Ok(())
}

async fn an_annotation_that_came_with_the_pod_is_replaced(shared: &Shared) -> Result<()> {
    let namespace = shared.recorded().await?;
    create(&namespace, &[recording("r", "SeccompProfile", "Bpf", &json!({}))]).await?;
    shared.settled(&namespace).await?;
    let key = "io.containers.trace-bpf/main";
    let mut spoofed = recorded("r");
    spoofed["metadata"]["annotations"] =
        json!({ key: "r_main_0123456789_1700000000", "other": "stays" });
    let answer = namespace.dry_run(&spoofed).await?;
    assert!(answer.warnings.iter().any(|warning| warning.contains(key)), "{:?}", answer.warnings);
    let annotations = answer.granted()?["metadata"]["annotations"].clone();
    let value = annotations[key].as_str().context("no mark")?;
    assert!(value.starts_with("r_main_") && value != "r_main_0123456789_1700000000", "{value}");
    assert_eq!(annotations["other"], "stays");
    Ok(())
}

async fn only_the_chosen_containers_are_recorded(shared: &Shared) -> Result<()> {
    let namespace = shared.recorded().await?;
    let chosen = json!({ "containers": ["main", "prepare"] });
    create(&namespace, &[recording("r", "SeccompProfile", "Bpf", &chosen)]).await?;
    shared.settled(&namespace).await?;
    let many = pod(
        &json!({ "labels": { "app": "r" } }),
        &json!({
            "initContainers": [{ "name": "prepare", "image": IMAGE }],
            "containers": [{ "name": "main", "image": IMAGE }, { "name": "side", "image": IMAGE }],
        }),
    );
    let effect = effect(shared, &namespace, &many).await?;
    let keys: Vec<&String> =
        effect["/metadata/annotations"].as_object().context("no mark")?.keys().collect();
    assert_eq!(keys, ["io.containers.trace-bpf/main", "io.containers.trace-bpf/prepare"]);
    Ok(())
}

async fn a_paused_recording_takes_no_pods(shared: &Shared) -> Result<()> {
    let namespace = shared.recorded().await?;
    create(&namespace, &[recording("r", "SeccompProfile", "Bpf", &json!({ "paused": true }))])
        .await?;
    shared.settled(&namespace).await?;
    assert_eq!(effect(shared, &namespace, &recorded("r")).await?, json!({}));
    Ok(())
}

async fn recording_works_where_binding_says_false(shared: &Shared) -> Result<()> {
    shared.webhooks().await?;
    let namespace = shared.namespace(&[(RECORDING, "true"), (BINDING, "false")]).await?;
    let name = &namespace.name;
    create(
        &namespace,
        &[
            profile("SeccompProfile", name),
            binding("b", "SeccompProfile", name, IMAGE, &json!({})),
            recording("r", "AppArmorProfile", "Bpf", &json!({})),
        ],
    )
    .await?;
    shared.settled(&namespace).await?;
    let pod = namespace.dry_run(&recorded("r")).await?.granted()?;
    assert!(pod.pointer("/metadata/annotations/io.containers.trace-bpf-apparmor~1main").is_some());
    assert_eq!(pod.pointer("/spec/containers/0/securityContext"), None);
    Ok(())
}

async fn both(shared: &Shared, recorder: &str) -> Result<Namespace> {
    shared.webhooks().await?;
    let namespace = shared.namespace(&[(RECORDING, "true"), (BINDING, "true")]).await?;
    let name = &namespace.name;
    create(
        &namespace,
        &[
            profile("SeccompProfile", name),
            binding("b", "SeccompProfile", name, IMAGE, &json!({})),
            recording("r", "SeccompProfile", recorder, &json!({})),
        ],
    )
    .await?;
    shared.settled(&namespace).await?;
    Ok(namespace)
}

async fn recording_from_logs_comes_before_a_binding_of_the_same_kind(
    shared: &Shared,
) -> Result<()> {
    let namespace = both(shared, "Logs").await?;
    let answer = namespace.dry_run(&recorded("r")).await?;
    let told = |warning: &String| warning.contains("ProfileBinding b");
    assert!(answer.warnings.iter().any(told), "{:?}", answer.warnings);
    let pod = answer.granted()?;
    assert_eq!(
        pod.pointer("/spec/containers/0/securityContext/seccompProfile/localhostProfile"),
        Some(&json!("operator/log-enricher-trace.json"))
    );
    assert!(pod.pointer("/metadata/annotations/io.containers.trace-logs~1main").is_some());
    Ok(())
}

async fn recording_by_bpf_and_a_binding_go_together(shared: &Shared) -> Result<()> {
    let namespace = both(shared, "Bpf").await?;
    let pod = namespace.dry_run(&recorded("r")).await?.granted()?;
    assert_eq!(
        pod.pointer("/spec/containers/0/securityContext"),
        Some(&context("SeccompProfile", &namespace.name))
    );
    assert!(pod.pointer("/metadata/annotations/io.containers.trace-bpf~1main").is_some());
    Ok(())
}
