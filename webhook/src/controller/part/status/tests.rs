//! Tests of what a profile's status says.

use serde_json::json;

use super::*;
use crate::controller::part::tests::{Cluster, SECOND, node, pod, profile, report};

fn status(cluster: &Cluster, at: &str) -> Value {
    cluster.status("SeccompProfile", "", "a", at)
}

fn says(cluster: &Cluster) -> [Value; 5] {
    ["/status", "/conditions/0/status", "/conditions/0/reason", "/conditions/0/message", "/nodes"]
        .map(|at| status(cluster, at))
}

fn nodes(desired: usize, installed: usize, failed: usize) -> Value {
    json!({ "desired": desired, "installed": installed, "failed": failed })
}

#[test]
fn a_profile_goes_from_pending_to_installed_as_nodes_say_so() {
    let mut cluster = Cluster::new();
    cluster.put(profile("a"));
    cluster.run(SECOND * 2);
    let message = "no node that is ready has said what it has";
    assert_eq!(
        says(&cluster),
        [json!("Pending"), json!("False"), json!("Pending"), json!(message), nodes(0, 0, 0)]
    );
    for name in ["n1", "n2"] {
        cluster.put(node(name, true));
        cluster.put(report(name, &[("a", "Pending", None)]));
    }
    cluster.put(report("n2", &[("a", "Installed", Some(1))]));
    cluster.run(SECOND * 2);
    let message = "installed on 1 of 2 nodes; waits for n1";
    assert_eq!(
        says(&cluster),
        [json!("InProgress"), json!("False"), json!("Creating"), json!(message), nodes(2, 1, 0)]
    );
    cluster.put(report("n1", &[("a", "Installed", Some(1))]));
    cluster.run(SECOND * 2);
    let message = "installed on 2 nodes";
    assert_eq!(
        says(&cluster),
        [json!("Installed"), json!("True"), json!("Available"), json!(message), nodes(2, 2, 0)]
    );
    assert_eq!(status(&cluster, "/localhostProfile"), json!("operator/a.json"));
    assert_eq!(status(&cluster, "/observedGeneration"), json!(1));

    let mut changed = profile("a");
    changed["metadata"]["generation"] = json!(2);
    cluster.put(changed);
    cluster.run(SECOND * 2);
    let message = "installed on 0 of 2 nodes; waits for n1, n2";
    assert_eq!(
        says(&cluster),
        [json!("InProgress"), json!("False"), json!("Updating"), json!(message), nodes(2, 0, 0)]
    );
    assert_eq!(status(&cluster, "/observedGeneration"), json!(2));
}

#[test]
fn a_node_that_is_gone_not_ready_or_new_holds_up_nothing() {
    let mut cluster = Cluster::new();
    cluster.put(profile("a"));
    for name in ["n1", "n2", "n3"] {
        cluster.put(node(name, true));
        cluster.put(report(name, &[("a", "Installed", Some(1))]));
    }
    cluster.run(SECOND * 2);
    assert_eq!(status(&cluster, "/nodes"), nodes(3, 3, 0));
    let mut changed = profile("a");
    changed["metadata"]["generation"] = json!(2);
    cluster.put(changed);
    cluster.put(report("n1", &[("a", "Installed", Some(2))]));
    // The others say nothing any more: one is gone, one is not well, one has only just come.
    cluster.delete("Node", "", "n2");
    cluster.put(node("n3", false));
    cluster.put(node("n4", true));
    cluster.run(SECOND * 12);
    assert_eq!(
        (status(&cluster, "/status"), status(&cluster, "/nodes")),
        (json!("Installed"), nodes(1, 1, 0))
    );
    cluster.put(node("n3", true));
    cluster.put(report("n4", &[]));
    cluster.run(SECOND * 12);
    assert_eq!(
        (status(&cluster, "/status"), status(&cluster, "/nodes")),
        (json!("InProgress"), nodes(2, 1, 0))
    );
    assert_eq!(
        status(&cluster, "/conditions/0/message"),
        json!("installed on 1 of 2 nodes; waits for n3")
    );
}

#[test]
fn a_node_without_the_mechanism_does_not_count() {
    let mut cluster = Cluster::new();
    cluster.put(profile("a"));
    cluster.put(node("n1", true));
    cluster.put(node("n2", true));
    cluster.put(report("n1", &[("a", "Installed", Some(1))]));
    let mut other = report("n2", &[("x", "Installed", Some(1))]);
    other["status"]["profiles"][0]["kind"] = json!("AppArmorProfile");
    cluster.put(other);
    cluster.run(SECOND * 2);
    assert_eq!(
        (status(&cluster, "/status"), status(&cluster, "/nodes")),
        (json!("Installed"), nodes(1, 1, 0))
    );
}

