//! Tests of which nodes count.

use profile::kinds::ProfileKind;
use proptest::prelude::*;

use super::*;

fn name(number: usize) -> Arc<str> {
    format!("n{number}").into()
}

fn says(profile: &str, state: NodeProfileState, generation: Option<i64>) -> NodeProfile {
    NodeProfile {
        kind: ProfileKind::SeccompProfile,
        name: profile.to_owned(),
        state,
        observed_generation: generation,
        message: None,
    }
}

fn key(name: &str) -> ProfileKey {
    ProfileKey::new(ProfileKind::SeccompProfile, name)
}

#[test]
fn news_of_one_node_concern_only_what_it_says_otherwise() {
    let mut nodes = Nodes::default();
    let report = |changed: Option<usize>| {
        let all = (0..100).map(|number| {
            let generation = if changed == Some(number) { 2 } else { 1 };
            says(&format!("p{number}"), NodeProfileState::Installed, Some(generation))
        });
        Some(all.collect::<Vec<_>>())
    };
    drop(nodes.node(&name(0), Some(true)));
    let first = nodes.report(&name(0), report(None));
    assert_eq!((first.profiles.len(), first.mechanisms.len()), (100, 1));
    assert_eq!(nodes.report(&name(0), report(None)), Recount::default());
    let again = nodes.report(&name(0), report(Some(7)));
    assert_eq!(again, Recount { profiles: [key("p7")].into(), ..Recount::default() });
    assert_eq!(nodes.node(&name(0), Some(true)), Recount::default(), "a heartbeat is no news");
    let gone = nodes.node(&name(0), None);
    assert_eq!((gone.profiles.len(), gone.mechanisms.len()), (100, 1));
}

#[test]
fn what_is_gone_takes_no_room() {
    let mut nodes = Nodes::default();
    drop(nodes.node(&name(0), Some(true)));
    let report = vec![says("p", NodeProfileState::Installed, Some(1))];
    drop(nodes.report(&name(0), Some(report)));
    drop(nodes.report(&name(0), None));
    drop(nodes.node(&name(0), None));
    assert!(nodes.by_name.is_empty() && nodes.said.is_empty());
}

proptest! {
    /// However the news came, the count is that of the nodes as they are.
    #[test]
    fn a_tally_is_what_counting_by_hand_gives(
        news in prop::collection::vec((0..4_usize, 0..5_u8, prop::bool::ANY), 0..40),
    ) {
        let mut nodes = Nodes::default();
        let mut by_hand: BTreeMap<usize, (Option<bool>, Option<Vec<NodeProfile>>)> = BTreeMap::new();
        for (node, what, flag) in news {
            let known = by_hand.entry(node).or_default();
            match what {
                0 => known.0 = None,
                1 => known.0 = Some(flag),
                2 => known.1 = None,
                3 => known.1 = Some(vec![says("a", NodeProfileState::Installed, Some(1 + i64::from(flag)))]),
                _ => {
                    let state = if flag { NodeProfileState::Failed } else { NodeProfileState::Pending };
                    known.1 = Some(vec![says("a", state, None), says("b", state, None)]);
                }
            }
            if what < 2 {
                drop(nodes.node(&name(node), known.0));
            } else {
                drop(nodes.report(&name(node), known.1.clone()));
            }
        }
        let counting = by_hand.values().filter(|(ready, _)| *ready == Some(true));
        let reports: Vec<_> = counting.filter_map(|(_, report)| report.as_ref()).collect();
        let of = |state| reports.iter().filter(|report| report[0].state == state).count();
        let installed = reports.iter().filter(|report| report[0].observed_generation == Some(2));
        let tally = nodes.tally(&key("a"), 2);
        prop_assert_eq!(tally.desired, reports.len());
        prop_assert_eq!(tally.installed.len(), installed.count());
        prop_assert_eq!(tally.failed.len(), of(NodeProfileState::Failed));
        let accounted = tally.installed.len() + tally.failed.len() + tally.waiting.len();
        prop_assert_eq!(accounted, tally.desired);
        let waiting = nodes.tally(&key("b"), 1).waiting.len();
        let failed = nodes.tally(&key("b"), 1).failed.len();
        prop_assert_eq!(waiting + failed, reports.len(), "who says nothing of it waits");
    }
}
