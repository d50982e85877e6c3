//! When a container begins to be recorded, and when that ends.

use super::*;

fn marked(pod: &Pod, key: &str, recording: &str) -> Pod {
    let marks = BTreeMap::from([(format!("{key}main"), format!("{recording}_main_n_1"))]);
    Pod { marks, ..pod.clone() }
}

fn recorded_for(world: &World) -> Vec<String> {
    let unsettled = world.tracker.subjects.iter().filter(|(_, tracked)| !tracked.settled);
    unsettled.map(|(key, _)| key.recording.name.clone()).collect()
}

#[test]
fn programs_are_needed_only_for_what_is_selected_here() {
    let mut world = World::new();
    let key = world.record("r", SECCOMP, &json!({}));
    world.record("s", APPARMOR, &json!({}));
    world.pass();
    assert_eq!(world.tracker.needs(), Needs::default(), "no pod is here");
    let both = Needs { calls: true, accesses: true, ..Needs::default() };
    assert_eq!(world.tracker.foreseen(), both, "but one may come");
    let own = pod(1, &["main"]);
    world.pod(&own);
    world.pass();
    assert_eq!(world.tracker.needs(), both);
    world.tracker.recording_gone(&key);
    world.passes(15);
    assert_eq!(world.tracker.needs(), Needs { accesses: true, ..Needs::default() });
    assert_eq!(world.tracker.foreseen(), world.tracker.needs());
    world.gone(&own);
    world.passes(15);
    assert_eq!(world.tracker.needs(), Needs::default());
}

#[test]
fn while_nobody_tells_of_pods_one_may_start_that_is_to_be_recorded() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    world.record("p", APPARMOR, &json!({ "paused": true }));
    world.tracker.pods_fresh(false);
    world.pass();
    assert_eq!(world.tracker.needs(), Needs { calls: true, ..Needs::default() });
    assert_eq!(world.tracker.foreseen(), world.tracker.needs(), "none of one that is paused");
}

#[test]
fn a_mark_alone_arms_nothing_and_no_namespace_records_for_another() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let ghost = marked(&pod(1, &["main"]), "io.containers.trace-bpf/", "ghost");
    world.pod(&Pod { labels: BTreeMap::new(), ..ghost });
    world.pod(&Pod { namespace: "other".into(), ..pod(2, &["main"]) });
    world.passes(3);
    assert_eq!(world.tracker.needs(), Needs::default());
}

#[test]
fn a_namespace_has_to_opt_in() {
    let mut world = World::new();
    world.tracker.namespaces(Some(BTreeSet::new()));
    world.record("r", SECCOMP, &json!({}));
    world.pod(&pod(1, &["main"]));
    world.pass();
    assert_eq!(recorded_for(&world), [""; 0]);
    world.tracker.namespaces(Some(BTreeSet::from([NAMESPACE.to_owned()])));
    world.pass();
    assert_eq!(recorded_for(&world), ["r"]);
    world.tracker.namespaces(Some(BTreeSet::new()));
    world.passes(3);
    assert_eq!(recorded_for(&world), [""; 0]);
}

#[test]
fn of_two_recordings_the_one_that_the_mark_names_or_the_first() {
    for (mark, expected) in [(Some("b"), "b"), (Some("gone"), "a"), (None, "a")] {
        let mut world = World::new();
        world.record("b", SECCOMP, &json!({}));
        world.record("a", SECCOMP, &json!({}));
        let pod = pod(1, &["main"]);
        let marked = mark.map(|name| marked(&pod, "io.containers.trace-bpf/", name));
        world.pod(&marked.unwrap_or(pod));
        world.passes(2);
        assert_eq!(recorded_for(&world), [expected], "{mark:?}");
    }
}

#[test]
fn one_that_came_earlier_keeps_its_container() {
    let mut world = World::new();
    world.record("b", SECCOMP, &json!({}));
    world.pod(&pod(1, &["main"]));
    world.pass();
    world.record("a", SECCOMP, &json!({}));
    world.passes(2);
    assert_eq!(recorded_for(&world), ["b"]);
}

