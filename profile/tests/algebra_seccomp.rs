//! The algebra of seccomp profiles against brute force: every answer is held against what happens to many calls.

#![expect(clippy::unwrap_used, reason = "as in a test")]

#[path = "algebra/any.rs"]
mod any;

use profile::{
    algebra::seccomp::{
        Abi, Ambiguity, Merged, Subset, Verdict, ambiguities, diff, evaluate, merge, subset,
    },
    kinds::seccomp::{Arch, SeccompProfileSpec},
};
use proptest::prelude::*;

const CALLS: usize = 300;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 400,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..<_>::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn subset_is_as_brute_force_says(
        left in any::profile(), right in any::profile(), seed: u64,
    ) {
        let answer = subset(&left, &right).unwrap();
        match &answer {
            Subset::Yes => {
                for call in any::calls(seed, CALLS) {
                    let (l, r) = (evaluate(&left, &call).unwrap(), evaluate(&right, &call).unwrap());
                    // Rules that disagree say so in the same way in both, where they are the same.
                    prop_assert!(l.least.reach() <= r.most.reach(), "{call} {l:?} {r:?}");
                    if r.certain().is_some() {
                        prop_assert!(l.most.reach() <= r.least.reach(), "{call} {l:?} {r:?}");
                    }
                }
            }
            Subset::No(shown) => {
                let (l, r) =
                    (evaluate(&left, &shown.call).unwrap(), evaluate(&right, &shown.call).unwrap());
                prop_assert!(l.least.reach() > r.most.reach(), "{} {l:?} {r:?}", shown.call);
                prop_assert_eq!((shown.left, shown.right), (l.most, r.least));
            }
            Subset::Ambiguous(shown) => {
                let (l, r) =
                    (evaluate(&left, &shown.call).unwrap(), evaluate(&right, &shown.call).unwrap());
                prop_assert!(l.most.reach() > r.least.reach(), "{} {l:?} {r:?}", shown.call);
                prop_assert!(l.certain().is_none() || r.certain().is_none());
            }
            Subset::Undecided => prop_assert!(false, "so few rules are decided"),
        }
    }

    #[test]
    fn a_profile_is_a_subset_of_itself(spec in any::profile()) {
        prop_assert_eq!(subset(&spec, &spec).unwrap(), Subset::Yes);
    }
    #[test]
    fn merged_is_the_union_and_no_more(
        specs in prop::collection::vec(any::profile(), 1..4), seed: u64,
    ) {
        let Merged { spec, widened } = merge(&specs).unwrap();
        for call in any::calls(seed, CALLS) {
            let most = specs.iter().map(|spec| most(spec, &call)).max().unwrap();
            let merged = evaluate(&everywhere(&spec), &call).unwrap();
            if call.abi == Abi::Own && !widened.contains(&call.syscall) {
                prop_assert_eq!(merged.certain(), Some(most), "{}", call);
            } else {
                prop_assert!(merged.least >= most, "{call} {merged:?} {most:?}");
            }
        }
    }

    #[test]
    fn every_profile_is_a_subset_of_the_merged_one(
        specs in prop::collection::vec(any::profile(), 1..4),
    ) {
        let merged = merge(&specs).unwrap().spec;
        for spec in &specs {
            prop_assert_eq!(subset(spec, &merged).unwrap(), Subset::Yes);
        }
    }

    #[test]
    fn merged_rules_do_not_disagree(specs in prop::collection::vec(any::profile(), 1..4)) {
        let found = ambiguities(&merge(&specs).unwrap().spec).unwrap();
        let disagree = found.iter().find(|one| matches!(one, Ambiguity::Disagree { .. }));
        prop_assert_eq!(disagree, None);
    }

    #[test]
    fn order_and_repetition_of_profiles_do_not_matter(
        a in any::profile(), b in any::profile(), c in any::profile(),
    ) {
        let merged = merge([&a, &b, &c]).unwrap();
        prop_assert_eq!(&merge([&c, &a, &b, &a]).unwrap(), &merged);
        prop_assert_eq!(&merge([&b, &c, &a, &c, &b]).unwrap(), &merged);
    }

    #[test]
    fn merging_again_changes_nothing(specs in prop::collection::vec(any::profile(), 1..4)) {
        let merged = merge(&specs).unwrap().spec;
        prop_assert_eq!(merge([&merged]).unwrap().spec, merged);
    }

    #[test]
    fn merging_in_two_steps_is_merging_at_once(
        a in any::profile(), b in any::profile(), c in any::profile(), seed: u64,
    ) {
        let at_once = merge([&a, &b, &c]).unwrap();
        let first = merge([&a, &b]).unwrap();
        let then = merge([&first.spec, &c]).unwrap();
        for call in any::calls(seed, CALLS) {
            let widened = [&at_once, &first, &then].iter().any(|m| m.widened.contains(&call.syscall));
            if call.abi == Abi::Own && !widened {
                prop_assert_eq!(most(&then.spec, &call), most(&at_once.spec, &call), "{}", call);
            }
        }
    }

    #[test]
    fn diff_names_every_call_that_differs_and_no_other(
        left in any::profile(), right in any::profile(), seed: u64,
    ) {
        let diff = diff(&left, &right).unwrap();
        for change in &diff.changes {
            let call = &change.example;
            prop_assert_eq!(most(&left, call), change.left.verdict, "{}", change);
            prop_assert_eq!(most(&right, call), change.right.verdict, "{}", change);
            prop_assert_ne!(change.left.verdict, change.right.verdict);
        }
        for call in any::calls(seed, CALLS).filter(|call| call.abi == Abi::Own) {
            let (l, r) = (most(&left, &call), most(&right, &call));
            let told = diff.changes.iter().any(|change| {
                let names = change.names.contains(&call.syscall);
                names && (change.left.verdict, change.right.verdict) == (l, r)
            });
            prop_assert!(l == r || told || diff.default == Some((l, r)), "{call}");
        }
        prop_assert!(diff.undecided.is_empty());
    }

    #[test]
    fn a_profile_differs_in_nothing_from_itself(spec in any::profile()) {
        prop_assert!(diff(&spec, &spec).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_subset_differs(left in any::profile(), right in any::profile()) {
        if let Subset::No(shown) = subset(&left, &right).unwrap() {
            let text = diff(&left, &right).unwrap().to_string();
            prop_assert!(text.lines().any(|line| line.starts_with('-')), "{} {text}", shown.call);
        }
    }
}

fn most(spec: &SeccompProfileSpec, call: &profile::algebra::seccomp::Call) -> Verdict {
    evaluate(&everywhere(spec), call).unwrap().most
}

/// The profile with all architectures served: the union of what is served is more than each.
fn everywhere(spec: &SeccompProfileSpec) -> SeccompProfileSpec {
    SeccompProfileSpec { architectures: vec![Arch::X86], ..spec.clone() }
}