#[test]
fn where_it_failed_is_said_and_told_once() {
    let mut cluster = Cluster::new();
    cluster.put(profile("a"));
    for number in 0..20 {
        let name = format!("n{number:02}");
        cluster.put(node(&name, true));
        cluster
            .put(report(&name, &[("a", if number < 7 { "Failed" } else { "Installed" }, Some(1))]));
    }
    cluster.run(SECOND * 20);
    let message = "failed on 7 of 20 nodes: n00 (no room), n01 (no room), n02 (no room), n03 (no room), n04 (no room) and 2 more";
    assert_eq!(
        says(&cluster),
        [json!("Error"), json!("False"), json!("Unavailable"), json!(message), nodes(20, 13, 7)]
    );
    assert_eq!(cluster.news.len(), 1);
    assert_eq!((cluster.news[0].reason, &*cluster.news[0].note), ("InstallFailed", message));
}

#[test]
fn disabled_and_partial_profiles_say_so() {
    let mut cluster = Cluster::new();
    let mut disabled = profile("a");
    disabled["spec"]["state"] = json!("Disabled");
    cluster.put(disabled);
    cluster.put(node("n1", true));
    cluster.put(report("n1", &[("a", "Terminating", Some(1))]));
    cluster.run(SECOND * 2);
    let message = "disabled: it is put on no node, and one still has it for its pods";
    assert_eq!(
        says(&cluster),
        [json!("Disabled"), json!("False"), json!("Unavailable"), json!(message), nodes(0, 1, 0)]
    );
    let mut partial = profile("a");
    partial["metadata"]["labels"] = json!({ "spo.x-k8s.io/partial": "true" });
    cluster.put(partial);
    cluster.run(SECOND * 2);
    assert_eq!(status(&cluster, "/status"), json!("Partial"));
}

#[test]
fn the_time_of_a_condition_changes_with_its_truth_alone() {
    let mut cluster = Cluster::new();
    let mut object = profile("a");
    object["status"] = json!({ "conditions": [{
        "type": "Ready", "status": "False", "reason": "Pending", "message": "",
        "lastTransitionTime": "2020-02-02T00:00:00Z",
    }]});
    cluster.put(object);
    cluster.put(node("n1", true));
    cluster.put(report("n1", &[("a", "Pending", None)]));
    cluster.run(SECOND * 2);
    assert_eq!(status(&cluster, "/conditions/0/lastTransitionTime"), json!("2020-02-02T00:00:00Z"));
    cluster.put(report("n1", &[("a", "Installed", Some(1))]));
    cluster.run(SECOND * 2);
    assert_eq!(status(&cluster, "/conditions/0/lastTransitionTime"), json!("2026-01-01T00:00:00Z"));
}

#[test]
fn many_pods_and_long_words_make_no_long_message() {
    let mut cluster = Cluster::new();
    cluster.put(profile("a"));
    for number in 0..1000 {
        let name = format!("{number:04}-{}", "x".repeat(200));
        cluster.put(pod("shop", &name, "nginx", "a", "Running"));
        cluster.put(node(&name, true));
        let mut says = report(&name, &[("a", "Failed", None)]);
        says["status"]["profiles"][0]["message"] = json!("y".repeat(1024));
        cluster.put(says);
    }
    cluster.run(SECOND * 2);
    let failed = status(&cluster, "/conditions/0/message");
    assert!(failed.as_str().unwrap().len() < 3000, "{failed}");
    cluster.delete("SeccompProfile", "", "a");
    cluster.run(SECOND * 2);
    let kept = status(&cluster, "/conditions/0/message");
    assert!(kept.as_str().unwrap().starts_with("kept while 1000 pods use it: "), "{kept}");
    assert!(
        kept.as_str().unwrap().ends_with(" and 995 more") && kept.as_str().unwrap().len() < 3000
    );
}

#[test]
fn numbers_alone_are_written_less_often() {
    let mut cluster = Cluster::new();
    cluster.put(profile("a"));
    for number in 0..100 {
        let name = format!("n{number}");
        cluster.put(node(&name, true));
        cluster.put(report(&name, &[("a", "Installed", Some(1))]));
        cluster.run(SECOND);
    }
    assert!(cluster.writes.len() <= 13, "{} writes in 100 s", cluster.writes.len());
    cluster.run(SECOND * 10);
    assert_eq!(status(&cluster, "/nodes"), nodes(100, 100, 0));
}