#[test]
fn what_needs_a_profile_to_run_under_records_only_what_was_prepared_for_it() {
    let mut world = World::new();
    world.record("r", SELINUX, &json!({}));
    world.pod(&pod(1, &["main"]));
    world.pod(&marked(&pod(2, &["main"]), "io.containers.trace-bpf-selinux/", "other"));
    world.pod(&marked(&pod(3, &["main"]), "io.containers.trace-bpf-selinux/", "r"));
    world.passes(2);
    assert_eq!(world.tracker.subjects.len(), 1);
    assert_eq!(world.tracker.needs(), Needs { permissions: true, ..Needs::default() });
    let notes = world.tracker.take_notes();
    assert_eq!(notes.iter().map(|note| note.reason).collect::<Vec<_>>(), ["NotPrepared"; 2]);
    world.passes(20);
    assert!(world.tracker.take_notes().is_empty(), "once is enough");
}

#[test]
fn what_logs_tell_goes_to_recordings_from_logs() {
    let mut world = World::new();
    let key = world.record("r", SECCOMP, &json!({ "recorder": "Logs" }));
    world.record("s", SELINUX, &json!({ "recorder": "Logs" }));
    world.record("b", SECCOMP, &json!({}));
    let mut pod = told(&pod(1, &["main"]), "main", 7);
    for (prefix, value) in [("logs", "r_main_n_1"), ("avcs", "s_main_n_1")] {
        pod.marks.insert(format!("io.containers.trace-{prefix}/main"), value.to_owned());
    }
    let container = recorder::cgroup::Container { pod: Some(pod.uid.clone()), id: id(7) };
    let mut heard = Seen::default();
    heard.call(Arch::X86_64, 83);
    let permission = |name: &str| Permission {
        scontext: "u:r:selinuxrecording.process:s0".into(),
        tcontext: "u:r:etc_t:s0".into(),
        tclass: "file".into(),
        permission: name.into(),
    };
    heard.permission(permission("read"));
    // Before anybody knows the pod.
    let now = world.now();
    world.tracker.missed(5);
    world.tracker.heard(&container, &heard, now);
    world.pass();
    world.pod(&pod);
    world.passes(2);
    assert!(world.tracker.needs().logs);
    assert_eq!(world.seen("r-main-1"), ["mkdir"]);
    assert_eq!(world.profiles["s-main-1"].seen.permissions().count(), 1);
    assert_eq!(world.profiles["r-main-1"].seen.len(), 1, "each has its own part");
    assert!(!world.profiles.contains_key("b-main-1"), "programs in the kernel have told nothing");
    world.tracker.missed(7);
    world.passes(20);
    assert_eq!(world.status(&key).containers[0].lost, 2);
}

#[test]
fn a_paused_recording_goes_on_with_what_it_has() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let first = told(&pod(1, &["main"]), "main", 7);
    world.pod(&first);
    world.pass();
    world.record("r", SECCOMP, &json!({ "paused": true }));
    world.pod(&pod(2, &["main"]));
    world.calls(&first, 7, &["read"]);
    world.passes(3);
    assert_eq!(world.tracker.subjects.len(), 1);
    assert_eq!(world.seen("r-main-1"), ["read"]);
}

#[test]
fn a_recording_that_is_deleted_leaves_a_whole_profile() {
    for merge in ["None", "Containers"] {
        let mut world = World::new();
        let key = world.record("r", SECCOMP, &json!({ "mergeStrategy": merge }));
        let pod = told(&pod(1, &["main"]), "main", 7);
        world.pod(&pod);
        world.calls(&pod, 7, &["read"]);
        world.passes(2);
        world.calls(&pod, 7, &["write"]);
        world.tracker.recording_gone(&key);
        world.passes(15);
        let name = if merge == "None" { "r-main-1" } else { "r-main" };
        assert!(world.is_final(name), "{merge}");
        assert_eq!(world.seen(name), ["read", "write"]);
        assert!(world.tracker.subjects.is_empty());
    }
}

