//! Tests of who is told of a profile that does not exist.

use crate::controller::part::tests::{Cluster, SECOND, binding, profile};

fn told(cluster: &Cluster) -> Vec<&str> {
    let missing = cluster.news.iter().filter(|news| news.reason == "ProfileMissing");
    missing.map(|news| &*news.note).collect()
}

#[test]
fn a_binding_whose_profile_does_not_come_is_told_of_once() {
    let mut cluster = Cluster::new();
    cluster.run(SECOND);
    cluster.put(binding("shop", "web", "a", "nginx"));
    cluster.run(SECOND * 9);
    assert!(told(&cluster).is_empty(), "it may come in a moment");
    cluster.run(SECOND * 2);
    let expected = ["SeccompProfile a does not exist: no pod gets it until it does"];
    assert_eq!(told(&cluster), expected);
    cluster.run(SECOND * 600);
    assert_eq!(told(&cluster), expected);
    cluster.put(profile("a"));
    cluster.run(SECOND * 20);
    cluster.delete("SeccompProfile", "", "a");
    cluster.run(SECOND * 20);
    assert_eq!(told(&cluster).len(), 2, "it is missing again");
}

#[test]
fn a_profile_that_comes_right_after_its_binding_is_not_missed() {
    let mut cluster = Cluster::new();
    cluster.run(SECOND);
    cluster.put(binding("shop", "web", "a", "nginx"));
    cluster.run(SECOND * 5);
    cluster.put(profile("a"));
    cluster.run(SECOND * 20);
    cluster.put(binding("shop", "web", "b", "nginx"));
    cluster.run(SECOND * 5);
    cluster.delete("ProfileBinding", "shop", "web");
    cluster.run(SECOND * 20);
    assert!(told(&cluster).is_empty());
}
