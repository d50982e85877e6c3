//! A folder that cannot be written: what is new has failed, what was there stays.

use crate::{
    daemon::{Daemon, eventually},
    listing::listing,
    node::{Node, allowing, done},
};

crate::tests!(
    &[crate::needs::Need::Mounts];
    what_cannot_be_written_has_failed_and_says_why,
    a_running_daemon_goes_on_when_the_folder_can_be_written_again,
    a_node_that_is_read_only_as_a_whole_is_told_of,
);

const READ_ONLY: &str =
    "mount --bind \"$SECCOMP\" \"$SECCOMP\"; mount -o remount,bind,ro \"$SECCOMP\"";

fn installed() -> Node {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    assert_eq!(node.once().code, Some(0));
    node
}

fn what_cannot_be_written_has_failed_and_says_why() {
    let node = installed();
    let before = listing(&node.seccomp());
    node.write("a.yaml", &allowing("a", "read, write"));
    node.write("b.yaml", &allowing("b", "read"));
    let done = done(node.within(READ_ONLY).args(node.arguments()).arg("--once"));
    assert_eq!(done.code, Some(1));
    assert_eq!(done.table.matches("Read-only file system").count(), 2, "{}", done.table);
    assert_eq!(listing(&node.seccomp()), before);
    // It was not written down as something that is there.
    assert_eq!(node.once().code, Some(0));
    assert!(node.text("a").contains("write") && node.file("b").exists());
}

fn a_running_daemon_goes_on_when_the_folder_can_be_written_again() {
    let node = installed();
    let daemon = Daemon::start_as(node.within(READ_ONLY), &node);
    daemon.wait_until_ready();
    node.delete("a.yaml");
    node.write("b.yaml", &allowing("b", "read"));
    eventually("failed", || daemon.get("/readyz").contains("1 failed"));
    assert!(node.file("a").exists() && !node.file("b").exists());
    daemon.remount("rw", &node.seccomp());
    eventually("both done", || node.file("b").exists() && !node.file("a").exists());
}

fn a_node_that_is_read_only_as_a_whole_is_told_of() {
    let node = installed();
    let before = listing(&node.root());
    node.write("b.yaml", &allowing("b", "read"));
    let read_only = "mount --bind \"$ROOT\" \"$ROOT\"; mount -o remount,bind,ro \"$ROOT\"";
    let done = done(node.within(read_only).args(node.arguments()).arg("--once"));
    assert_eq!(done.code, Some(1));
    assert!(done.table.contains("Read-only file system"), "{}{}", done.table, done.log);
    assert_eq!(listing(&node.root()), before);
}
