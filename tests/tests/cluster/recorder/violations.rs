//! What people are told of what profiles denied, and with which names.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use recorder::logs::netlink::Netlink;
use serde_json::{Value, json};
use tests::{namespace::Namespace, node::Node, plain_http, until::until};

use super::{
    LIMIT,
    daemon::{Recorder, kubeconfig},
    namespace,
    workload::Pod,
};
use crate::{
    questions,
    shared::{Shared, Skipped},
};

questions![
    a_call_that_is_denied_often_is_one_event_and_lines_with_names,
    pods_of_one_workload_are_one_event,
];

/// How often a call is denied at least, each time.
const OFTEN: u64 = 50;

/// The shell itself makes the call: no process has to be known that is gone at once.
const CALLS: &str = "i=0; while [ $i -lt 50 ]; do umask 22; i=$((i+1)); done";

async fn a_call_that_is_denied_often_is_one_event_and_lines_with_names(
    shared: &Shared,
) -> Result<()> {
    if Netlink::listen().is_err() {
        return Err(Skipped("audit records of the kernel cannot be read here").into());
    }
    let cluster = &shared.cluster;
    let (node, space) = (Node::new(cluster).await?, namespace(shared).await?);
    let lines = cluster.new_folder()?.join("entries.json");
    let path = format!("--audit-log-path={}", lines.display());
    let flags = ["--enrich", "--violations", &path, "--burst=5", "--every=1h"];
    let kubeconfig = kubeconfig(&node, None).await?;
    let mut recorder = Recorder::start_with(cluster, &node.name, &kubeconfig, &flags).await?;
    let mut pod = Pod::new(&space, &node, "any", &["web", "side"], &json!({})).await?;
    let mut container = pod.started_without(libc::SYS_umask).await?;
    container.does(CALLS).await?;
    let event =
        until("an Event tells of it", LIMIT, async || told(&recorder, &space, &pod.name, 0).await);
    let event = event.await?;
    ensure!(event["note"] == "container web: seccomp denied the system call umask", "{event}");
    ensure!(event["reportingController"] == "cinch-recorder", "{event}");
    // Another process finds the Event, and counts on.
    recorder.kill()?;
    recorder.start_again().await?;
    container.does(CALLS).await?;
    until("the same Event counts on", LIMIT, async || {
        told(&recorder, &space, &pod.name, count(&event)).await
    })
    .await?;
    until("there are lines with names", LIMIT, async || {
        let text = fs::read_to_string(&lines).context("no lines")?;
        let entries = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
        let entries = entries.unwrap_or_default();
        let own: Vec<_> = entries.iter().filter(|entry| entry["pod"] == pod.name).collect();
        // Five of each process, however many there were.
        ensure!(own.len() <= 10, "{text}");
        let all = own.len() == 10;
        let right = |entry: &&Value| {
            entry["namespace"] == space.name
                && entry["container"] == "web"
                && entry["containerID"] == container.id
                && entry["node"] == node.name
                && entry["syscallName"] == "umask"
                && entry["action"] == "errno"
        };
        ensure!(own.iter().all(right), "{text}");
        Ok(all.then_some(()))
    })
    .await?;
    container.end()
}

async fn pods_of_one_workload_are_one_event(shared: &Shared) -> Result<()> {
    if Netlink::listen().is_err() {
        return Err(Skipped("audit records of the kernel cannot be read here").into());
    }
    let cluster = &shared.cluster;
    let (node, space) = (Node::new(cluster).await?, namespace(shared).await?);
    let kubeconfig = kubeconfig(&node, None).await?;
    let flags = ["--violations"];
    let recorder = Recorder::start_with(cluster, &node.name, &kubeconfig, &flags).await?;
    // Some object that no controller of the cluster looks after.
    let owner =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "web" } });
    let owner = space.create_object(&owner).await?.granted()?;
    let reference = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "name": "web",
        "uid": owner["metadata"]["uid"], "controller": true,
    });
    let metadata = json!({ "generateName": "web-", "ownerReferences": [reference] });
    let (mut pods, mut containers) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut pod = Pod::new(&space, &node, "any", &["web"], &metadata).await?;
        let mut container = pod.started_without(libc::SYS_umask).await?;
        container.does(CALLS).await?;
        pods.push(pod);
        containers.push(container);
    }
    let event = until("one Event tells of all three pods", LIMIT, async || {
        let denied = denied(&recorder, &space.name).await?;
        let events = space.list("events.k8s.io/v1", "Event").await?;
        let mut own = events.into_iter().filter(|event| event["reason"] == "ProfileViolation");
        let event = own.next();
        ensure!(own.next().is_none(), "there is more than one");
        let all = |event: &Value| {
            denied >= 3 * OFTEN
                && count(event) == denied
                && event["metadata"]["annotations"]["spo.x-k8s.io/pods"] == "3"
        };
        Ok(event.filter(all))
    })
    .await?;
    ensure!(event["regarding"]["uid"] == owner["metadata"]["uid"], "{event}");
    let note = event["note"].as_str().context("no note")?;
    ensure!(note.starts_with("container web: seccomp denied the system call umask"), "{event}");
    ensure!(pods.iter().any(|pod| note.contains(&pod.name)), "{event}");
    containers.into_iter().try_for_each(super::workload::Container::end)
}

/// The only Event about a pod, once it tells of all that was denied after so much: no less than was done, and as much as
/// metrics tell.
async fn told(
    recorder: &Recorder,
    space: &Namespace,
    pod: &str,
    before: u64,
) -> Result<Option<Value>> {
    let denied = denied(recorder, &space.name).await?;
    let events = space.list("events.k8s.io/v1", "Event").await?;
    let mut own = events.into_iter().filter(|event| {
        event["reason"] == "ProfileViolation" && event["regarding"]["name"] == *pod
    });
    let event = own.next();
    ensure!(own.next().is_none(), "there is more than one");
    let all = |event: &Value| denied >= OFTEN && count(event) == before + denied;
    Ok(event.filter(all))
}

fn count(event: &Value) -> u64 {
    event["series"]["count"].as_u64().unwrap_or(1)
}

/// What the counter of audit records says, for the pods of a namespace.
async fn denied(recorder: &Recorder, namespace: &str) -> Result<u64> {
    let (_, text) = plain_http::get(recorder.admin, "/metrics").await?;
    let name = "security_profiles_operator_seccomp_profile_audit_total{";
    let label = format!("namespace=\"{namespace}\"");
    let own = text.lines().filter(|line| line.starts_with(name) && line.contains(&label));
    let values = own.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?));
    values.sum()
}
