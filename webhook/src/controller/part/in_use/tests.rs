//! Tests of what is kept, and when it is let go.

use serde_json::json;

use super::*;
use crate::controller::part::tests::{Cluster, SECOND, building_on, pod, profile};

fn held(cluster: &Cluster, name: &str) -> bool {
    let object = cluster.object("SeccompProfile", "", name).unwrap();
    object["metadata"]["finalizers"] == json!([IN_USE])
}

#[test]
fn a_profile_is_kept_while_a_pod_of_any_namespace_uses_it() {
    let mut cluster = Cluster::new();
    cluster.put(profile("a"));
    cluster.put(profile("b"));
    cluster.put(pod("shop", "one", "nginx", "a", "Running"));
    cluster.put(pod("bank", "two", "nginx", "a", "Pending"));
    cluster.run(SECOND * 3);
    assert!(held(&cluster, "a") && !held(&cluster, "b"));
    cluster.delete("SeccompProfile", "", "a");
    cluster.run(SECOND * 3);
    let status = |at| cluster.status("SeccompProfile", "", "a", at);
    assert_eq!(status("/status"), json!("Terminating"));
    assert_eq!(status("/conditions/0/reason"), json!("Deleting"));
    let message = "kept while 2 pods use it: bank/two, shop/one";
    assert_eq!(status("/conditions/0/message"), json!(message));
    assert_eq!(cluster.news.iter().filter(|news| news.reason == "KeptInUse").count(), 1);

    cluster.delete("Pod", "shop", "one");
    cluster.run(SECOND * 3);
    assert!(held(&cluster, "a"));
    cluster.put(pod("bank", "two", "nginx", "a", "Failed"));
    cluster.run(SECOND * 3);
    assert_eq!(cluster.object("SeccompProfile", "", "a"), None);
}

#[test]
fn what_a_profile_in_use_builds_on_is_in_use() {
    let mut cluster = Cluster::new();
    for object in [profile("base"), building_on("middle", "base"), building_on("top", "middle")] {
        cluster.put(object);
    }
    cluster.put(building_on("idle", "base"));
    cluster.run(SECOND * 3);
    assert!(!held(&cluster, "base"));
    cluster.put(pod("shop", "one", "nginx", "top", "Running"));
    cluster.run(SECOND * 3);
    assert!(["base", "middle", "top"].iter().all(|name| held(&cluster, name)));
    assert!(!held(&cluster, "idle"));
    // It is changed to build on nothing.
    cluster.put(profile("middle"));
    cluster.run(SECOND * 3);
    assert!(held(&cluster, "middle") && !held(&cluster, "base"));
    cluster.put(building_on("middle", "base"));
    cluster.run(SECOND * 3);
    assert!(held(&cluster, "base"));
    cluster.delete("Pod", "shop", "one");
    cluster.run(SECOND * 3);
    assert!(!["base", "middle", "top"].iter().any(|name| held(&cluster, name)));
}

#[test]
fn profiles_that_build_on_each_other_end_nothing() {
    let mut cluster = Cluster::new();
    cluster.put(building_on("a", "b"));
    cluster.put(building_on("b", "a"));
    cluster.put(pod("shop", "one", "nginx", "a", "Running"));
    cluster.run(SECOND * 3);
    assert!(held(&cluster, "a") && held(&cluster, "b"));
}

#[test]
fn nothing_is_added_to_what_is_being_deleted() {
    let mut going = profile("a");
    going["metadata"]["finalizers"] = json!(["others/keep"]);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut cluster = Cluster::new();
    cluster.put(going);
    cluster.put(pod("shop", "one", "nginx", "a", "Running"));
    cluster.run(SECOND * 3);
    assert!(cluster.writes.iter().all(|(_, order)| order.part == "status"));
}
