//! Which Events come of which violations, when, and how many.

use k8s_openapi::jiff::Timestamp;

use super::*;

const PACE: Duration = Duration::from_secs(10);

fn at(second: u64) -> Moment {
    let wall = Timestamp::from_second(1_800_000_000 + i64::try_from(second).unwrap()).unwrap();
    Moment { uptime: Duration::from_secs(second), wall }
}

fn millis(second: u64) -> u64 {
    at(second).wall.as_millisecond().try_into().unwrap()
}

fn rule(call: &str) -> Rule {
    Rule { mechanism: "seccomp", what: call.to_owned() }
}

fn container(id: &str) -> cgroup::Container {
    cgroup::Container { pod: None, id: id.to_owned() }
}

/// A pod's container is called by its id up to the dash.
fn who(container: &cgroup::Container) -> Option<Who> {
    let (pod, _) = container.id.split_once('-')?;
    Some(Who { pod: pod.to_owned(), uid: pod.to_owned(), ..Who::default() })
}

/// So many violations of a rule.
fn heard(ledger: &mut Ledger, id: &str, call: &str, count: u64, second: u64) -> u64 {
    let mut new = Violations::default();
    for _ in 0..count {
        new.take(&container(id), rule(call), millis(second));
    }
    ledger.take(new, &who, at(second))
}

/// What is written in a second: the counts by rule.
fn written(ledger: &mut Ledger, second: u64) -> Vec<(String, u64)> {
    let due = ledger.due(at(second));
    for occurrence in &due {
        ledger.told(occurrence, Ok(occurrence.before.unwrap_or_default()), at(second));
    }
    due.iter().map(|occurrence| (occurrence.rule.what.clone(), occurrence.count())).collect()
}

fn of(call: &str, count: u64) -> Vec<(String, u64)> {
    vec![(call.to_owned(), count)]
}

#[test]
fn a_violation_that_goes_on_is_told_ever_more_seldom() {
    let mut ledger = Ledger::new(PACE);
    let mut writes = Vec::new();
    for second in 100..3700 {
        heard(&mut ledger, "web-1", "mount", 5, second);
        let told = written(&mut ledger, second);
        writes.extend(told.iter().map(|(_, count)| (second - 100, *count)));
    }
    let seconds: Vec<_> = writes.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]);
    assert!(writes.iter().all(|(second, count)| *count == 5 * (second + 1)), "{writes:?}");
}

#[test]
fn one_that_has_ended_is_not_told_and_one_that_begins_again_is_at_once() {
    let mut ledger = Ledger::new(PACE);
    heard(&mut ledger, "web-1", "mount", 1, 100);
    assert_eq!(written(&mut ledger, 100), of("mount", 1));
    assert_eq!(written(&mut ledger, 1000), []);
    heard(&mut ledger, "web-1", "mount", 1, 5000);
    assert_eq!(written(&mut ledger, 5000), of("mount", 2));
    heard(&mut ledger, "web-1", "mount", 1, 5001);
    assert_eq!(written(&mut ledger, 5009), []);
    assert_eq!(written(&mut ledger, 5010), of("mount", 3));
}

#[test]
fn lives_of_one_container_are_one_and_names_are_waited_for() {
    let mut ledger = Ledger::new(PACE);
    heard(&mut ledger, "web-1", "mount", 2, 100);
    heard(&mut ledger, "web-2", "mount", 3, 100);
    heard(&mut ledger, "unknown", "mount", 7, 100);
    assert_eq!(written(&mut ledger, 100), of("mount", 5));
    let named = |_: &cgroup::Container| Some(Who { pod: "late".into(), ..Who::default() });
    assert_eq!(ledger.take(Violations::default(), &named, at(130)), 0);
    let due = ledger.due(at(130));
    assert_eq!(
        due.iter().map(|it| (&*it.whose.object.name, it.count())).collect::<Vec<_>>(),
        [("late", 7)]
    );
    assert_eq!(heard(&mut ledger, "hopeless", "mount", 4, 100), 0);
    assert_eq!(heard(&mut ledger, "hopeless", "mount", 0, 161), 4);
    assert_eq!(heard(&mut ledger, "hopeless", "mount", 0, 162), 0, "once");
}

