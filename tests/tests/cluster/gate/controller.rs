//! When does the controller open a gate, and when does it not?

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::{
    chart::{self, NAMESPACE},
    namespace::{BINDING, Namespace},
    node,
    registration::{ONE_PATH, Registration, Scope},
    settled::{registered, settled},
    webhook::{Source, Webhook},
};

use super::{
    GATE, IMAGE, KIND, gates,
    stage::{self, Controller, Scene},
};
use crate::{
    questions,
    shared::{RIGHTS, Shared},
    write::{context, create, pod, profile, v1},
};

questions![
    a_gate_opens_when_all_nodes_that_the_pod_may_go_to_have_the_profile,
    an_older_form_of_the_profile_does_not_count,
    only_nodes_that_take_the_pod_and_are_ready_count,
    without_a_node_the_pod_waits_and_says_so,
    a_failure_on_a_node_is_told_and_waited_out,
    a_profile_that_is_deleted_or_disabled_opens_the_gate_and_is_told,
    a_binding_that_is_deleted_or_changed_opens_the_gate,
    a_namespace_that_steps_out_opens_its_gates,
    a_gate_that_an_author_wrote_opens,
    what_changed_while_no_controller_ran_opens_the_gate_that_a_webhook_made,
    the_right_to_change_pods_is_one_to_open_our_gate,
];

const INSTALLED: &str = "Installed";

async fn a_gate_opens_when_all_nodes_that_the_pod_may_go_to_have_the_profile(
    shared: &Shared,
) -> Result<()> {
    let scene = Scene::new(&shared.gates().await?.cluster).await?;
    let (a, b) = (scene.node(&json!({})).await?, scene.node(&json!({})).await?);
    scene.waits("all", &json!({})).await?;
    scene.waits("first", &json!({ "nodeSelector": { "kubernetes.io/hostname": a } })).await?;
    scene.still_waits("all").await?;
    scene.says(&b, INSTALLED, 1).await?;
    scene.still_waits("all").await?;
    scene.still_waits("first").await?;
    scene.says(&a, "Pending", 1).await?;
    scene.still_waits("first").await?;
    scene.says(&a, INSTALLED, 1).await?;
    scene.until_open("all").await?;
    scene.until_open("first").await?;
    let pod = scene.namespace.get("v1", "Pod", "all").await?.unwrap_or_default();
    assert_eq!(gates(&pod), ["example.com/first", "example.com/last"]);
    Ok(())
}

async fn an_older_form_of_the_profile_does_not_count(shared: &Shared) -> Result<()> {
    let scene = Scene::new(&shared.gates().await?.cluster).await?;
    let node = scene.node(&json!({})).await?;
    scene.change(&json!({ "defaultAction": "SCMP_ACT_ALLOW" })).await?;
    scene.says(&node, INSTALLED, 1).await?;
    scene.waits("pod", &json!({ "schedulingGates": [{ "name": GATE }] })).await?;
    scene.still_waits("pod").await?;
    scene.says(&node, INSTALLED, 2).await?;
    scene.until_open("pod").await?;
    let pod = scene.namespace.get("v1", "Pod", "pod").await?.unwrap_or_default();
    assert_eq!(pod["spec"].get("schedulingGates"), None);
    Ok(())
}

async fn only_nodes_that_take_the_pod_and_are_ready_count(shared: &Shared) -> Result<()> {
    let scene = Scene::new(&shared.gates().await?.cluster).await?;
    let good = scene.node(&json!({})).await?;
    scene.says(&good, INSTALLED, 1).await?;
    let taint = json!([{ "key": "reserved", "value": "yes", "effect": "NoSchedule" }]);
    let tainted = scene.node(&json!({ "taints": taint })).await?;
    let cordoned = scene.node(&json!({ "unschedulable": true })).await?;
    let bad = scene.node(&json!({})).await?;
    scene.ready(&bad, false).await?;
    let zone = scene.zone().to_owned();
    let only = |operator: &str, name: &str| {
        json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{
                "matchExpressions": [{ "key": "zone", "operator": "In", "values": [zone] }],
                "matchFields": [{ "key": "metadata.name", "operator": operator, "values": [name] }],
            }],
        }}})
    };
    scene.waits("plain", &json!({})).await?;
    scene.waits("affine", &json!({ "affinity": only("In", &good), "nodeSelector": {} })).await?;
    scene.until_open("plain").await?;
    scene.until_open("affine").await?;

    let tolerations = json!([{ "key": "reserved", "operator": "Exists" }]);
    scene.waits("tolerant", &json!({ "tolerations": tolerations })).await?;
    let tolerations = json!([{ "key": "node.kubernetes.io/unschedulable", "operator": "Exists" }]);
    scene.waits("daemon", &json!({ "tolerations": tolerations })).await?;
    scene.still_waits("tolerant").await?;
    scene.still_waits("daemon").await?;
    scene.says(&tainted, INSTALLED, 1).await?;
    scene.says(&cordoned, INSTALLED, 1).await?;
    scene.until_open("tolerant").await?;
    scene.until_open("daemon").await?;

    scene.waits("other", &json!({ "affinity": only("NotIn", &bad) })).await?;
    scene.until_open("other").await?;
    scene.ready(&bad, true).await?;
    scene.waits("late", &json!({})).await?;
    scene.still_waits("late").await?;
    scene.ready(&bad, false).await?;
    scene.until_open("late").await
}

