//! What is written, and how often.

use super::*;

fn world(merge: &str) -> (World, Key, Pod) {
    let mut world = World::new();
    let key = world.record("r", SECCOMP, &json!({ "mergeStrategy": merge }));
    let pod = told(&pod(1, &["main"]), "main", 7);
    world.pod(&pod);
    world.calls(&pod, 7, &["read"]);
    (world, key, pod)
}

#[test]
fn a_recording_is_written_seldom_while_nothing_is_new() {
    let (mut world, key, _) = world("None");
    world.passes(1000);
    assert_eq!(world.writes, 1);
    assert!(world.statuses <= 10, "{} statuses in 1,000 seconds", world.statuses);
    let status = world.status(&key);
    assert_eq!(status.active_workloads, ["shop/web-1"]);
    let container = &status.containers[0];
    assert_eq!((&*container.name, container.seen, container.lost), ("main", 1, 0));
    assert!(container.stable_seconds >= 400, "{container:?}");
}

#[test]
fn what_is_new_each_second_is_written_after_growing_times() {
    let (mut world, key, pod) = world("None");
    for number in 0..300 {
        let name = syscall::name(Arch::X86_64, number).unwrap();
        world.calls(&pod, 7, &[name]);
        world.pass();
    }
    assert!(world.writes <= 6, "{} profiles in 300 seconds", world.writes);
    assert!(world.statuses <= 31, "{} statuses in 300 seconds", world.statuses);
    // The status remembers how it grew, one point for each time that it said more.
    let container = &world.status(&key).containers[0];
    let points: Vec<_> = container.history.iter().map(|point| point.seen).collect();
    assert!((20..=31).contains(&points.len()) && points.is_sorted(), "{points:?}");
    assert_eq!(points.last(), Some(&container.seen));
    // The end has to wait for nothing.
    world.pod(&done(&pod));
    world.passes(15);
    assert!(world.is_final("r-main-1"));
    assert_eq!(world.seen("r-main-1").len(), 300);
}

#[test]
fn pods_that_come_and_go_do_not_make_a_status_each() {
    let (mut world, _, _) = world("Containers");
    for number in 2..=200 {
        let pod = told(&pod(number, &["main"]), "main", u64::from(number) + 10);
        world.pod(&pod);
        world.calls(&pod, u64::from(number) + 10, &["write"]);
        world.pass();
        world.pod(&done(&pod));
    }
    assert!(world.statuses <= 22, "{} statuses in 200 seconds", world.statuses);
    assert!(world.writes <= 22, "{} profiles in 200 seconds", world.writes);
}

#[test]
fn each_instance_that_was_seen_doing_something_is_told_apart_where_they_are_united() {
    for (merge, expected) in [("None", 0), ("Containers", 2)] {
        let (mut world, _, first) = world(merge);
        let (second, idle) = (pod(2, &["main"]), pod(3, &["main"]));
        for (pod, number) in [(&second, 8), (&idle, 9)] {
            world.pod(&told(pod, "main", number));
        }
        world.calls(&second, 8, &["write"]);
        world.turn();
        world.turn();
        let now = world.now();
        let due = world.tracker.publications(now);
        let instances: BTreeMap<_, _> =
            due.iter().flat_map(|publication| publication.instances.clone()).collect();
        assert_eq!(instances.len(), expected, "{merge}");
        for (pod, call) in [(first, 0), (second, 1)] {
            let seen = instances.get(&format!("{}/main", pod.uid));
            let calls = seen.map(|seen| seen.called().collect::<Vec<_>>());
            assert_eq!(calls, (expected > 0).then(|| vec![(Arch::X86_64, call)]), "{merge}");
        }
    }
}

#[test]
fn replicas_become_one_profile_which_is_whole_when_the_last_has_ended() {
    let (mut world, key, first) = world("Containers");
    let second = told(&pod(2, &["main"]), "main", 8);
    world.pod(&second);
    world.calls(&second, 8, &["write"]);
    world.passes(15);
    world.pod(&done(&first));
    world.passes(15);
    assert!(!world.is_final("r-main"));
    assert_eq!(world.status(&key).active_workloads, ["shop/web-2"]);
    world.gone(&second);
    world.passes(30);
    assert!(world.is_final("r-main"));
    assert_eq!(world.seen("r-main"), ["read", "write"]);
    assert_eq!(world.status(&key).phase.unwrap().as_str(), "Waiting");
}

