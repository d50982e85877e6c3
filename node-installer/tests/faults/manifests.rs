//! A folder of manifests that vanishes or breaks: the node goes on from its copies, and nothing is removed.

use std::fs;

use crate::{
    daemon::{Daemon, eventually},
    node::{Node, allowing},
};

crate::tests!(
    &[];
    a_folder_that_vanishes_removes_nothing_and_drift_is_still_put_right,
    a_daemon_that_starts_without_its_folder_goes_on_from_its_copies,
    a_document_that_breaks_removes_nothing_and_stops_no_other,
    an_empty_folder_removes_everything,
);

fn installed() -> Node {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    node.write("b.yaml", &allowing("b", "read"));
    assert_eq!(node.once().code, Some(0));
    node
}

fn a_folder_that_vanishes_removes_nothing_and_drift_is_still_put_right() {
    let node = installed();
    let daemon = Daemon::ready(&node);
    fs::rename(node.manifests(), node.beside("away")).unwrap();
    eventually("the fault is known", || daemon.get("/readyz").contains("[-] folder"));
    fs::remove_file(node.file("a")).unwrap();
    eventually("put right", || node.file("a").exists());
    assert!(node.file("b").exists(), "{}", daemon.log());
    assert!(daemon.get("/readyz").contains("2 installed, 0 pending, 0 failed"));
}

fn a_daemon_that_starts_without_its_folder_goes_on_from_its_copies() {
    let node = installed();
    let text = node.text("a");
    fs::rename(node.manifests(), node.beside("away")).unwrap();
    fs::write(node.file("a"), "").unwrap();
    let daemon = Daemon::start(&node);
    eventually("put right", || node.text("a") == text);
    fs::remove_file(node.file("b")).unwrap();
    eventually("put right", || node.file("b").exists());
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 503"), "it does not know all profiles");
}

fn a_document_that_breaks_removes_nothing_and_stops_no_other() {
    let node = installed();
    node.write("a.yaml", "kind: SeccompProfile\nspec: [");
    node.write("b.yaml", &allowing("b", "read, write"));
    let once = node.once();
    assert_eq!(once.code, Some(1));
    assert!(once.table.contains("a.yaml: not valid YAML"), "{}", once.table);
    assert!(node.file("a").exists() && node.text("b").contains("write"));
    let daemon = Daemon::start(&node);
    node.write("b.yaml", &allowing("b", "read, getpid"));
    node.write("c.yaml", &allowing("c", "read"));
    eventually("the others", || node.text("b").contains("getpid") && node.file("c").exists());
    node.delete("b.yaml");
    fs::remove_file(node.file("a")).unwrap();
    eventually("put right", || node.file("a").exists());
    assert!(node.file("b").exists(), "it may be in the file that does not parse: {}", daemon.log());
    node.write("a.yaml", &allowing("a", "read"));
    eventually("b is gone", || !node.file("b").exists());
    assert!(node.file("a").exists());
}

fn an_empty_folder_removes_everything() {
    let node = installed();
    let daemon = Daemon::ready(&node);
    node.delete("a.yaml");
    node.delete("b.yaml");
    eventually("gone", || !node.file("a").exists() && !node.file("b").exists());
    assert!(daemon.stop().success());
}
