//! Does a profile stay for as long as a pod uses it, and go then?

use anyhow::{Result, ensure};
use http::StatusCode;
use serde_json::{Value, json};
use tests::{chart::NAMESPACE, node, object, until::until};

use super::{LIMIT, controlled, daemon::ACCOUNT, pod, profile, until_is};
use crate::{questions, shared::Shared, write};

questions![
    a_profile_that_is_deleted_stays_until_its_last_pod_ends,
    a_profile_of_every_kind_is_kept,
    what_a_profile_in_use_builds_on_is_kept,
    a_profile_that_came_with_the_finalizer_and_is_not_in_use_is_let_go,
    the_right_to_change_profiles_is_one_to_hold_them,
];

const FINALIZER: &str = "spo.x-k8s.io/in-use";

fn is_held(object: &Value) -> bool {
    object["metadata"]["finalizers"] == json!([FINALIZER])
}

async fn a_profile_that_is_deleted_stays_until_its_last_pod_ends(shared: &Shared) -> Result<()> {
    let controlled = controlled(shared).await?;
    let cluster = &controlled.cluster;
    let (one, two) = (controlled.namespace().await?, controlled.namespace().await?);
    let (name, object) = profile();
    cluster.create(&object).await?;
    one.create_object(&pod("a", &name)).await?.granted()?;
    two.create_object(&pod("b", &name)).await?.granted()?;
    until_is(cluster, &object, "", "the profile is kept", is_held).await?;
    cluster.delete(&object).await?;
    let going = |object: &Value| object["status"]["status"] == "Terminating";
    let object_now = until_is(cluster, &object, "", "it says so", going).await?;
    let condition = &object_now["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("Ready"), &json!("False")));
    assert_eq!(condition["reason"], "Deleting");
    let mut pods = [format!("{}/a", one.name), format!("{}/b", two.name)];
    pods.sort();
    let message = format!("kept while 2 pods use it: {}", pods.join(", "));
    assert_eq!(condition["message"], message);
    let told = until("an Event tells of it", LIMIT, async || {
        let at = "/apis/events.k8s.io/v1/namespaces/default/events";
        let events = cluster.asker().ask("GET", at, None).await?.granted()?;
        let of =
            events["items"].as_array().into_iter().flatten().find(|event| {
                event["regarding"]["name"] == *name && event["reason"] == "KeptInUse"
            });
        Ok(of.cloned())
    });
    assert_eq!(told.await?["note"], message);

    one.delete("v1", "Pod", "a").await?;
    let left = format!("kept while 1 pod uses it: {}/b", two.name);
    let says = |object: &Value| object["status"]["conditions"][0]["message"] == left;
    until_is(cluster, &object, "", "one is left", says).await?;
    two.set_status("v1", "Pod", "b", &json!({ "phase": "Failed" })).await?;
    gone(cluster, &object).await
}

async fn gone(cluster: &tests::cluster::Cluster, object: &Value) -> Result<()> {
    let at = object::location(object, "")?;
    until("the profile is gone", LIMIT, async || {
        let answer = cluster.asker().ask("GET", &at, None).await?;
        Ok((answer.status == StatusCode::NOT_FOUND).then_some(()))
    })
    .await
}

async fn a_profile_of_every_kind_is_kept(shared: &Shared) -> Result<()> {
    let controlled = controlled(shared).await?;
    let (cluster, namespace) = (&controlled.cluster, controlled.namespace().await?);
    for kind in write::KINDS {
        let name = format!("kept-{}", kind.to_lowercase());
        let object = write::profile(kind, &name);
        cluster.create(&object).await?;
        let context = write::context(kind, &name);
        let spec = json!({ "containers": [{ "name": "main", "image": "nginx", "securityContext": context }] });
        let pod = write::pod(&json!({ "name": name }), &spec);
        namespace.create_object(&pod).await?.granted()?;
        let kept = until_is(cluster, &object, "", &format!("{kind} is kept"), is_held).await?;
        ensure!(
            kept["spec"]
                == cluster.asker().ask("GET", &object::location(&object, "")?, None).await?.body["spec"]
        );
        namespace.delete("v1", "Pod", &name).await?;
        let free = |object: &Value| object["metadata"].get("finalizers").is_none();
        until_is(cluster, &object, "", &format!("{kind} is let go"), free).await?;
        cluster.delete(&object).await?;
        gone(cluster, &object).await?;
    }
    Ok(())
}

async fn what_a_profile_in_use_builds_on_is_kept(shared: &Shared) -> Result<()> {
    let controlled = controlled(shared).await?;
    let (cluster, namespace) = (&controlled.cluster, controlled.namespace().await?);
    let (base, object) = profile();
    cluster.create(&object).await?;
    let (top, mut building) = profile();
    building["spec"]["baseProfileName"] = json!(base);
    cluster.create(&building).await?;
    namespace.create_object(&pod("a", &top)).await?.granted()?;
    until_is(cluster, &object, "", "the base is kept", is_held).await?;
    // Somebody else's finalizer is none of ours.
    let others = json!({ "metadata": { "finalizers": [FINALIZER, "example.com/others"] } });
    cluster
        .asker()
        .ask("PATCH", &object::location(&object, "")?, Some(&others))
        .await?
        .granted()?;
    namespace.delete("v1", "Pod", "a").await?;
    let others = |object: &Value| object["metadata"]["finalizers"] == json!(["example.com/others"]);
    until_is(cluster, &object, "", "the base is let go", others).await?;
    let none = json!({ "metadata": { "finalizers": [] } });
    cluster.asker().ask("PATCH", &object::location(&object, "")?, Some(&none)).await?.granted()?;
    Ok(())
}

async fn a_profile_that_came_with_the_finalizer_and_is_not_in_use_is_let_go(
    shared: &Shared,
) -> Result<()> {
    let cluster = &controlled(shared).await?.cluster;
    let (_, mut object) = profile();
    // As one that is restored from a copy.
    object["metadata"]["finalizers"] = json!([FINALIZER]);
    cluster.create(&object).await?;
    cluster.delete(&object).await?;
    gone(cluster, &object).await
}

async fn the_right_to_change_profiles_is_one_to_hold_them(shared: &Shared) -> Result<()> {
    let cluster = &controlled(shared).await?.cluster;
    let (_, mut object) = profile();
    object["metadata"]["labels"] = json!({ "spo.x-k8s.io/recording-id": "web" });
    object["metadata"]["finalizers"] = json!(["example.com/others"]);
    cluster.create(&object).await?;
    let at = object::location(&object, "")?;
    let asker = node::token(cluster, NAMESPACE, ACCOUNT, None).await?.asker().await?;
    let other = json!({ "spec": { "defaultAction": "SCMP_ACT_ALLOW" } });
    asker.until_refused("PATCH", &at, Some(&other)).await?;
    for (patch, word) in [
        (other, "what a profile says"),
        (json!({ "metadata": { "finalizers": [] } }), "no other one"),
        (json!({ "metadata": { "finalizers": ["example.com/others", "a/b"] } }), "no other one"),
        (json!({ "metadata": { "labels": { "spo.x-k8s.io/partial": "true" } } }), "taken off"),
        (json!({ "metadata": { "labels": { "spo.x-k8s.io/recording-id": null } } }), "taken off"),
        (json!({ "metadata": { "labels": { "spo.x-k8s.io/recording-id": "b" } } }), "taken off"),
        (json!({ "metadata": { "annotations": { "a": "b" } } }), "annotations"),
    ] {
        let message = asker.ask("PATCH", &at, Some(&patch)).await?.refused()?;
        ensure!(message.contains(word) && message.contains("cinch-profile-holds"), "{message}");
    }
    let others = json!({ "metadata": { "finalizers": [] } });
    cluster.asker().ask("PATCH", &at, Some(&others)).await?.granted()?;
    Ok(())
}
