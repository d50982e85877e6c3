//! What the former operator has left: its folder of profiles is a link to its state.

use std::{fs, os::unix::fs::symlink};

use crate::node::{Node, allowing};

crate::tests!(
    &[];
    the_former_link_is_followed_and_its_profiles_are_left_alone,
    a_link_to_elsewhere_is_named_and_nothing_is_written_through_it,
);

fn linked(target: &str) -> Node {
    let node = Node::new();
    fs::create_dir_all(node.seccomp().parent().unwrap()).unwrap();
    symlink(target, node.seccomp()).unwrap();
    node.write("a.yaml", &allowing("a", "read"));
    node
}

fn the_former_link_is_followed_and_its_profiles_are_left_alone() {
    let node = linked("/var/lib/security-profiles-operator");
    let state = node.root().join("var/lib/security-profiles-operator");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("theirs.json"), "theirs").unwrap();
    let done = node.once();
    assert_eq!(done.code, Some(0), "{}{}", done.table, done.log);
    assert!(state.join("a.json").is_file());
    assert_eq!(node.purge().code, Some(0));
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(state.join("theirs.json")).unwrap(), "theirs");
    assert!(fs::symlink_metadata(node.seccomp()).unwrap().is_symlink());
}

fn a_link_to_elsewhere_is_named_and_nothing_is_written_through_it() {
    let node = Node::new();
    let elsewhere = node.beside("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir_all(node.seccomp().parent().unwrap()).unwrap();
    symlink(&elsewhere, node.seccomp()).unwrap();
    node.write("a.yaml", &allowing("a", "read"));
    let done = node.once();
    assert_eq!(done.code, Some(1));
    let said = format!("{}{}", done.table, done.log);
    assert!(said.contains("seccomp/operator") && said.contains("it is a link"), "{said}");
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
}
