//! Profiles that nobody asks for any more, and nodes that are to be as they were.

use std::fs;

use crate::{
    daemon::{Daemon, eventually},
    listing::listing,
    node::{Node, allowing, many},
};

crate::tests!(
    &[];
    a_profile_that_is_deleted_or_disabled_leaves_the_node,
    a_profile_that_a_pod_uses_stays_until_the_pod_is_gone,
    purge_leaves_a_node_as_it_was,
    purge_leaves_what_others_have_put_there,
    purge_of_a_node_that_never_had_anything_does_nothing,
    purge_twice_is_no_error,
);

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  containers:
  - {name: web, image: web, securityContext: {seccompProfile: {type: Localhost, localhostProfile: operator/a.json}}}
";

fn a_profile_that_is_deleted_or_disabled_leaves_the_node() {
    let node = Node::new();
    for name in ["a", "b", "c"] {
        node.write(&format!("{name}.yaml"), &allowing(name, "read"));
    }
    assert_eq!(node.once().code, Some(0));
    node.delete("a.yaml");
    node.write("b.yaml", &allowing("b", "read").replace("spec: {", "spec: {state: Disabled, "));
    let done = node.once();
    assert_eq!(done.code, Some(0));
    let left: Vec<_> = fs::read_dir(node.seccomp()).unwrap().collect();
    assert!(left.len() == 1 && node.file("c").exists(), "{left:?}");
    // Back again.
    node.write("b.yaml", &allowing("b", "read"));
    assert_eq!(node.once().code, Some(0));
    assert!(node.file("b").exists());
}

fn a_profile_that_a_pod_uses_stays_until_the_pod_is_gone() {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    node.write("b.yaml", &allowing("b", "read"));
    node.write("pod.yaml", POD);
    assert_eq!(node.once().code, Some(0));
    node.delete("a.yaml");
    node.delete("b.yaml");
    let done = node.once();
    let row = done.table.lines().find(|line| line.starts_with("a ")).unwrap();
    assert!(row.contains("Terminating"), "{row}");
    let why = "SeccompProfile a: stays as long as the pod shop/web uses it";
    assert!(done.table.contains(why), "{}", done.table);
    assert!(node.file("a").exists() && !node.file("b").exists());
    let daemon = Daemon::ready(&node);
    // Whatever it is, it is still ours.
    fs::write(node.file("a"), "").unwrap();
    node.delete("pod.yaml");
    eventually("gone", || !node.file("a").exists());
    drop(daemon);
}

fn purge_leaves_a_node_as_it_was() {
    for count in [1, 30] {
        let node = Node::new();
        fs::create_dir_all(node.root().join("var/lib/kubelet/pods")).unwrap();
        fs::write(node.root().join("var/lib/kubelet/config"), "theirs").unwrap();
        let before = listing(&node.root());
        node.write("many.yaml", &many(count, "read"));
        assert_eq!(node.once().code, Some(0));
        assert_ne!(listing(&node.root()), before);
        let done = node.purge();
        assert_eq!(done.code, Some(0), "{}", done.log);
        assert_eq!(listing(&node.root()), before);
    }
}

fn purge_leaves_what_others_have_put_there() {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    assert_eq!(node.once().code, Some(0));
    let theirs = node.seccomp().join("theirs.json");
    fs::write(&theirs, "theirs").unwrap();
    // Ours, whatever somebody has made of it.
    fs::write(node.file("a"), "edited").unwrap();
    assert_eq!(node.purge().code, Some(0));
    assert_eq!(fs::read_dir(node.seccomp()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(theirs).unwrap(), "theirs");
    assert!(!node.root().join("var/lib/security-profiles-operator").exists());
}

fn purge_of_a_node_that_never_had_anything_does_nothing() {
    let node = Node::new();
    let before = listing(&node.root());
    assert_eq!(node.purge().code, Some(0));
    assert_eq!(listing(&node.root()), before);
}

fn purge_twice_is_no_error() {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    assert_eq!(node.once().code, Some(0));
    assert_eq!(node.purge().code, Some(0));
    assert_eq!(node.purge().code, Some(0));
}
