//! Tests of what is ended in the place of a recorder that is gone.

use serde_json::{Value, json};

use super::*;
use crate::controller::part::tests::{Cluster, SECOND, pod};

const LONG: Duration = Duration::from_mins(3);

fn recording(phase: &str, workloads: &[&str]) -> Value {
    json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1", "kind": "ProfileRecording",
        "metadata": { "namespace": "shop", "name": "web" },
        "spec": { "kind": "SeccompProfile", "podSelector": {}, "mergeStrategy": "Containers" },
        "status": { "phase": phase, "activeWorkloads": workloads },
    })
}

fn partial(name: &str) -> Value {
    json!({
        "kind": "SeccompProfile", "spec": { "defaultAction": "SCMP_ACT_ERRNO" },
        "metadata": { "name": name, "labels": {
            "spo.x-k8s.io/recording-id": "web", "spo.x-k8s.io/recording-namespace": "shop",
            "spo.x-k8s.io/container-id": "main", "spo.x-k8s.io/partial": "true",
        }},
    })
}

fn is_partial(cluster: &Cluster, name: &str) -> bool {
    let object = cluster.object("SeccompProfile", "", name).unwrap();
    object.pointer("/metadata/labels/spo.x-k8s.io~1partial").is_some()
}

fn status(cluster: &Cluster, at: &str) -> Value {
    cluster.status("ProfileRecording", "shop", "web", at)
}

#[test]
fn what_a_lost_node_has_left_is_ended_some_time_after_its_pods_are_gone() {
    let mut cluster = Cluster::new();
    cluster.put(recording("Recording", &["shop/one", "shop/two"]));
    cluster.put(partial("web-main"));
    cluster.put(pod("shop", "one", "nginx", "x", "Running"));
    cluster.put(pod("shop", "two", "nginx", "x", "Running"));
    cluster.run(LONG);
    assert_eq!(status(&cluster, "/activeWorkloads"), json!(["shop/one", "shop/two"]));
    cluster.delete("Pod", "shop", "one");
    cluster.run(SECOND * 100);
    assert_eq!(
        status(&cluster, "/activeWorkloads"),
        json!(["shop/one", "shop/two"]),
        "its recorder may say it"
    );
    cluster.run(LONG);
    assert_eq!(status(&cluster, "/activeWorkloads"), json!(["shop/two"]));
    assert_eq!(status(&cluster, "/phase"), json!("Recording"));
    assert!(is_partial(&cluster, "web-main"), "the other one may add to it");
    cluster.put(pod("shop", "two", "nginx", "x", "Failed"));
    cluster.run(LONG);
    assert_eq!(
        (status(&cluster, "/activeWorkloads"), status(&cluster, "/phase")),
        (json!([]), json!("Waiting"))
    );
    cluster.run(LONG);
    assert!(!is_partial(&cluster, "web-main"));
    let news: Vec<_> = cluster.news.iter().map(|news| (news.reason, &*news.note)).collect();
    assert_eq!(news, [("Recorded", "all that ProfileRecording shop/web has seen is in it")]);
}

#[test]
fn a_part_of_a_recording_that_is_gone_or_complete_is_ended() {
    for end in ["gone", "complete"] {
        let mut cluster = Cluster::new();
        cluster.put(recording("Recording", &["shop/one"]));
        cluster.put(partial("web-main"));
        cluster.put(pod("shop", "one", "nginx", "x", "Running"));
        cluster.run(LONG);
        assert!(is_partial(&cluster, "web-main"));
        match end {
            "gone" => cluster.delete("ProfileRecording", "shop", "web"),
            _ => cluster.put(recording("Complete", &["shop/one"])),
        }
        cluster.run(SECOND * 100);
        assert!(is_partial(&cluster, "web-main"), "the recorder ends it itself");
        cluster.run(SECOND * 60);
        assert!(!is_partial(&cluster, "web-main"), "{end}");
    }
}

#[test]
fn where_each_pod_has_a_profile_each_ends_with_its_own_pod() {
    let mut cluster = Cluster::new();
    cluster.put(recording("Recording", &["shop/web-5d8f-aaaaa", "shop/web-5d8f-bbbbb"]));
    cluster.put(partial("web-main-aaaaa"));
    cluster.put(partial("web-main-bbbbb"));
    cluster.put(pod("shop", "web-5d8f-bbbbb", "nginx", "x", "Running"));
    cluster.run(LONG);
    assert!(!is_partial(&cluster, "web-main-aaaaa") && is_partial(&cluster, "web-main-bbbbb"));
}

#[test]
fn that_recorders_have_merged_all_is_told_as_well() {
    let mut cluster = Cluster::new();
    cluster.put(recording("Recording", &["shop/one"]));
    cluster.put(partial("web-main"));
    cluster.put(pod("shop", "one", "nginx", "x", "Running"));
    cluster.run(SECOND);
    let mut whole = partial("web-main");
    whole["metadata"]["labels"].as_object_mut().unwrap().remove("spo.x-k8s.io/partial");
    cluster.put(whole);
    cluster.run(SECOND);
    assert_eq!(cluster.news.len(), 1);
    let of_recorders = |order: &crate::controller::outbox::Order| order.part != "status";
    assert!(!cluster.writes.iter().any(|(_, order)| of_recorders(order)));
}
