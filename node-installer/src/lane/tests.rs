//! A lane on a node in memory.

use profile::kinds::node::NodeProfileState::{self, Failed, Installed, Terminating};

use super::*;
use crate::backend::Failure;
use memory::{Node, allowing, key, on_base, said};

mod copies;
mod memory;

fn no_room() -> Failure {
    Failure::passing("no room")
}

#[test]
fn what_is_asked_for_is_installed_and_what_is_not_is_removed() {
    let mut node = Node::new();
    let reports = node.all(&[allowing("a", 1, "read"), allowing("b", 1, "read")]);
    assert_eq!(said(&reports, "a"), (Installed, String::new()));
    let reports = node.all(&[allowing("b", 1, "read")]);
    assert_eq!(reports.len(), 1);
    assert_eq!((node.text("a"), node.has("b", "read")), (None, true));
    assert_eq!(node.ledger().keys().map(|name| &**name).collect::<Vec<_>>(), ["b"]);
    assert_eq!(node.tries("b"), 1, "it was there already");
}

#[test]
fn a_change_that_fails_leaves_the_old_version_and_what_is_known_of_it() {
    let mut node = Node::new();
    node.all(&[allowing("a", 1, "read")]);
    let (text, ledger) = (node.text("a"), node.ledger());
    node.fail("a", no_room());
    let reports = node.all(&[allowing("a", 2, "write")]);
    let expected = (Failed, "no room; generation 1 stays".to_owned());
    assert_eq!(said(&reports, "a"), expected);
    assert_eq!(reports[&key("a")].verdict.generation, Some(1), "which is what the node has");
    assert_eq!((node.text("a"), node.ledger()), (text, ledger));
    assert_eq!(said(&node.reconcile(), "a"), expected, "the same is said as long as it is so");
    // It is still known to be ours.
    node.all(&[]);
    assert_eq!((node.text("a"), node.ledger().len()), (None, 0));
}

#[test]
fn what_failed_and_never_was_there_is_not_ours() {
    let mut node = Node::new();
    node.fail("a", no_room());
    let reports = node.all(&[allowing("a", 1, "read"), allowing("b", 1, "read")]);
    assert_eq!(said(&reports, "a"), (Failed, "no room".to_owned()));
    assert_eq!(said(&reports, "b").0, Installed);
    assert!(!node.ledger().contains_key("a"));
}

#[test]
fn what_failed_and_left_something_behind_is_taken_away_in_the_end() {
    let mut node = Node::new();
    node.memory.lock().leaves = true;
    node.fail("a", no_room());
    let reports = node.all(&[allowing("a", 1, "read")]);
    assert_eq!(said(&reports, "a").0, Failed);
    node.restart();
    node.all(&[]);
    assert_eq!((node.text("a"), node.ledger().len()), (None, 0));
}

#[test]
fn what_cannot_be_written_down_is_not_made() {
    let mut node = Node::new();
    node.all(&[allowing("a", 1, "read")]);
    let installed = node.layout().ledger(Mechanism::Seccomp).parent().unwrap().to_owned();
    let aside = installed.with_extension("aside");
    std::fs::rename(&installed, &aside).unwrap();
    std::fs::write(&installed, "in its place").unwrap();
    let reports = node.all(&[allowing("a", 2, "write"), allowing("b", 1, "read")]);
    let (state, message) = said(&reports, "b");
    assert!(state == Failed && message.contains("Not a directory"), "{message}");
    assert_eq!(node.text("b"), None);
    assert_eq!(said(&reports, "a").0, Installed, "it is known to be ours already");
    std::fs::remove_file(&installed).unwrap();
    std::fs::rename(aside, installed).unwrap();
    let reports = node.later(2);
    assert_eq!(said(&reports, "b").0, Installed);
    assert_eq!(node.ledger().len(), 2);
}

#[test]
fn what_passes_is_tried_again_after_growing_waits_and_what_is_refused_after_long_ones() {
    let mut node = Node::new();
    node.fail("a", no_room());
    node.fail("b", Failure::refused("bad text"));
    node.all(&[allowing("a", 1, "read"), allowing("b", 1, "read")]);
    node.reconcile();
    assert_eq!((node.tries("a"), node.tries("b")), (1, 1));
    node.later(1);
    assert_eq!((node.tries("a"), node.tries("b")), (2, 1));
    node.later(1);
    assert_eq!(node.tries("a"), 2, "the second wait is longer");
    node.later(1);
    assert_eq!(node.tries("a"), 3);
    node.mend();
    // Another text is tried at once.
    node.all(&[allowing("a", 1, "read"), allowing("b", 2, "write")]);
    assert_eq!((node.tries("a"), node.tries("b")), (3, 2));
    assert!(node.has("b", "write"));
    node.later(4);
    assert!(node.has("a", "read"));
    assert_eq!(node.lane.next_try(), None, "all is well");
}

