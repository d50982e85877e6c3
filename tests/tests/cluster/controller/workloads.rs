//! Do the statuses of bindings follow the pods, and with how many writes?

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};
use tests::namespace::Namespace;

use super::{
    IMAGE, KIND, controlled, daemon::Controller, pod, profile, quiet_cluster, until_is, writes,
};
use crate::{
    questions,
    shared::Shared,
    write::{binding, v1},
};

questions![
    workloads_are_the_pods_that_live,
    a_thousand_pods_that_come_and_go_are_at_most_a_write_a_second_for_each_binding,
];

const PODS: usize = 1000;
const AT_ONCE: usize = 16;
/// The clocks of two processes on one machine are the same, but when each looks at it is not.
const PACE: Duration = Duration::from_millis(980);

fn says(workloads: &[String], count: usize) -> impl Fn(&Value) -> bool {
    let status = json!({ "activeWorkloads": workloads, "workloadCount": count });
    move |binding| binding["status"] == status
}

async fn workloads_are_the_pods_that_live(shared: &Shared) -> Result<()> {
    let controlled = controlled(shared).await?;
    let (cluster, namespace) = (&controlled.cluster, controlled.namespace().await?);
    let (name, object) = profile();
    cluster.create(&object).await?;
    let binding = binding("b", KIND, &name, IMAGE, &json!({}));
    namespace.create_object(&binding).await?.granted()?;
    let until_says = async |what: &str, workloads: &[&str], count: usize| {
        let workloads = workloads.iter().map(|pod| format!("{}/{pod}", namespace.name));
        let workloads: Vec<_> = workloads.collect();
        until_is(cluster, &binding, &namespace.name, what, says(&workloads, count)).await
    };
    until_says("no pods", &[], 0).await?;
    for pod_name in ["one", "two"] {
        namespace.create_object(&pod(pod_name, &name)).await?.granted()?;
    }
    namespace.create_object(&pod("other", "another-profile")).await?.granted()?;
    until_says("both pods", &["one", "two"], 2).await?;
    namespace.set_status("v1", "Pod", "one", &json!({ "phase": "Succeeded" })).await?;
    until_says("the pod that has not ended", &["two"], 1).await?;
    namespace.delete("v1", "Pod", "two").await?;
    until_says("no pods any more", &[], 0).await?;
    Ok(())
}

async fn a_thousand_pods_that_come_and_go_are_at_most_a_write_a_second_for_each_binding(
    _: &Shared,
) -> Result<()> {
    let cluster = quiet_cluster().await?;
    let namespace = Namespace::new(cluster.asker(), &[]).await?;
    let (name, object) = profile();
    cluster.create(&object).await?;
    let containers = json!({ "containers": ["main"] });
    for (binding_name, more) in [("exact", json!({})), ("outranked", containers)] {
        let image = if binding_name == "exact" { IMAGE } else { "*" };
        let binding = binding(binding_name, KIND, &name, image, &more);
        namespace.create_object(&binding).await?.granted()?;
    }
    let controller = Controller::start(&cluster, "only").await?;
    controller.until_leads().await?;
    let named = |name: &str| json!({ "apiVersion": v1(), "kind": "ProfileBinding", "metadata": { "name": name } });
    let exact = named("exact");
    for binding in [&exact, &named("outranked")] {
        until_is(&cluster, binding, &namespace.name, "no pods", says(&[], 0)).await?;
    }

    let from = cluster.audit().end()?;
    let names: Vec<_> = (0..PODS).map(|number| format!("pod-{number:04}")).collect();
    let create = async |pod_name: &String| -> Result<()> {
        namespace.create_object(&pod(pod_name, &name)).await?.granted()?;
        namespace.set_status("v1", "Pod", pod_name, &json!({ "phase": "Running" })).await
    };
    stream::iter(&names).map(create).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
    let first: Vec<_> =
        names.iter().take(100).map(|pod| format!("{}/{pod}", namespace.name)).collect();
    until_is(&cluster, &exact, &namespace.name, "all pods", says(&first, PODS)).await?;
    let delete = async |pod_name: &String| -> Result<()> {
        let at =
            format!("/api/v1/namespaces/{}/pods/{pod_name}?gracePeriodSeconds=0", namespace.name);
        cluster.asker().ask("DELETE", &at, None).await?.granted()?;
        Ok(())
    };
    stream::iter(&names).map(delete).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
    until_is(&cluster, &exact, &namespace.name, "no pods any more", says(&[], 0)).await?;

    let mine = writes(cluster.audit(), from)?;
    let of = |binding: &str| -> Result<Vec<i64>> {
        let of = mine.iter().filter(|event| {
            event["objectRef"]["resource"] == "profilebindings"
                && event["objectRef"]["name"] == *binding
        });
        of.map(|event| {
            let time: MicroTime =
                serde_json::from_value(event["requestReceivedTimestamp"].clone())?;
            Ok(time.0.as_microsecond())
        })
        .collect()
    };
    let times = of("exact")?;
    ensure!(times.len() > 2, "{} writes show nothing", times.len());
    for pair in times.windows(2) {
        let between = Duration::from_micros(u64::try_from(pair[1] - pair[0])?);
        ensure!(between >= PACE, "two writes within {between:?}");
    }
    ensure!(of("outranked")?.is_empty(), "nothing has changed for it");
    // The finalizer on and off, and the status, which says nothing of pods.
    let profiles = mine.iter().filter(|event| event["objectRef"]["resource"] == "seccompprofiles");
    let (count, seconds) = (
        profiles.count(),
        usize::try_from((times.last().context("none")? - times[0]) / 1_000_000)?,
    );
    ensure!(count <= 3 + seconds / 5, "{count} writes of the profile in {seconds} s");
    Ok(())
}
