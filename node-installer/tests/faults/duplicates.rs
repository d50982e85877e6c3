//! Two manifests that want the same name.

use crate::node::{Node, allowing};

crate::tests!(
    &[];
    the_first_of_two_profiles_of_one_name_is_installed_and_the_second_is_named,
    a_second_one_does_not_take_the_place_of_what_is_there,
);

fn the_first_of_two_profiles_of_one_name_is_installed_and_the_second_is_named() {
    let node = Node::new();
    node.write("1.yaml", &allowing("a", "read"));
    node.write("2.yaml", &allowing("a", "write"));
    let done = node.once();
    assert_eq!(done.code, Some(1));
    assert!(node.text("a").contains("read") && !node.text("a").contains("write"));
    let said = "2.yaml, document 1: SeccompProfile a is defined a second time here";
    assert!(done.table.contains(said), "{}", done.table);
}

fn a_second_one_does_not_take_the_place_of_what_is_there() {
    let node = Node::new();
    node.write("2.yaml", &allowing("a", "read"));
    assert_eq!(node.once().code, Some(0));
    node.write("3.yaml", &[allowing("b", "read"), allowing("a", "write")].join("---\n"));
    let done = node.once();
    assert_eq!(done.code, Some(1));
    assert!(done.table.contains("3.yaml, document 2"), "{}", done.table);
    assert!(node.text("a").contains("read") && node.file("b").exists());
}
