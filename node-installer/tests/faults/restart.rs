//! A restart with everything in place writes nothing.

use std::{fs, process::Command};

use crate::{
    daemon::{Daemon, eventually},
    killed::calls,
    listing::stamps,
    node::{Node, many},
};

crate::tests!(
    &[crate::needs::Need::Strace];
    nothing_is_written_when_nothing_has_changed,
    a_daemon_writes_nothing_either,
);

fn installed(count: usize) -> Node {
    let node = Node::new();
    node.write("many.yaml", &many(count, "read, write, openat"));
    let done = node.once();
    assert_eq!(done.code, Some(0), "{}", done.log);
    assert_eq!(fs::read_dir(node.seccomp()).unwrap().count(), count);
    node
}

fn nothing_is_written_when_nothing_has_changed() {
    for count in [1, 1000] {
        let node = installed(count);
        let before = stamps(&node.root());
        let written = calls(&node, &[]);
        assert!(written.is_empty(), "{written:?}");
        assert_eq!(stamps(&node.root()), before);
    }
}

fn a_daemon_writes_nothing_either() {
    let node = installed(50);
    let before = stamps(&node.root());
    let trace = node.beside("trace");
    let mut strace = Command::new("strace");
    // As a process beside the daemon, which would outlive it otherwise.
    strace.args(["-D", "-f", "-y", "-e", "trace=%desc,%file,fsync,syncfs", "-o"]).arg(&trace);
    strace.arg(crate::node::PROGRAM);
    let daemon = Daemon::start_as(strace, &node);
    daemon.wait_until_ready();
    eventually("all there", || daemon.get("/readyz").contains("50 installed"));
    drop(daemon);
    assert_eq!(stamps(&node.root()), before);
    let read = || fs::read_to_string(&trace).unwrap();
    eventually("traced to the end", || read().contains("+++ killed by SIGKILL +++"));
    let trace = read();
    let written = crate::killed::changing(&trace, &node);
    assert!(written.is_empty(), "{written:?}");
}