#[test]
fn nothing_is_waited_for_when_what_failed_is_not_asked_for_any_more() {
    let mut node = Node::new();
    node.fail("a", no_room());
    node.all(&[allowing("a", 1, "read")]);
    assert!(node.lane.next_try().is_some());
    node.all(&[]);
    node.later(1);
    assert_eq!(node.lane.next_try(), None);
    // Nor while the node cannot be looked at.
    node.all(&[allowing("a", 1, "read")]);
    node.memory.lock().blind = Some(Failure::passing("dark"));
    let reports = node.later(1);
    assert_eq!(said(&reports, "a"), (Failed, "dark".to_owned()));
    assert_eq!(node.lane.next_try(), None);
}

#[test]
fn a_node_without_the_mechanism_says_why() {
    let mut node = Node::new();
    node.memory.lock().unavailable = Some("not in this kernel".to_owned());
    let reports = node.all(&[allowing("a", 1, "read")]);
    assert_eq!(said(&reports, "a"), (Failed, "not in this kernel".to_owned()));
    assert_eq!(node.text("a"), None);
}

#[test]
fn profiles_that_build_on_one_that_changes_change_with_it() {
    let mut node = Node::new();
    let middle = on_base("middle", 1, "write", Some("base"));
    let top = on_base("top", 1, "close", Some("middle"));
    let reports = node.all(&[top.clone(), middle.clone()]);
    let missing = "the seccomp profile middle builds on base, which does not exist".to_owned();
    assert_eq!(said(&reports, "top"), (Failed, missing.clone()));
    node.all(&[top.clone(), middle.clone(), allowing("base", 1, "getpid")]);
    assert!(node.has("top", "getpid") && node.has("middle", "getpid"));
    let other = allowing("other", 1, "read");
    node.all(&[top.clone(), middle.clone(), allowing("base", 2, "getppid"), other.clone()]);
    assert!(node.has("top", "getppid") && !node.has("top", "getpid"));
    let reports = node.all(&[top, middle, other]);
    let stays = format!("{missing}; generation 1 stays");
    assert_eq!(said(&reports, "top"), (Failed, stays));
    assert!(node.has("top", "getppid") && node.text("base").is_none());
    assert_eq!(node.tries("other"), 1);
}

#[test]
fn a_profile_in_use_stays_and_goes_with_its_last_pod() {
    let mut node = Node::new();
    node.all(&[allowing("a", 1, "read")]);
    let used = [(Mechanism::Seccomp, "a".into())].into();
    let users = Users::of([("n/web", &used)]);
    node.lane.all(ProfileKind::SeccompProfile, &BTreeSet::new());
    node.lane.set_users(Arc::new(users));
    let said = said(&node.reconcile(), "a");
    assert_eq!(said, (Terminating, "stays as long as the pod n/web uses it".to_owned()));
    // Whatever somebody does to it meanwhile.
    node.memory.lock().texts.insert("a".into(), "edited".to_owned());
    node.lane.set_users(Arc::default());
    assert_eq!(node.reconcile(), Reports::new());
    assert_eq!((node.text("a"), node.ledger().len()), (None, 0));
}

#[test]
fn what_cannot_be_removed_is_tried_again_after_growing_waits() {
    let mut node = Node::new();
    node.all(&[allowing("a", 1, "read")]);
    node.memory.lock().stuck = Some(Failure::refused("something inherits it"));
    let expected = (Terminating, "cannot be removed: something inherits it".to_owned());
    assert_eq!(said(&node.all(&[]), "a"), expected);
    assert_eq!(said(&node.reconcile(), "a"), expected);
    assert_eq!(node.tries("a"), 2, "installed once, and removed once");
    node.later(1);
    node.later(1);
    assert_eq!(node.tries("a"), 3, "the second wait is longer");
    // It is asked for again, and is there still.
    assert_eq!(said(&node.all(&[allowing("a", 1, "read")]), "a").0, Installed);
    node.memory.lock().stuck = None;
    node.all(&[]);
    assert_eq!((node.text("a"), node.lane.next_try()), (None, None));
}