#[test]
fn a_recording_stops_when_its_time_is_over() {
    let mut world = World::new();
    let key = world.record("r", SECCOMP, &json!({ "stopAfter": "1m" }));
    world.passes(100);
    let pod = told(&pod(1, &["main"]), "main", 7);
    world.pod(&pod);
    world.calls(&pod, 7, &["read"]);
    world.passes(50);
    assert!(!world.is_final("r-main-1"));
    world.passes(30);
    assert!(world.is_final("r-main-1"));
    assert_eq!(world.status(&key).phase.unwrap().as_str(), "Complete");
    assert!(world.status(&key).active_workloads.is_empty());
    assert_eq!(world.tracker.needs(), Needs::default());
}

/// What a recorder finds that has just been started anew, after all was published.
fn restarted(world: &World, key: &Key) -> World {
    let recording = world.tracker.recordings[key].clone();
    let mut next = World::new();
    next.second = world.second + 5;
    next.tracker.recording(recording);
    next
}

#[test]
fn its_time_goes_on_when_a_recorder_is_started_anew_after_all_was_published() {
    for rule in ["stopAfter", "stableFor"] {
        let mut world = World::new();
        let key = world.record("r", SECCOMP, &json!({ rule: "5m" }));
        let pod = told(&pod(1, &["main"]), "main", 7);
        world.pod(&pod);
        world.calls(&pod, 7, &["read"]);
        world.passes(60);
        world.gone(&pod);
        world.passes(20);
        assert!(world.is_final("r-main-1") && world.tracker.subjects.is_empty());
        assert_eq!(world.status(&key).started_at.as_ref().unwrap().0.as_second(), 1_800_001_001);

        let mut next = restarted(&world, &key);
        next.passes(200);
        assert_ne!(next.status(&key).phase.unwrap().as_str(), "Complete", "{rule}: not yet");
        next.passes(100 + 2 * 60);
        assert_eq!(next.status(&key).phase.unwrap().as_str(), "Complete", "{rule}");
        assert!(next.statuses < 5, "one has said so");
    }
}

#[test]
fn a_pod_that_comes_later_gets_what_is_left_of_the_time() {
    let mut world = World::new();
    let key = world.record("r", SECCOMP, &json!({ "stopAfter": "5m" }));
    let first = told(&pod(1, &["main"]), "main", 7);
    world.pod(&first);
    world.calls(&first, 7, &["read"]);
    world.passes(200);
    let mut next = restarted(&world, &key);
    let second = told(&pod(2, &["main"]), "main", 8);
    next.pod(&second);
    next.calls(&second, 8, &["write"]);
    next.passes(80);
    assert!(!next.is_final("r-main-2"));
    next.passes(40);
    assert!(next.is_final("r-main-2"));
    assert_eq!(next.status(&key).phase.unwrap().as_str(), "Complete");
}

#[test]
fn a_recording_stops_when_nothing_is_new_but_not_before_anything_was() {
    let mut world = World::new();
    let key = world.record("r", SECCOMP, &json!({ "stableFor": "1m" }));
    let pod = told(&pod(1, &["main"]), "main", 7);
    world.pod(&pod);
    world.passes(200);
    assert_ne!(world.status(&key).phase.unwrap().as_str(), "Complete");
    world.calls(&pod, 7, &["read"]);
    world.passes(50);
    world.calls(&pod, 7, &["write"]);
    world.passes(50);
    assert!(!world.is_final("r-main-1"), "write was new");
    world.passes(30);
    assert!(world.is_final("r-main-1"));
    assert_eq!(world.status(&key).phase.unwrap().as_str(), "Complete");
}

