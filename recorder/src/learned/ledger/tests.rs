//! What instances did, told in any order and again, and annotations that nobody wrote so.

use proptest::prelude::*;

use super::*;

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

/// As the next writer finds it.
fn again(mut ledger: Ledger) -> Ledger {
    Ledger::read(Some(&ledger.annotation()))
}

#[test]
fn an_instance_that_is_told_again_counts_once() {
    let whole = set(&["read", "mount"]);
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        ledger.add("a", &set(&["read"]), &whole);
        ledger.add("b", &set(&["read", "mount"]), &whole);
        ledger = again(ledger);
    }
    assert_eq!(ledger.seen_by(&whole).unwrap(), r#"{"instances":2,"some":{"mount":1}}"#);
}

#[test]
fn a_single_instance_needs_no_counts() {
    let whole = set(&["read"]);
    let mut ledger = Ledger::default();
    ledger.add("a", &whole, &whole);
    assert_eq!(ledger.seen_by(&whole), None);
}

#[test]
fn what_nobody_was_seen_doing_is_done_by_none() {
    let whole = set(&["read", "theirs"]);
    let mut ledger = Ledger::default();
    ledger.add("a", &set(&["read"]), &whole);
    ledger.add("b", &set(&["read"]), &whole);
    assert_eq!(ledger.tally(&whole).unwrap().of("theirs"), Some(0));
}

#[test]
fn files_that_became_one_rule_are_counted_together() {
    let before = set(&["read /a/x", "read /a/y", "read /b"]);
    let mut ledger = Ledger::default();
    ledger.add("a", &set(&["read /a/x", "read /b"]), &before);
    ledger.add("b", &set(&["read /a/y"]), &before);
    ledger.add("c", &set(&["read /b"]), &before);
    let now = set(&["read /a/*"]);
    let mut ledger = again(ledger);
    ledger.rename(&before, &now);
    ledger.add("d", &set(&["read /a/z", "read /gone"]), &now);
    let tally = again(ledger).tally(&now).unwrap();
    assert_eq!((tally.instances(), tally.of("read /a/*")), (4, Some(3)));
}

#[test]
fn an_annotation_that_cannot_be_read_says_that_there_were_more() {
    let long = format!("{{\"instances\":\"{}\"}}", "A".repeat(ANNOTATION_MAX));
    let many = format!("{{\"instances\":\"{}\"}}", "A".repeat(8 * (INSTANCES_MAX + 1)));
    for text in [
        None,
        Some(""),
        Some("[]"),
        Some(r#"{"instances":3,"some":{}}"#),
        Some(r#"{"instances":"AAAA"}"#),
        Some(r#"{"instances":"AAAAAAAA","did":{"?":"AAAAAAAA"}}"#),
        Some(r#"{"instances":"AAAAAAAA","did":{"AQ":"AAAAAAA"}}"#),
        Some(&*long),
        Some(&*many),
    ] {
        let mut ledger = Ledger::read(text);
        assert_eq!(ledger, Ledger { more: true, ..Ledger::default() }, "{text:?}");
        let whole = set(&["read"]);
        ledger.add("a", &whole, &whole);
        let said = ledger.seen_by(&whole).unwrap();
        assert_eq!(said, r#"{"instances":1,"some":{},"more":true}"#);
    }
    assert!(!Ledger::read(Some(r#"{"instances":"AAAAAAAA","did":{"______8":"AAAAAAAA"}}"#)).more);
}

#[test]
fn of_too_many_instances_it_is_said_that_there_were_more() {
    let whole = set(&["read", "mount"]);
    let mut ledger = Ledger::default();
    for n in 0..INSTANCES_MAX + 5 {
        ledger.add(&n.to_string(), &set(&["read"]), &whole);
    }
    // Those that are known go on.
    ledger.add("7", &set(&["mount"]), &whole);
    let said = again(ledger).seen_by(&whole).unwrap();
    assert_eq!(said, r#"{"instances":256,"some":{"mount":1},"more":true}"#);
}

#[test]
fn what_has_no_room_is_dropped_for_good_and_visibly() {
    let whole: BTreeSet<_> = (0..5000).map(|n| format!("read /{n}")).collect();
    let mut ledger = Ledger::default();
    ledger.add("a", &whole, &whole);
    ledger.add("b", &whole, &whole);
    assert!(ledger.annotation().len() < 100);
    let few = set(&["read /1", "read /2"]);
    let mut ledger = again(ledger);
    ledger.rename(&whole, &few);
    ledger.add("c", &set(&["read /1"]), &few);
    let said = ledger.seen_by(&few).unwrap();
    assert_eq!(said, r#"{"instances":3,"some":{},"unnamed":2}"#);
    assert_eq!(Tally::of_profile(Some(&said), &few).of("read /1"), None);
}

#[test]
fn the_worst_that_fits_is_within_the_bound() {
    let whole: BTreeSet<_> = (0..INSTANCES_MAX).map(|n| format!("call{n}")).collect();
    let mut ledger = Ledger::default();
    // Each thing by other instances: no two share a line.
    for (n, item) in whole.iter().enumerate() {
        ledger.add(&n.to_string(), &set(&[item]), &whole);
    }
    assert!(ledger.annotation().len() <= ANNOTATION_MAX && !ledger.dropped);
    assert_eq!(ledger.tally(&whole).unwrap().of("call7"), Some(1));
}

proptest! {
    #[test]
    fn any_annotation_is_taken_without_harm(text in "[{}\":,A-Za-z0-9_\\[\\]-]{0,60}") {
        drop(Ledger::read(Some(&text)));
    }
}