#[test]
fn what_failed_is_tried_again_and_what_an_earlier_process_told_counts() {
    let mut ledger = Ledger::new(PACE);
    heard(&mut ledger, "web-1", "mount", 2, 100);
    let due = ledger.due(at(100));
    ledger.told(&due[0], Err(()), at(100));
    assert_eq!(ledger.due(at(109)), []);
    let due = ledger.due(at(110));
    assert_eq!((due[0].before, due[0].count()), (None, 2));
    ledger.told(&due[0], Ok(40), at(110));
    heard(&mut ledger, "web-1", "mount", 1, 111);
    let due = ledger.due(at(200));
    assert_eq!((due[0].before, due[0].count()), (Some(40), 43));
}

#[test]
fn the_rules_of_a_container_that_have_events_are_bounded() {
    let mut ledger = Ledger::new(PACE);
    for call in 0..200 {
        heard(&mut ledger, "web-1", &format!("call{call:03}"), 2, 100);
    }
    let mut told = BTreeMap::new();
    for second in (100..200).step_by(10) {
        let now = written(&mut ledger, second);
        assert!(now.len() <= WRITES, "{now:?}");
        told.extend(now);
    }
    assert_eq!(told.len(), RULES + 1);
    assert_eq!(told[""], 2 * (200 - RULES as u64), "the one that tells of all others");
}

#[test]
fn in_one_pace_only_so_many_are_written_those_that_are_new_first() {
    let mut ledger = Ledger::new(PACE);
    for pod in 0..WRITES {
        heard(&mut ledger, &format!("old{pod}-1"), "mount", 1, 100);
    }
    assert_eq!(written(&mut ledger, 100).len(), WRITES);
    for pod in 0..WRITES {
        heard(&mut ledger, &format!("old{pod}-1"), "mount", 1, 101);
    }
    heard(&mut ledger, "young-1", "bpf", 1, 109);
    assert_eq!(written(&mut ledger, 109), [], "there were enough");
    let told = written(&mut ledger, 110);
    assert_eq!(told.len(), WRITES);
    assert_eq!(told[0], ("bpf".to_owned(), 1));
}

#[test]
fn containers_that_are_gone_are_forgotten() {
    let mut ledger = Ledger::new(PACE);
    heard(&mut ledger, "a-1", "mount", 1, 100);
    heard(&mut ledger, "b-1", "mount", 1, 100);
    assert_eq!(written(&mut ledger, 100).len(), 2);
    ledger.retain(&|whose| whose.object.name == "b");
    assert_eq!((ledger.told.len(), ledger.named.containers().count()), (1, 1));
}

#[test]
fn pods_of_one_workload_are_one_event_that_knows_how_many_they_are() {
    let mut ledger = Ledger::new(PACE);
    let owner = |name: &str| {
        Some(Object { kind: "ReplicaSet".into(), uid: name.into(), ..Object::default() })
    };
    let who = |container: &cgroup::Container| {
        let pod = container.id.clone();
        let owner = owner(if pod == "other" { "api" } else { "web" });
        Some(Who { uid: pod.clone(), pod, owner, ..Who::default() })
    };
    for second in [100, 110] {
        let mut new = Violations::default();
        for pod in 0..100 {
            new.take(&container(&format!("web{pod:03}")), rule("mount"), millis(second));
        }
        new.take(&container("web007"), rule("bpf"), millis(second));
        new.take(&container("other"), rule("mount"), millis(second));
        assert_eq!(ledger.take(new, &who, at(second)), 0);
        let due = ledger.due(at(second));
        let mut told: Vec<_> = due
            .iter()
            .map(|of| (&*of.whose.object.uid, &*of.rule.what, of.count(), of.pods, &*of.pod))
            .collect();
        told.sort_unstable();
        let times = if second == 100 { 1 } else { 2 };
        assert_eq!(
            told,
            [
                ("api", "mount", times, 1, "other"),
                ("web", "bpf", times, 1, "web007"),
                ("web", "mount", 100 * times, 100, "web000"),
            ]
        );
        for occurrence in &due {
            ledger.told(occurrence, Ok(0), at(second));
        }
    }
    ledger.retain(&|whose| whose.object.uid == "web");
    assert_eq!((ledger.pods.len(), ledger.named.containers().count()), (1, 1));
}