async fn without_a_node_the_pod_waits_and_says_so(shared: &Shared) -> Result<()> {
    let scene = Scene::new(&shared.gates().await?.cluster).await?;
    scene.waits("pod", &json!({})).await?;
    let event = scene.told("pod", "NoNodeForProfile").await?;
    ensure!(event["type"] == "Warning" && event["regarding"]["kind"] == "Pod", "{event}");
    scene.still_waits("pod").await?;
    let node = scene.node(&json!({})).await?;
    scene.still_waits("pod").await?;
    scene.says(&node, INSTALLED, 1).await?;
    scene.until_open("pod").await?;
    assert_eq!(scene.events("pod", "NoNodeForProfile").await?.len(), 1);
    Ok(())
}

async fn a_failure_on_a_node_is_told_and_waited_out(shared: &Shared) -> Result<()> {
    let scene = Scene::new(&shared.gates().await?.cluster).await?;
    let node = scene.node(&json!({})).await?;
    scene.says(&node, "Failed", 1).await?;
    scene.waits("pod", &json!({})).await?;
    let event = scene.told("pod", "ProfileFailed").await?;
    let note = event["note"].as_str().unwrap_or_default();
    for word in [KIND, scene.zone(), &node, "this is Failed"] {
        ensure!(note.contains(word), "{word} in {note}");
    }
    scene.still_waits("pod").await?;
    scene.says(&node, INSTALLED, 1).await?;
    scene.until_open("pod").await
}

async fn a_profile_that_is_deleted_or_disabled_opens_the_gate_and_is_told(
    shared: &Shared,
) -> Result<()> {
    for deleted in [true, false] {
        let scene = Scene::new(&shared.gates().await?.cluster).await?;
        scene.node(&json!({})).await?;
        scene.waits("pod", &json!({})).await?;
        scene.still_waits("pod").await?;
        if deleted {
            // It stays for as long as the pod uses it, and is on its way out all the same.
            let at = tests::object::location(&profile(KIND, scene.zone()), "")?;
            scene.cluster.asker().ask("DELETE", &at, None).await?.granted()?;
        } else {
            scene.change(&json!({ "state": "Disabled" })).await?;
        }
        scene.until_open("pod").await?;
        let event = scene.told("pod", "ProfileGone").await?;
        let note = event["note"].as_str().unwrap_or_default();
        ensure!(event["type"] == "Warning" && note.contains(scene.zone()), "{event}");
    }
    Ok(())
}

async fn a_binding_that_is_deleted_or_changed_opens_the_gate(shared: &Shared) -> Result<()> {
    for change in [Value::Null, json!({ "whenNotReady": "Bind" }), json!({ "image": "redis" })] {
        let scene = Scene::new(&shared.gates().await?.cluster).await?;
        scene.node(&json!({})).await?;
        scene.waits("pod", &json!({})).await?;
        scene.still_waits("pod").await?;
        if change.is_null() {
            scene.namespace.delete(&v1(), "ProfileBinding", "b").await?;
        } else {
            let patch = json!({ "spec": change });
            scene.namespace.patch(&v1(), "ProfileBinding", "b", &patch).await?.granted()?;
        }
        scene.until_open("pod").await?;
        scene.told("pod", "GateOpened").await?;
    }
    Ok(())
}

async fn a_namespace_that_steps_out_opens_its_gates(shared: &Shared) -> Result<()> {
    for label in [None, Some("false")] {
        let scene = Scene::new(&shared.gates().await?.cluster).await?;
        scene.node(&json!({})).await?;
        scene.waits("pod", &json!({})).await?;
        scene.still_waits("pod").await?;
        scene.namespace.label(BINDING, label).await?;
        scene.until_open("pod").await?;
    }
    Ok(())
}

