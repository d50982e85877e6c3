//! Whose is what was seen.

use super::*;

#[test]
fn a_container_is_known_by_the_name_of_its_cgroup() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let pod = told(&pod(1, &["main"]), "main", 7);
    world.pod(&pod);
    world.calls(&pod, 7, &["read", "mkdir"]);
    world.passes(2);
    assert_eq!(world.seen("r-main-1"), ["read", "mkdir"]);
    assert!(!world.is_final("r-main-1"));
}

#[test]
fn what_came_before_the_status_told_of_the_container_is_its_own() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let pod = pod(1, &["one", "two"]);
    world.pod(&pod);
    world.calls(&pod, 7, &["read"]);
    world.calls(&pod, 8, &["write"]);
    world.passes(30);
    assert!(world.profiles.is_empty(), "whose that is nobody knows");
    let pod = told(&told(&pod, "one", 7), "two", 8);
    world.pod(&pod);
    world.passes(2);
    assert_eq!((world.seen("r-one-1"), world.seen("r-two-1")), (vec!["read"], vec!["write"]));
}

#[test]
fn a_pod_that_comes_late_finds_what_its_containers_did() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let pod = told(&pod(1, &["main"]), "main", 7);
    world.calls(&pod, 7, &["read"]);
    world.passes(50);
    world.pod(&pod);
    world.passes(2);
    assert_eq!(world.seen("r-main-1"), ["read"]);
}

#[test]
fn a_pod_that_was_over_before_anybody_told_of_it_is_published() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let pod = done(&told(&pod(1, &["main"]), "main", 7));
    world.calls(&pod, 7, &["read"]);
    world.pass();
    world.pod(&pod);
    world.passes(10);
    assert_eq!(world.seen("r-main-1"), ["read"]);
    assert!(world.is_final("r-main-1"));
    assert_eq!(world.writes, 1, "and only once");
}

#[test]
fn the_only_container_of_a_pod_needs_no_status() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let pod = pod(1, &["main"]);
    world.pod(&pod);
    // The sandbox comes first.
    world.calls(&pod, 7, &["pause"]);
    world.calls(&pod, 8, &["read"]);
    world.passes(3);
    world.gone(&pod);
    world.passes(10);
    assert_eq!(world.seen("r-main-1"), ["read"]);
    assert!(world.is_final("r-main-1"));
}

#[test]
fn nothing_is_guessed() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let (alone, several) = (pod(1, &["main"]), pod(2, &["one", "two"]));
    world.pod(&alone);
    world.pod(&several);
    // Its sandbox, or its container: who knows.
    world.calls(&alone, 7, &["read"]);
    world.calls(&several, 17, &["pause"]);
    world.calls(&several, 18, &["read"]);
    world.calls(&several, 19, &["write"]);
    world.passes(3);
    world.gone(&alone);
    world.gone(&several);
    world.passes(100);
    assert!(world.profiles.is_empty(), "{:?}", world.profiles);
    let notes = world.tracker.take_notes();
    let reasons: Vec<_> = notes.iter().map(|note| note.reason).collect();
    assert_eq!(reasons, ["NotAttributed"; 3], "{notes:?}");
}

#[test]
fn a_runtime_knows_names_that_no_status_has_told() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let pod = pod(1, &["one", "two"]);
    world.pod(&pod);
    world.calls(&pod, 7, &["pause"]);
    world.calls(&pod, 8, &["read"]);
    let asked: Vec<_> = (0..3).flat_map(|_| world.turn()).collect();
    assert_eq!(asked, [id(7), id(8)], "each once");
    let now = world.now();
    let named = |number, name: Option<&str>| Named {
        id: id(number),
        pod_uid: pod.uid.clone(),
        container: name.map(str::to_owned),
    };
    world.tracker.named(&named(7, None), now);
    world.tracker.named(&named(8, Some("two")), now);
    world.passes(2);
    assert_eq!(world.seen("r-two-1"), ["read"]);
}

#[test]
fn a_container_that_was_started_again_is_the_same() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let pod = told(&pod(1, &["main"]), "main", 7);
    world.pod(&pod);
    world.calls(&pod, 7, &["read"]);
    world.passes(2);
    let pod = told(&pod, "main", 8);
    world.calls(&pod, 8, &["write"]);
    world.pod(&done(&pod));
    world.passes(20);
    assert_eq!(world.seen("r-main-1"), ["read", "write"]);
    assert!(world.is_final("r-main-1"));
}

#[test]
fn a_namespace_that_a_container_makes_is_its_own() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let pod = told(&pod(1, &["main"]), "main", 7);
    world.pod(&pod);
    world.calls(&pod, 7, &["unshare"]);
    world.calls(&pod, 8, &["mount"]);
    let inner = world.slots.get_mut(&8).unwrap();
    (inner.leaf, inner.parent, inner.above) = ("sandbox".into(), id(7), 7);
    inner.parent.clear();
    world.passes(3);
    assert_eq!(world.seen("r-main-1"), ["mount", "unshare"]);
}

#[test]
fn a_static_pod_is_known_by_the_uid_that_its_cgroup_has() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let own = pod(1, &["main"]);
    world.calls(&own, 7, &["pause"]);
    world.calls(&own, 8, &["read"]);
    let in_api = Pod { uid: "other".into(), static_uid: Some(own.uid.clone()), ..own.clone() };
    world.pod(&told(&in_api, "main", 8));
    world.passes(3);
    assert_eq!(world.seen("r-main-1"), ["read"]);
}

