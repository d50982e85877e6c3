//! The copies of objects, from which a lane goes on while nobody tells it anything.

use super::*;

#[test]
fn a_lane_goes_on_from_its_copies_and_removes_nothing_as_long_as_no_source_has_spoken() {
    let mut node = Node::new();
    node.all(&[allowing("a", 1, "read"), on_base("b", 1, "write", Some("a"))]);
    let (a, b) = (node.text("a"), node.text("b"));
    node.memory.lock().texts.clear();
    node.restart();
    let reports = node.reconcile();
    assert_eq!((said(&reports, "a").0, said(&reports, "b").0), (Installed, Installed));
    assert_eq!((node.text("a"), node.text("b")), (a, b));
    assert!(!node.lane.is_complete());
    // The source speaks, and does not know one of them.
    node.all(&[allowing("a", 1, "read")]);
    assert_eq!(node.text("b"), None);
}

#[test]
fn nothing_is_removed_before_it_is_known_which_pods_there_are() {
    let mut node = Node::new();
    node.all(&[allowing("a", 1, "read")]);
    node.restart();
    node.lane.all(ProfileKind::SeccompProfile, &BTreeSet::new());
    let (state, message) = said(&node.reconcile(), "a");
    assert_eq!(state, Terminating);
    assert_eq!(message, "stays until it is known which pods use it");
    node.lane.set_users(Arc::default());
    node.reconcile();
    assert_eq!(node.text("a"), None);
}

#[test]
fn of_an_object_that_was_told_of_twice_the_newer_holds() {
    let mut node = Node::new();
    let (old, new) = (allowing("a", 1, "read"), allowing("a", 2, "write"));
    node.all(std::slice::from_ref(&old));
    // Changed and changed back, all of it heard of at once.
    node.apply(&[new, old]);
    node.reconcile();
    assert!(node.has("a", "read"));
    node.memory.lock().texts.clear();
    node.reconcile();
    assert!(node.has("a", "read"), "it was put right");
    node.memory.lock().texts.clear();
    node.restart();
    node.reconcile();
    assert!(node.has("a", "read"), "after a restart as well");
}

#[test]
fn what_could_not_be_copied_is_held_until_it_can_be() {
    let mut node = Node::new();
    node.all(&[allowing("base", 1, "getpid"), allowing("gone", 1, "read")]);
    let objects = node.layout().objects();
    let aside = objects.with_extension("aside");
    std::fs::rename(&objects, &aside).unwrap();
    std::fs::write(&objects, "in its place").unwrap();
    node.apply(&[allowing("base", 2, "getppid")]);
    node.apply(&[on_base("a", 1, "read", Some("base"))]);
    node.apply(&[allowing("gone", 2, "write")]);
    node.lane.delete(&key("gone"));
    node.reconcile();
    assert!(node.has("a", "getppid") && node.has("base", "getppid"));
    assert_eq!(node.text("gone"), None);
    node.apply(&[allowing("base", 3, "gettid")]);
    node.reconcile();
    assert!(node.has("a", "gettid"), "made anew of what is held");
    node.memory.lock().texts.clear();
    node.reconcile();
    assert!(node.has("a", "gettid") && node.has("base", "gettid"), "put right of what is held");
    assert!(node.lane.next_try().is_some());
    std::fs::remove_file(&objects).unwrap();
    std::fs::rename(aside, objects).unwrap();
    node.later(KEEP_AGAIN.as_secs());
    assert_eq!(node.lane.next_try(), None, "all is copied");
    node.memory.lock().texts.clear();
    node.restart();
    node.reconcile();
    assert!(node.has("a", "gettid") && node.has("base", "gettid"));
}

#[test]
fn a_copy_that_cannot_be_read_loses_nothing() {
    let mut node = Node::new();
    node.all(&[allowing("a", 1, "read")]);
    let copy = node.layout().objects().join("SeccompProfile/a");
    std::fs::write(&copy, "{").unwrap();
    node.restart();
    node.reconcile();
    assert!(node.has("a", "read"));
    node.all(&[allowing("a", 1, "read")]);
    assert!(node.has("a", "read"));
    assert_ne!(std::fs::read_to_string(copy).unwrap(), "{", "it is made again");
}