async fn a_gate_that_an_author_wrote_opens(shared: &Shared) -> Result<()> {
    let scene = Scene::new(&shared.gates().await?.cluster).await?;
    scene.node(&json!({})).await?;
    let container = |context: Value| json!({ "containers": [{ "name": "main", "image": IMAGE, "securityContext": context }] });
    scene.waits("unbound", &container(json!({}))).await?;
    scene.waits("theirs", &container(context("AppArmorProfile", "theirs"))).await?;
    let trace = context(KIND, "log-enricher-trace");
    scene.waits("recorded", &container(trace)).await?;
    let outside = shared.gates().await?;
    let outside = Namespace::new(outside.cluster.asker(), &[]).await?;
    let outside = Scene { cluster: scene.cluster, namespace: outside };
    outside.waits("outside", &json!({})).await?;
    for name in ["unbound", "theirs", "recorded"] {
        scene.until_open(name).await?;
    }
    outside.until_open("outside").await
}

async fn what_changed_while_no_controller_ran_opens_the_gate_that_a_webhook_made(
    _: &Shared,
) -> Result<()> {
    let cluster = stage::cluster().await?;
    chart::apply(&cluster, RIGHTS).await?;
    let identity = node::token(&cluster, NAMESPACE, "cinch-webhook", None).await?;
    let kubeconfig = cluster.kubeconfig("cinch-webhook", &identity)?;
    let webhook = Webhook::start(&cluster.new_folder()?, Source::Cluster(&kubeconfig)).await?;
    let registration = Registration {
        fixture: ONE_PATH,
        name: "cinch",
        address: webhook.reviews,
        ca: &webhook.ca()?,
        failure_policy: "Fail",
        scope: Scope::Shared,
    };
    cluster.create(&registration.object()?).await?;
    let scene = Scene::new(&cluster).await?;
    registered(&scene.namespace).await?;
    settled(&scene.namespace, &[&webhook]).await?;

    let mut controller = Controller::start(&cluster).await?;
    let node = scene.node(&json!({})).await?;
    let spec = json!({
        "containers": [{ "name": "main", "image": IMAGE }],
        "nodeSelector": { "zone": scene.zone() },
    });
    create(&scene.namespace, &[pod(&json!({}), &spec)]).await?;
    scene.still_waits("pod").await?;
    controller.kill()?;
    scene.says(&node, INSTALLED, 1).await?;
    assert!(scene.is_gated("pod").await?, "nobody is there to open it");
    let _controller = Controller::start(&cluster).await?;
    scene.until_open("pod").await?;
    let pod = scene.namespace.get("v1", "Pod", "pod").await?.unwrap_or_default();
    assert_eq!(pod["spec"].get("schedulingGates"), None);
    let bound = context(KIND, scene.zone());
    assert_eq!(pod.pointer("/spec/containers/0/securityContext"), Some(&bound));
    Ok(())
}

async fn the_right_to_change_pods_is_one_to_open_our_gate(shared: &Shared) -> Result<()> {
    let cluster = &shared.gates().await?.cluster;
    // Somebody waits for this profile: without that the controller would open the gate.
    let scene = Scene::new(cluster).await?;
    scene.node(&json!({})).await?;
    scene.waits("pod", &json!({})).await?;
    let asker = node::token(cluster, NAMESPACE, "cinch-controller", None).await?.asker().await?;
    let at = format!("/api/v1/namespaces/{}/pods/pod", scene.zone());
    let gate = |name: &str| json!({ "name": name });
    let (first, ours, last) = (gate("example.com/first"), gate(GATE), gate("example.com/last"));
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    asker.until_refused("PATCH", &at, Some(&label)).await?;
    for (patch, word) in [
        (label.clone(), "labels"),
        (json!({ "metadata": { "annotations": { "a": "b" } } }), "annotations"),
        (json!({ "metadata": { "finalizers": ["a/b"] } }), "finalizers"),
        (json!({ "spec": { "activeDeadlineSeconds": 5 } }), "for how long"),
        (
            json!({ "spec": { "nodeSelector": { "zone": scene.zone(), "a": "b" } } }),
            "where a pod goes",
        ),
        (json!({ "spec": { "schedulingGates": [ours, last] } }), "no other one"),
        (json!({ "spec": { "schedulingGates": [last] } }), "no other one"),
    ] {
        let message = asker.ask("PATCH", &at, Some(&patch)).await?.refused()?;
        ensure!(message.contains(word) && message.contains("cinch-pod-gates"), "{message}");
    }
    let mut image = scene.namespace.get("v1", "Pod", "pod").await?.unwrap_or_default();
    image["spec"]["containers"][0]["image"] = json!("other");
    let patch = json!({ "spec": { "containers": image["spec"]["containers"] } });
    let message = asker.ask("PATCH", &at, Some(&patch)).await?.refused()?;
    ensure!(message.contains("images"), "{message}");
    let patch = json!({ "spec": { "schedulingGates": [first, last] } });
    asker.ask("PATCH", &at, Some(&patch)).await?.granted()?;
    // The others are not asked.
    scene.namespace.patch("v1", "Pod", "pod", &label).await?.granted()?;
    Ok(())
}
