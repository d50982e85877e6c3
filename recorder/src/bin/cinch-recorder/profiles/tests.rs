//! How many instances did what, as recorders of several nodes publish what they saw, again and again.

use std::collections::BTreeMap;

use proptest::prelude::*;
use recorder::{
    learned::tally::Tally,
    seen::{Access, Ways, fold::MANY},
};
use serde_json::{Value, json};

use super::*;

const MAKING: Making = Making { machine: Arch::X86_64, base: Base::Runc, selinux_type: None };

/// None that a runtime needs.
const CALLS: [&str; 6] = ["acct", "bpf", "mount", "ptrace", "reboot", "swapon"];

const COUNTS: &str = tally::ANNOTATION;

fn calling(calls: &[&str]) -> Seen {
    let mut seen = Seen::default();
    for call in calls {
        seen.call(Arch::X86_64, syscall::number(Arch::X86_64, call).unwrap());
    }
    seen
}

fn reading(folder: &str, files: std::ops::Range<usize>) -> Seen {
    let mut seen = Seen::default();
    for n in files {
        seen.access(Access::File { path: format!("{folder}/f{n}"), ways: Ways::READ });
    }
    seen
}

/// What a node has seen of its instances.
fn publication(instances: &BTreeMap<String, Seen>) -> Publication {
    let mut seen = Seen::default();
    for one in instances.values() {
        seen.union(one);
    }
    let mut publication = Publication::of_test("u", "web-main", seen);
    publication.instances.extend(instances.clone());
    publication
}

fn of<const N: usize>(instances: [(&str, Seen); N]) -> Publication {
    publication(&instances.map(|(name, seen)| (name.to_owned(), seen)).into())
}

/// What is there after a publication.
fn published<K: Recorded>(there: Option<K>, publication: &Publication) -> Option<K> {
    match deed(publication, there.as_ref(), MAKING) {
        Deed::Create(new) | Deed::Replace(new) => Some(new),
        Deed::Nothing | Deed::Leave => there,
    }
}

fn counts<K: Recorded>(profile: &K) -> Tally {
    let text = profile.annotations().get(COUNTS);
    Tally::of_profile(text.map(String::as_str), &profile.items())
}

fn said<K: Recorded>(profile: &K) -> Option<Value> {
    profile.annotations().get(COUNTS).map(|text| serde_json::from_str(text).unwrap())
}

#[test]
fn a_profile_of_one_instance_has_no_counts_and_the_next_one_adds_itself() {
    let one = published::<SeccompProfile>(None, &of([("a", calling(&["mount"]))])).unwrap();
    assert_eq!(said(&one), None);
    let next = of([("b", calling(&["mount", "bpf"]))]);
    let two = published(Some(one), &next).unwrap();
    assert_eq!(said(&two).unwrap(), json!({ "instances": 2, "some": { "bpf": 1 } }));
    assert_eq!(deed(&next, Some(&two), MAKING), Deed::Nothing, "all of it is there");
}

#[test]
fn a_profile_that_is_not_united_has_no_counts() {
    let seen = calling(&["mount"]);
    let one = published::<SeccompProfile>(None, &Publication::of_test("u", "web-main", seen));
    assert!(!one.unwrap().annotations().contains_key(ledger::ANNOTATION));
}

#[test]
fn counts_of_an_earlier_recording_of_that_name_are_forgotten() {
    let old = of([("a", calling(&["mount"])), ("b", calling(&["bpf"]))]);
    let there = published::<SeccompProfile>(None, &old);
    let mut new = of([("c", calling(&["acct"]))]);
    new.recording_uid = "v".to_owned();
    assert_eq!(said(&published(there.clone(), &new).unwrap()), None);
    let alone = Publication::of_test("v", "web-main", calling(&["acct"]));
    let there = published(there, &alone).unwrap();
    assert!(!there.annotations().contains_key(ledger::ANNOTATION) && said(&there).is_none());
}