#[test]
fn those_that_look_at_others_are_not_recorded() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let mut pod = told(&pod(1, &["main"]), "main", 7);
    pod.ephemeral = vec!["debugger".to_owned()];
    let pod = told(&pod, "debugger", 8);
    world.pod(&pod);
    world.calls(&pod, 7, &["read"]);
    world.calls(&pod, 8, &["ptrace"]);
    world.pod(&done(&pod));
    world.passes(20);
    assert_eq!(world.seen("r-main-1"), ["read"]);
    assert_eq!(world.profiles.len(), 1);
}

#[test]
fn what_a_container_accessed_before_it_was_known_is_its_own() {
    let mut world = World::new();
    world.record("r", APPARMOR, &json!({}));
    let pod = pod(1, &["main"]);
    world.calls(&pod, 7, &[]);
    world.turn();
    let (access, now) = (Access::Capability("chown".into()), world.now());
    world.tracker.access(7, &access, now);
    world.pod(&told(&pod, "main", 7));
    world.passes(3);
    let seen = &world.profiles["r-main-1"].seen;
    assert_eq!(seen.others().collect::<Vec<_>>(), [&access]);
}

#[test]
fn the_kernel_may_forget_what_was_accessed_once_it_is_known_by_whom() {
    let mut world = World::new();
    world.record("r", APPARMOR, &json!({}));
    let pod = pod(1, &["main"]);
    world.pod(&pod);
    world.turn();
    world.calls(&pod, 7, &[]);
    world.turn();
    assert!(world.tracker.knows(7) && !world.tracker.knows(8));
    assert!(!world.tracker.is_waiting(), "nothing was seen yet");
    let (access, now) = (Access::Capability("chown".into()), world.now());
    world.tracker.take_changed();
    world.tracker.access(7, &access, now);
    world.turn();
    assert!(world.tracker.is_waiting(), "it would not be on the disk");
    world.pod(&told(&pod, "main", 7));
    world.turn();
    assert!(!world.tracker.is_waiting());
    let (changed, _) = world.tracker.take_changed();
    let seen: Vec<_> = changed.iter().flat_map(|(_, subject)| subject.seen.others()).collect();
    assert_eq!(seen, [&access]);
    assert!(world.tracker.take_changed().0.is_empty());
    world.tracker.not_saved(changed[0].0.clone());
    assert_eq!(world.tracker.take_changed().0.len(), 1, "it is tried again");
}

#[test]
fn what_a_container_did_waits_until_all_recordings_are_known() {
    let mut world = World::new();
    world.tracker.known.recordings = false;
    let pod = pod(1, &["main"]);
    world.pod(&told(&pod, "main", 7));
    world.calls(&pod, 7, &[]);
    world.turn();
    let (access, now) = (Access::Capability("chown".into()), world.now());
    world.tracker.access(7, &access, now);
    world.turn();
    assert!(world.tracker.is_waiting());
    assert_eq!(world.muted, BTreeMap::new());
    let key = world.record("r", APPARMOR, &json!({}));
    world.tracker.all_recordings(&[key].into());
    world.passes(3);
    let seen = &world.profiles["r-main-1"].seen;
    assert_eq!(seen.others().collect::<Vec<_>>(), [&access]);
}

#[test]
fn what_nobody_wants_is_muted_once_that_is_known() {
    let mut world = World::new();
    world.record("r", APPARMOR, &json!({}));
    let (own, other) = (pod(1, &["main"]), Pod { labels: BTreeMap::new(), ..pod(2, &["main"]) });
    world.calls(&own, 7, &[]);
    world.calls(&other, 8, &[]);
    world.turn();
    assert!(world.muted.is_empty(), "nobody knows yet");
    world.pod(&told(&own, "main", 7));
    world.pod(&told(&other, "main", 8));
    world.passes(2);
    let only_permissions = Muted { accesses: false, permissions: true };
    let all = Muted { accesses: true, permissions: true };
    assert_eq!(world.muted, BTreeMap::from([(0, only_permissions), (1, all)]));
    // A recording that comes later wants it after all.
    let all_pods = json!({ "podSelector": {} });
    world.record("s", SELINUX, &all_pods);
    let other = Pod {
        marks: BTreeMap::from([(
            "io.containers.trace-bpf-selinux/main".into(),
            "s_main_1_1".into(),
        )]),
        ..told(&other, "main", 8)
    };
    world.pod(&other);
    world.passes(2);
    assert_eq!(world.muted[&1], Muted { accesses: true, permissions: false });
}

#[test]
fn what_an_earlier_recorder_has_left_is_released_once_it_is_known_whose_it_was() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let own = pod(1, &["main", "side"]);
    world.pod(&own);
    world.calls(&own, 7, &["read"]);
    world.slots.get_mut(&7).unwrap().former = true;
    world.calls(&own, 8, &["write"]);
    let sweep = |world: &mut World| {
        world.turn();
        let now = world.now();
        // Both go on running.
        world.tracker.wanted(Some(&BTreeSet::from([7, 8])), now).release
    };
    assert_eq!(
        (sweep(&mut world), sweep(&mut world)),
        (vec![], vec![]),
        "nobody has told its name"
    );
    world.pod(&told(&told(&own, "main", 7), "side", 8));
    world.pass();
    assert_eq!(world.seen("r-main-1"), ["read"]);
    let released: Vec<_> = sweep(&mut world).into_iter().chain(sweep(&mut world)).collect();
    assert_eq!(released.iter().map(|(_, namespace)| *namespace).collect::<Vec<_>>(), [7]);
}
