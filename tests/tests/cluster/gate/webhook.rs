//! Which pods get a scheduling gate as they are made?

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::namespace::{BINDING, Namespace, RECORDING};

use super::{GATE, IMAGE, KIND, gate, gates};
use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, effect, profile, recording, simple, v1},
};

questions![
    a_pod_waits_while_the_profile_is_not_installed_everywhere,
    a_gate_comes_after_those_of_others_and_never_twice,
    a_pod_that_names_its_node_is_bound_with_a_warning,
    an_ephemeral_container_does_not_wait,
    a_recorded_container_does_not_wait,
    a_missing_profile_is_not_waited_for,
    a_binding_that_says_bind_does_not_gate,
];

/// A namespace with a binding for a profile that no node has told of.
async fn gated(shared: &Shared, more: &Value) -> Result<Namespace> {
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, more)]).await?;
    shared.settled(&namespace).await?;
    Ok(namespace)
}

async fn a_pod_waits_while_the_profile_is_not_installed_everywhere(shared: &Shared) -> Result<()> {
    let namespace = gated(shared, &gate()).await?;
    let name = &namespace.name;
    let mut before = 0.0;
    for webhook in shared.webhooks().await? {
        before += webhook.gauge("gated_pods_total").await.unwrap_or_default();
    }
    let answer = namespace.create_object(&simple(IMAGE)).await?;
    assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
    for word in ["main", KIND, name, "not installed yet", GATE] {
        assert!(answer.warnings[0].contains(word), "{word} in {:?}", answer.warnings);
    }
    let pod = answer.granted()?;
    assert_eq!(gates(&pod), [GATE]);
    assert_eq!(pod.pointer("/spec/containers/0/securityContext"), Some(&context(KIND, name)));
    let conditions = pod["status"]["conditions"].as_array().context("no conditions")?;
    let scheduled = conditions.iter().find(|condition| condition["type"] == "PodScheduled");
    assert_eq!(scheduled.context("not told")?["reason"], "SchedulingGated");
    let mut after = 0.0;
    for webhook in shared.webhooks().await? {
        after += webhook.gauge("gated_pods_total").await.unwrap_or_default();
    }
    assert!(after > before, "{after} after {before}");

    for (status, waits) in [("InProgress", true), ("Error", true), ("Installed", false)] {
        namespace.set_status(&v1(), KIND, name, &json!({ "status": status })).await?;
        shared.settled(&namespace).await?;
        let mut pod = simple(IMAGE);
        pod["metadata"]["name"] = json!("later");
        let pod = namespace.dry_run(&pod).await?.granted()?;
        assert_eq!(gates(&pod).contains(&GATE), waits, "{status}");
    }
    Ok(())
}

async fn a_gate_comes_after_those_of_others_and_never_twice(shared: &Shared) -> Result<()> {
    let namespace = gated(shared, &gate()).await?;
    let bound = context(KIND, &namespace.name);
    let effect = async |before: Value| {
        let mut pod = simple(IMAGE);
        pod["spec"]["schedulingGates"] = before;
        effect(shared, &namespace, &pod).await
    };
    let (theirs, ours) = (json!({ "name": "example.com/wait" }), json!({ "name": GATE }));
    let context = "/spec/containers/0/securityContext";
    assert_eq!(
        effect(json!([theirs])).await?,
        json!({ context: bound, "/spec/schedulingGates/1": ours })
    );
    assert_eq!(effect(json!([ours, theirs])).await?, json!({ context: bound }));
    assert_eq!(
        effect(Value::Null).await?,
        json!({ context: bound, "/spec/schedulingGates": [ours] })
    );
    Ok(())
}

/// The API server refuses a pod that has both.
async fn a_pod_that_names_its_node_is_bound_with_a_warning(shared: &Shared) -> Result<()> {
    let namespace = gated(shared, &gate()).await?;
    let mut pod = simple(IMAGE);
    pod["spec"]["nodeName"] = json!("node");
    let answer = namespace.dry_run(&pod).await?;
    assert!(answer.warnings[0].contains("names its node"), "{:?}", answer.warnings);
    let pod = answer.granted()?;
    assert_eq!(gates(&pod), [""; 0]);
    let bound = context(KIND, &namespace.name);
    assert_eq!(pod.pointer("/spec/containers/0/securityContext"), Some(&bound));
    Ok(())
}

async fn an_ephemeral_container_does_not_wait(shared: &Shared) -> Result<()> {
    let namespace = gated(shared, &gate()).await?;
    namespace.create_object(&simple("busybox")).await?.granted()?;
    let pod = namespace.debug("pod", &json!([{ "name": "debug", "image": IMAGE }])).await?;
    let pod = pod.granted()?;
    assert_eq!(gates(&pod), [""; 0]);
    let bound = context(KIND, &namespace.name);
    assert_eq!(pod.pointer("/spec/ephemeralContainers/0/securityContext"), Some(&bound));
    Ok(())
}

async fn a_recorded_container_does_not_wait(shared: &Shared) -> Result<()> {
    shared.webhooks().await?;
    let namespace = shared.namespace(&[(BINDING, "true"), (RECORDING, "true")]).await?;
    let name = &namespace.name;
    create(
        &namespace,
        &[
            profile(KIND, name),
            binding("b", KIND, name, IMAGE, &gate()),
            recording("r", KIND, "Logs", &json!({})),
        ],
    )
    .await?;
    shared.settled(&namespace).await?;
    let mut pod = simple(IMAGE);
    assert_eq!(gates(&namespace.dry_run(&pod).await?.granted()?), [GATE]);
    pod["metadata"]["labels"] = json!({ "app": "r" });
    assert_eq!(gates(&namespace.dry_run(&pod).await?.granted()?), [""; 0]);
    Ok(())
}

async fn a_missing_profile_is_not_waited_for(shared: &Shared) -> Result<()> {
    let namespace = gated(shared, &gate()).await?;
    let name = &namespace.name;
    let patch = json!({ "spec": { "state": "Disabled" } });
    namespace.patch(&v1(), KIND, name, &patch).await?.granted()?;
    for gone in [false, true] {
        if gone {
            namespace.delete(&v1(), KIND, name).await?;
        }
        shared.settled(&namespace).await?;
        let answer = namespace.dry_run(&simple(IMAGE)).await?;
        let word = if gone { "does not exist" } else { "is disabled" };
        assert!(answer.warnings[0].contains(word), "{:?}", answer.warnings);
        assert_eq!(gates(&answer.granted()?), [""; 0]);
    }
    Ok(())
}

async fn a_binding_that_says_bind_does_not_gate(shared: &Shared) -> Result<()> {
    for more in [json!({}), json!({ "whenNotReady": "Bind" })] {
        let namespace = gated(shared, &more).await?;
        let pod = namespace.dry_run(&simple(IMAGE)).await?.granted()?;
        assert_eq!(gates(&pod), [""; 0], "{more}");
    }
    Ok(())
}
