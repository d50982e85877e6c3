//! A kill between any two steps: what has its final name is whole, and the next run makes it as if nothing had happened.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    listing::{Listing, copy, listing},
    node::{Node, PROGRAM, allowing, many},
};

crate::tests!(
    &[crate::needs::Need::Strace];
    while_profiles_are_installed,
    while_many_profiles_are_installed_at_once,
    while_profiles_are_changed,
    while_profiles_are_removed,
    while_everything_is_taken_away,
);

/// The system calls by which files and folders change.
const CHANGING: &str = "openat,write,pwrite64,ftruncate,fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,\
                        symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat";

/// What somebody else has put among the profiles.
const THEIRS: &str = "var/lib/kubelet/seccomp/operator/theirs.json";

fn while_profiles_are_installed() {
    let node = with_theirs();
    node.write("many.yaml", &many(3, "read"));
    survives_kills(&node, &[]);
}

fn while_many_profiles_are_installed_at_once() {
    let node = with_theirs();
    // So many are flushed together.
    node.write("many.yaml", &many(10, "read"));
    survives_kills(&node, &[]);
}

fn while_profiles_are_changed() {
    let node = with_theirs();
    node.write("many.yaml", &many(2, "read"));
    assert_eq!(node.once().code, Some(0));
    node.write("many.yaml", &many(3, "read, write"));
    survives_kills(&node, &[]);
}

fn while_profiles_are_removed() {
    let node = with_theirs();
    node.write("many.yaml", &many(3, "read"));
    assert_eq!(node.once().code, Some(0));
    node.write("many.yaml", &allowing("many-0001", "read"));
    survives_kills(&node, &[]);
}

fn while_everything_is_taken_away() {
    let node = with_theirs();
    node.write("many.yaml", &many(2, "read"));
    assert_eq!(node.once().code, Some(0));
    survives_kills(&node, &["purge"]);
}

fn with_theirs() -> Node {
    let node = Node::new();
    let theirs = node.root().join(THEIRS);
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(theirs, "theirs").unwrap();
    node
}

/// Kills a run at every step in turn.
fn survives_kills(node: &Node, purge: &[&str]) {
    let start = node.beside("start");
    fs::rename(node.root(), &start).unwrap();
    let again = || {
        drop(fs::remove_dir_all(node.root()));
        copy(&start, &node.root());
    };
    let before = listing(&start);
    again();
    let steps = calls(node, purge);
    assert!(steps.len() > 10, "{steps:?}");
    let after = listing(&node.root());
    for step in steps {
        again();
        let status = trace(node, purge)
            .args(["-e", &format!("inject={}:signal=KILL:when={}", step.kind, step.number)])
            .arg(PROGRAM)
            .args(command(node, purge))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(9), "not killed at {step:?}");
        each_is_whole(&step, &listing(&node.root()), &before, &after);
        let killed = node.beside("killed");
        copy(&node.root(), &killed);
        if purge.is_empty() {
            let done = node.once();
            assert_eq!(done.code, Some(0), "{step:?}: {}", done.table);
        } else {
            let done = node.purge();
            assert_eq!(done.code, Some(0), "{step:?}: {}", done.log);
        }
        let now = listing(&node.root());
        let (paths, expected) = (paths(&now), paths(&after));
        assert_eq!(paths, expected, "after a kill at {step:?}");
        assert_eq!(now, after, "after a kill at {step:?}");
        is_as_it_was_after_purge(node, &step);
        // Without a run in between as well.
        fs::remove_dir_all(node.root()).unwrap();
        fs::rename(killed, node.root()).unwrap();
        is_as_it_was_after_purge(node, &step);
    }
}

/// Takes everything away: only what somebody else has put there is left.
fn is_as_it_was_after_purge(node: &Node, step: &Step) {
    let done = node.purge();
    assert_eq!(done.code, Some(0), "{step:?}: {}", done.log);
    let left = listing(&node.root());
    let theirs: BTreeSet<_> = Path::new(THEIRS).ancestors().collect();
    assert_eq!(paths(&left), theirs, "after a kill at {step:?}");
    assert_eq!(fs::read_to_string(node.root().join(THEIRS)).unwrap(), "theirs");
}

fn paths(listing: &Listing) -> BTreeSet<&Path> {
    listing.keys().map(|path| &**path).collect()
}

/// Whatever has a final name is as it was before or as it is to be; what is being written has another one.
fn each_is_whole(step: &Step, now: &Listing, before: &Listing, after: &Listing) {
    for (path, what) in now {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let good = [before, after].iter().any(|list| list.get(path) == Some(what));
        // The ledger and the list of folders go through states of their own, each of them whole.
        let own = name == "seccomp" || name == "folders";
        let folder = what.ends_with(" folder");
        assert!(
            good || folder || own || name.starts_with(".cinch-new-"),
            "{} after a kill at {step:?}: {what}",
            path.display()
        );
    }
    for (path, what) in before {
        if after.get(path) == Some(what) {
            assert_eq!(now.get(path), Some(what), "after a kill at {step:?}");
        }
    }
}

/// A system call that changes something on the node.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    kind: String,
    /// Which one of all calls of its kind in its thread it is, from 1.
    number: usize,
    #[expect(dead_code, reason = "printed when a test fails")]
    call: String,
}

/// Runs undisturbed, and tells by which calls the node changes.
pub(crate) fn calls(node: &Node, purge: &[&str]) -> Vec<Step> {
    let status = trace(node, purge)
        .arg(PROGRAM)
        .args(command(node, purge))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    changing(&fs::read_to_string(node.beside("trace")).unwrap(), node)
}

/// The calls of a trace that change the node.
pub(crate) fn changing(trace: &str, node: &Node) -> Vec<Step> {
    let root = node.root();
    let root = root.to_str().unwrap();
    let mut counts = std::collections::BTreeMap::<(&str, &str), usize>::new();
    let mut steps = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let kind = call.split('(').next().unwrap_or_default();
        if !CHANGING.split(',').any(|changing| changing == kind) {
            continue;
        }
        let number = counts.entry((thread, kind)).or_default();
        *number += 1;
        let reads = kind == "openat" && !call.contains("O_CREAT") && !call.contains("O_TRUNC");
        if call.contains(root) && !reads {
            let (number, kind, call) = (*number, kind.to_owned(), call.to_owned());
            steps.push(Step { kind, number, call });
        }
    }
    steps
}

/// A trace that is written beside the node.
fn trace(node: &Node, _purge: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-o"]).arg(node.beside("trace"));
    strace.args(["-e", &format!("trace={CHANGING}")]);
    strace
}

fn command(node: &Node, purge: &[&str]) -> Vec<String> {
    if purge.is_empty() {
        let mut arguments = node.arguments();
        arguments.push("--once".to_owned());
        return arguments;
    }
    let root = node.root();
    let flags = ["--root", root.to_str().unwrap(), "--mechanisms", "seccomp"];
    purge.iter().chain(&flags).map(|&flag| flag.to_owned()).collect()
}