#[test]
fn who_ends_while_others_go_on_elsewhere_leaves_the_end_to_them() {
    let (mut world, key, pod) = world("Containers");
    world.passes(2);
    let mut object = object("r", SECCOMP, &json!({ "mergeStrategy": "Containers" }));
    let mut status = world.status(&key).clone();
    status.active_workloads.push("shop/web-of-another-node".to_owned());
    object["status"] = serde_json::to_value(&status).unwrap();
    world.recording(&object);
    world.pod(&done(&pod));
    world.passes(30);
    assert!(!world.is_final("r-main"), "another node will end it");
    assert_eq!(world.status(&key).active_workloads, ["shop/web-of-another-node"]);
    assert!(world.tracker.subjects.is_empty(), "and nothing is kept for that");
}

#[test]
fn a_name_that_is_taken_is_told_once_and_tried_again_later() {
    let (mut world, ..) = world("None");
    let mut tries = 0;
    for _ in 0..150 {
        world.turn();
        let now = world.now();
        for publication in world.tracker.publications(now) {
            tries += 1;
            world.tracker.published(&publication, Outcome::Taken, now);
        }
    }
    assert_eq!(tries, 3);
    let notes = world.tracker.take_notes();
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].reason, "NameTaken");
    assert!(notes[0].text.contains("SeccompProfile r-main-1"), "{}", notes[0].text);
    world.pass();
}

#[test]
fn what_could_not_be_written_is_kept_until_it_is() {
    let (mut world, _, pod) = world("None");
    world.turn();
    world.pod(&done(&pod));
    let mut tries = 0;
    for _ in 0..300 {
        world.turn();
        let now = world.now();
        for publication in world.tracker.publications(now) {
            tries += 1;
            world.tracker.published(&publication, Outcome::Failed, now);
        }
    }
    assert!((8..=15).contains(&tries), "{tries} tries in 300 seconds");
    world.passes(31);
    assert!(world.is_final("r-main-1"));
    let (_, removed) = world.tracker.take_changed();
    assert_eq!(removed.len(), 1, "now it may go from the disk");
}

#[test]
fn what_came_while_a_profile_was_written_is_written_too() {
    let (mut world, _, pod) = world("None");
    world.turn();
    world.pod(&done(&pod));
    world.passes(0);
    world.turn();
    world.turn();
    let now = world.now();
    let due = world.tracker.publications(now);
    assert!(!due[0].partial);
    let call = |seen: &mut Seen| seen.call(Arch::X86_64, 1);
    let key = world.tracker.subjects.keys().next().unwrap().clone();
    let tracked = world.tracker.subjects.get_mut(&key).unwrap();
    assert!(call(&mut tracked.subject.seen));
    tracked.revision += 1;
    world.tracker.published(&due[0], Outcome::Written, now);
    world.passes(15);
    assert_eq!(world.seen("r-main-1"), ["read", "write"]);
}

#[test]
fn an_end_that_comes_while_a_part_is_written_is_written_next() {
    let (mut world, _, pod) = world("None");
    world.turn();
    world.turn();
    let now = world.now();
    let due = world.tracker.publications(now);
    assert!(due[0].partial);
    world.pod(&done(&pod));
    world.turn();
    world.turn();
    world.tracker.published(&due[0], Outcome::Written, now);
    world.passes(2);
    assert!(world.is_final("r-main-1"));
}

#[test]
fn what_other_nodes_say_stays() {
    let said = json!({
        "activeWorkloads": ["shop/elsewhere"], "phase": "Recording",
        "containers": [
            { "name": "main", "seen": 90, "lost": 4, "profile": "r-main", "lastNewAt": "2030-01-01T00:00:00Z" },
            { "name": "side", "seen": 3 },
        ],
    });
    let said = serde_json::from_value(said).unwrap();
    let entry = Entry { profile: Some("r-main".into()), seen: 70, newest: None, lost: 0 };
    let report = Report {
        active: BTreeSet::from(["shop/here".to_owned()]),
        containers: BTreeMap::from([("main".to_owned(), entry)]),
        ..Report::default()
    };
    let merged = report.merged(&said, World::new().now());
    assert_eq!(merged.active_workloads, ["shop/elsewhere", "shop/here"]);
    let counts: Vec<_> = merged.containers.iter().map(|it| (&*it.name, it.seen, it.lost)).collect();
    assert_eq!(counts, [("main", 90, 4), ("side", 3, 0)]);
}

#[test]
fn a_name_that_would_be_too_long_is_told() {
    let mut world = World::new();
    world.record(&"r".repeat(250), SECCOMP, &json!({}));
    world.pod(&pod(1, &["main"]));
    world.passes(20);
    let notes = world.tracker.take_notes();
    assert_eq!(notes.iter().map(|note| note.reason).collect::<Vec<_>>(), ["NameTooLong"]);
    assert!(world.tracker.subjects.is_empty());
}
