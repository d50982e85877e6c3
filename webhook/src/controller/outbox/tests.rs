//! Tests of when what is written.

use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn object(name: &str) -> Object {
    Object { kind: "ProfileBinding", namespace: "shop".into(), name: name.into() }
}

fn call(number: u32) -> Call {
    Call::ApplyStatus(json!({ "status": { "workloadCount": number } }))
}

#[test]
fn the_newest_is_written_at_once_and_then_once_a_second() {
    let (mut outbox, now, object) = (Outbox::default(), Instant::now(), object("a"));
    outbox.want(&object, "status", Some(call(1)), now);
    let first = outbox.next(now).unwrap();
    assert_eq!(first.call, call(1));
    outbox.want(&object, "status", Some(call(2)), now);
    assert_eq!(outbox.next(now), None, "one call for an object at a time");
    outbox.done(&object, Outcome::Written, now);
    outbox.want(&object, "status", Some(call(3)), now);
    assert_eq!((outbox.next(now + SECOND / 2), outbox.next_due()), (None, Some(now + SECOND)));
    assert_eq!(outbox.next(now + SECOND).map(|order| order.call), Some(call(3)));
}

#[test]
fn two_parts_of_one_object_share_its_pace() {
    let (mut outbox, now, object) = (Outbox::default(), Instant::now(), object("a"));
    outbox.want(&object, "status", Some(call(1)), now);
    outbox.want(&object, "in-use", Some(call(2)), now);
    assert_eq!(outbox.next(now).unwrap().part, "in-use", "what protects comes first");
    outbox.done(&object, Outcome::Written, now);
    assert_eq!(outbox.next(now), None);
    assert_eq!(outbox.next(now + SECOND).unwrap().part, "status");
}

#[test]
fn what_is_no_longer_wanted_is_not_written() {
    let (mut outbox, now, object) = (Outbox::default(), Instant::now(), object("a"));
    outbox.want(&object, "status", Some(call(1)), now);
    outbox.want(&object, "status", None, now);
    assert_eq!((outbox.next(now + SECOND), outbox.next_due(), outbox.waiting()), (None, None, 0));
}

#[test]
fn the_pace_holds_also_after_what_was_written_is_seen() {
    let (mut outbox, now, object) = (Outbox::default(), Instant::now(), object("a"));
    outbox.want(&object, "status", Some(call(1)), now);
    drop(outbox.next(now));
    outbox.done(&object, Outcome::Written, now);
    outbox.want(&object, "status", None, now);
    outbox.want(&object, "status", Some(call(2)), now);
    assert_eq!(outbox.next(now + SECOND / 2), None);
    assert!(outbox.next(now + SECOND).is_some());
    outbox.done(&object, Outcome::Written, now + SECOND);
    outbox.want(&object, "status", None, now + SECOND);
    assert_eq!(outbox.next(now + SECOND * 2), None);
    assert!(outbox.entries.is_empty(), "what is done takes no room");
}

#[test]
fn what_fails_is_tried_again_after_growing_waits() {
    let (mut outbox, mut now, object) = (Outbox::default(), Instant::now(), object("a"));
    outbox.want(&object, "status", Some(call(1)), now);
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert!(outbox.next(now).is_some());
        outbox.done(&object, Outcome::Failed, now);
        // News do not make it faster.
        outbox.want(&object, "status", Some(call(1)), now);
        let due = outbox.next_due().unwrap();
        waits.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert!(outbox.next(now).is_some());
    outbox.done(&object, Outcome::Gone, now);
    assert_eq!(outbox.next_due(), None);
}

#[test]
fn what_was_under_way_when_leadership_ended_is_done_again() {
    let (mut outbox, now, object) = (Outbox::default(), Instant::now(), object("a"));
    outbox.want(&object, "status", Some(call(1)), now);
    let order = outbox.next(now);
    outbox.abandon(now);
    assert_eq!(outbox.next(now + SECOND), order);
}