#[test]
fn a_profile_whose_counts_were_written_by_somebody_else_says_that_there_were_more() {
    let node = of([("a", calling(&["mount"])), ("b", calling(&["bpf"]))]);
    let there = published::<SeccompProfile>(None, &node).unwrap();
    for broken in [None, Some("{"), Some(r#"{"instances":"?"}"#)] {
        let mut there = there.clone();
        there.annotations_mut().insert(COUNTS.to_owned(), "theirs".to_owned());
        match broken {
            None => drop(there.annotations_mut().remove(ledger::ANNOTATION)),
            Some(text) => {
                there.annotations_mut().insert(ledger::ANNOTATION.to_owned(), text.to_owned());
            }
        }
        let next = published(Some(there.clone()), &of([("c", calling(&["acct"]))])).unwrap();
        let expected = json!({ "instances": 1, "some": { "mount": 0, "bpf": 0 }, "more": true });
        assert_eq!(said(&next).unwrap(), expected, "{broken:?}");
        // Whoever is still there counts again.
        let next = published(Some(next), &node).unwrap();
        let expected =
            json!({ "instances": 3, "some": { "mount": 1, "bpf": 1, "acct": 1 }, "more": true });
        assert_eq!(said(&next).unwrap(), expected, "{broken:?}");
    }
}

#[test]
fn files_that_become_one_rule_are_counted_as_that_rule() {
    // Each has read few of a folder, both together many.
    let two = of([("a", reading("/data/x", 0..MANY)), ("b", reading("/data/x", MANY..2 * MANY))]);
    let there = published::<AppArmorProfile>(None, &two);
    let there = published(there, &of([("c", reading("/srv", 0..1))])).unwrap();
    let tally = counts(&there);
    assert_eq!((tally.instances(), tally.of("read /srv/f0")), (3, Some(1)), "{there:?}");
    assert_eq!(tally.of("read /data/x/*"), Some(2), "{:?}", there.items());
}

/// What happens on a node: an instance does something, and maybe the daemon forgets before or after that.
#[derive(Clone, Debug)]
struct Step {
    node: usize,
    instance: usize,
    calls: Vec<&'static str>,
    /// What was seen since the last write to the disk is lost, or all of what is over is forgotten.
    killed: bool,
    over: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let calls = prop::sample::subsequence(CALLS.to_vec(), 1..4);
    (0..3_usize, 0..4_usize, calls, prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(
        |(node, instance, calls, killed, over)| Step { node, instance, calls, killed, over },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_instance_counts_once_in_whatever_order_nodes_publish_what_they_saw(
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut nodes = vec![BTreeMap::<String, Seen>::new(); 3];
        let (mut there, mut uncounted) = (None::<SeccompProfile>, None::<SeccompProfile>);
        let mut truth = BTreeMap::<String, BTreeSet<&str>>::new();
        for Step { node: at, instance, calls, killed, over } in steps {
            let name = format!("{at}/{instance}");
            let node = &mut nodes[at];
            if killed {
                node.remove(&name);
            }
            node.entry(name.clone()).or_default().union(&calling(&calls));
            truth.entry(name).or_default().extend(calls);
            let mut publication = publication(node);
            // The answer may be lost, and it is written again.
            for _ in 0..2 {
                there = published(there, &publication);
            }
            publication.instances.clear();
            uncounted = published(uncounted, &publication);
            if over {
                node.clear();
            }
        }
        let (there, uncounted) = (there.unwrap(), uncounted.unwrap());
        prop_assert_eq!(&there.spec, &uncounted.spec, "what is allowed does not depend on it");
        let tally = counts(&there);
        prop_assert_eq!(tally.instances() as usize, truth.len());
        for item in there.items() {
            let did = truth.values().filter(|calls| calls.contains(&*item)).count();
            let did = if CALLS.contains(&&*item) { did } else { truth.len() };
            prop_assert_eq!(tally.of(&item).map(|count| count as usize), Some(did), "{}", item);
        }
    }
}