#[test]
fn one_that_is_complete_elsewhere_ends_here() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({}));
    let pod = told(&pod(1, &["main"]), "main", 7);
    world.pod(&pod);
    world.calls(&pod, 7, &["read"]);
    world.passes(2);
    let mut complete = object("r", SECCOMP, &json!({}));
    complete["status"] = json!({ "phase": "Complete" });
    world.recording(&complete);
    world.passes(15);
    assert!(world.is_final("r-main-1"));
}

#[test]
fn what_an_earlier_process_has_left_is_gone_on_with() {
    let mut first = World::new();
    first.record("r", SECCOMP, &json!({}));
    let (running, over) =
        (told(&pod(1, &["main"]), "main", 7), told(&pod(2, &["main"]), "main", 8));
    first.pod(&running);
    first.pod(&over);
    first.calls(&running, 7, &["read"]);
    first.calls(&over, 8, &["write"]);
    first.turn();
    first.turn();
    let (left, _) = first.tracker.take_changed();
    assert_eq!(left.len(), 2);

    let mut second = World::new();
    // Nothing is known yet but what was left: that much is needed.
    second.tracker = Tracker::new(Arch::X86_64, PACE);
    let now = second.now();
    second.tracker.restore(left, now);
    assert_eq!(second.tracker.needs(), Needs { calls: true, ..Needs::default() });
    second.passes(3);
    assert!(second.tracker.subjects.values().all(|tracked| tracked.ended_at.is_none()));
    second.record("r", SECCOMP, &json!({}));
    second.pod(&running);
    let now = second.now();
    second.tracker.all_pods(&BTreeSet::from([running.uid.clone()]), now);
    second
        .tracker
        .all_recordings(&BTreeSet::from([Key { namespace: NAMESPACE.into(), name: "r".into() }]));
    second.tracker.namespaces(None);
    // The kernel still has what came meanwhile.
    second.calls(&over, 8, &["write", "mkdir"]);
    second.calls(&running, 7, &["read"]);
    second.passes(10);
    assert!(second.is_final("r-main-2") && !second.is_final("r-main-1"));
    assert_eq!(second.seen("r-main-2"), ["write", "mkdir"]);
}

#[test]
fn what_was_lost_is_told_of_those_that_ran_then() {
    let mut world = World::new();
    let key = world.record("r", APPARMOR, &json!({}));
    world.losses = Losses { accesses: 5, ..Losses::default() };
    world.turn();
    world.pod(&told(&pod(1, &["main"]), "main", 7));
    world.passes(15);
    assert_eq!(world.status(&key).containers[0].lost, 0, "that was before");
    world.losses.accesses = 8;
    world.losses.permissions = 100;
    world.passes(15);
    assert_eq!(world.status(&key).containers[0].lost, 3);
}

#[test]
fn many_short_pods_leave_nothing_behind() {
    let mut world = World::new();
    world.record("r", SECCOMP, &json!({ "mergeStrategy": "Containers" }));
    for round in 0..100_u64 {
        let mut pod = pod(0, &["main"]);
        pod.uid = format!("{round:08x}-0000-0000-0000-000000000000");
        pod.name = format!("web-{round}");
        world.pod(&told(&pod, "main", round + 1));
        world.calls(&pod, round + 1, &["read"]);
        world.passes(1);
        world.pod(&done(&told(&pod, "main", round + 1)));
        world.passes(2);
        world.gone(&pod);
        let now = world.now();
        let wanted = world.tracker.wanted(Some(&BTreeSet::new()), now);
        for (_, namespace) in wanted.release {
            world.slots.remove(&namespace);
        }
    }
    world.passes(100);
    let now = world.now();
    world.tracker.wanted(Some(&BTreeSet::new()), now);
    world.tracker.wanted(Some(&BTreeSet::new()), now);
    let Tracker { subjects, containers, spaces, targets, finished, gone, .. } = &world.tracker;
    let left =
        [subjects.len(), containers.len(), spaces.len(), targets.len(), finished.len(), gone.len()];
    assert!(left.iter().sum::<usize>() < 10, "{left:?}");
    assert!(world.is_final("r-main"));
}
