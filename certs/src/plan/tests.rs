//! Table tests of what is due when, and a simulated year in which nobody may be locked out.

use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The old authority is made at 0, the new one at two thirds of its life.
const OLD: Id = Id([0; 32]);
const NEW: Id = Id([1; 32]);
const CA: Duration = Duration::from_hours(24 * 3000);
const INTRODUCED: Duration = Duration::from_hours(24 * 2000);
const LEAF: Duration = Duration::from_hours(24 * 90);

fn at(since: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + since
}

fn life(made: Duration, length: Duration) -> Life {
    Life { made: at(made), end: at(made + length) }
}

fn names(all: &[&str]) -> BTreeSet<Name> {
    all.iter().map(|name| name.parse().unwrap()).collect()
}

fn old() -> Authority {
    Authority { id: OLD, life: life(Duration::ZERO, CA), signs: true }
}

fn new() -> Authority {
    Authority { id: NEW, life: life(INTRODUCED, CA), signs: true }
}

fn leaf(issuer: Id, made: Duration) -> Leaf {
    Leaf { issuer: Some(issuer), names: names(&["a"]), life: life(made, LEAF) }
}

fn with(authorities: &[Authority], leaf: impl Into<Option<Leaf>>) -> Current {
    Current { authorities: authorities.to_vec(), leaf: leaf.into() }
}

fn keyless() -> Authority {
    Authority { signs: false, ..old() }
}

fn issue(issuer: Id) -> Step {
    Step::IssueLeaf { issuer, names: names(&["a"]) }
}

/// The leaf that is in use while the new authority is introduced.
const RECENT: Duration = Duration::from_hours(24 * 1990);

#[rstest]
#[case::nothing(with(&[], None), DAY, Reason::NoAuthority, Step::MakeAuthority, DAY)]
#[case::no_leaf(with(&[old()], None), DAY, Reason::NoLeaf, issue(OLD), DAY)]
#[case::fresh(with(&[old()], leaf(OLD, DAY)), DAY, Reason::LeafAge, issue(OLD), DAY * 61)]
#[case::renewal_overdue(with(&[old()], leaf(OLD, DAY)), DAY * 80, Reason::LeafAge, issue(OLD), DAY * 61)]
#[case::leaf_expired(with(&[old()], leaf(OLD, DAY)), DAY * 91, Reason::NoLeaf, issue(OLD), DAY * 91)]
#[case::leaf_of_a_stranger(with(&[old()], leaf(NEW, DAY)), DAY * 2, Reason::NoLeaf, issue(OLD), DAY * 2)]
#[case::authority_gets_old(
    with(&[old()], leaf(OLD, RECENT)), INTRODUCED, Reason::AuthorityAge, Step::MakeAuthority, INTRODUCED
)]
#[case::new_one_only_trusted_at_first(
    with(&[old(), new()], leaf(OLD, RECENT)), INTRODUCED, Reason::OverlapOver, issue(NEW), INTRODUCED + HOUR
)]
#[case::old_one_still_trusted_after_the_switch(
    with(&[old(), new()], leaf(NEW, INTRODUCED + HOUR)), INTRODUCED + HOUR,
    Reason::Unused, Step::DropAuthority(OLD), INTRODUCED + HOUR * 2
)]
#[case::alone_again(
    with(&[new()], leaf(NEW, INTRODUCED + HOUR)), INTRODUCED + HOUR * 2,
    Reason::LeafAge, issue(NEW), INTRODUCED + HOUR + DAY * 60
)]
#[case::key_of_the_authority_lost(
    with(&[keyless()], leaf(OLD, DAY)), DAY * 2, Reason::NoAuthority, Step::MakeAuthority, DAY * 2
)]
#[case::authority_expired(
    with(&[old()], leaf(OLD, RECENT)), DAY * 3001, Reason::Unused, Step::DropAuthority(OLD), DAY * 3000
)]
#[case::leaf_lost_during_the_overlap_comes_from_the_one_all_know(
    with(&[old(), new()], None), INTRODUCED + HOUR / 2, Reason::NoLeaf, issue(OLD), INTRODUCED + HOUR / 2
)]
#[case::leaf_lost_after_the_overlap_comes_from_the_new_one(
    with(&[old(), new()], None), INTRODUCED + HOUR, Reason::NoLeaf, issue(NEW), INTRODUCED + HOUR
)]
fn next_change(
    #[case] current: Current,
    #[case] now: Duration,
    #[case] reason: Reason,
    #[case] step: Step,
    #[case] due: Duration,
) {
    let lifetimes = Lifetimes { authority: CA, leaf: LEAF, overlap: HOUR };
    let next = next(&current, &names(&["a"]), &lifetimes, at(now));
    assert_eq!(next, Due { at: at(due), step, reason });
}

#[test]
fn a_new_name_is_added_at_once_and_old_names_stay_until_renewal() {
    let current = with(&[old()], leaf(OLD, DAY));
    let next = next(&current, &names(&["b"]), &Lifetimes::default(), at(DAY * 2));
    let step = Step::IssueLeaf { issuer: OLD, names: names(&["a", "b"]) };
    assert_eq!(next, Due { at: at(DAY * 2), step, reason: Reason::NewName });
}

#[test]
fn a_name_no_longer_wanted_renews_nothing() {
    let mut current = with(&[old()], leaf(OLD, DAY));
    current.leaf.as_mut().unwrap().names = names(&["a", "b"]);
    let next = next(&current, &names(&["a"]), &Lifetimes::default(), at(DAY * 2));
    assert_eq!(next.reason, Reason::LeafAge);
    assert_eq!(next.step, issue(OLD));
}

#[test]
fn a_leaf_that_ends_with_its_authority_waits_for_the_next_authority() {
    let lifetimes = Lifetimes { authority: DAY * 9, leaf: DAY * 90, overlap: HOUR };
    let short = |id, made| Authority { id, life: life(made, DAY * 9), signs: true };
    let authorities = [short(OLD, Duration::ZERO), short(NEW, DAY * 6)];
    let mut current = with(&authorities, leaf(OLD, Duration::ZERO));
    current.leaf.as_mut().unwrap().life.end = at(DAY * 9);
    let next = next(&current, &names(&["a"]), &lifetimes, at(DAY * 6));
    let (at, step) = (at(DAY * 6 + HOUR), issue(NEW));
    assert_eq!(next, Due { at, step, reason: Reason::OverlapOver });
}

#[test]
fn introduced_late_the_new_authority_takes_over_before_the_old_one_ends() {
    let day = DAY * 2999;
    let late = Authority { life: life(day, CA), ..new() };
    let current = with(&[old(), late], leaf(OLD, day));
    let lifetimes = Lifetimes { overlap: DAY * 7, ..Lifetimes::default() };
    let next = next(&current, &names(&["a"]), &lifetimes, at(day));
    assert_eq!((next.at, next.step), (at(day + HOUR * 12), issue(NEW)));
}

/// What was there from a moment on.
type History = Vec<(SystemTime, Current)>;

/// Carries out a step as the real thing does, without a key in sight.
fn apply(current: &mut Current, step: Step, lifetimes: &Lifetimes, now: SystemTime, number: u64) {
    match step {
        Step::MakeAuthority => {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            let life = Life { made: now, end: now + lifetimes.authority };
            current.authorities.push(Authority { id: Id(id), life, signs: true });
        }
        Step::IssueLeaf { issuer, names } => {
            let signer = current.authorities.iter().find(|authority| authority.id == issuer);
            let signer = signer.expect("a leaf is issued by one of the authorities");
            assert!(signer.signs);
            let life = Life { made: now, end: (now + lifetimes.leaf).min(signer.life.end) };
            current.leaf = Some(Leaf { issuer: Some(issuer), names, life });
        }
        Step::DropAuthority(id) => current.authorities.retain(|authority| authority.id != id),
    }
}

/// Lives through `length`, doing each step a little late: the n-th by `late[n]` of what a keeper
/// may sleep without harm. At some steps the server gets a new name.
fn simulate(lifetimes: &Lifetimes, length: Duration, late: &[f64]) -> History {
    let (mut current, mut now, mut history) = (Current::default(), at(Duration::ZERO), Vec::new());
    let mut wanted = names(&["a"]);
    let harmless = (lifetimes.authority / 12).min(lifetimes.leaf / 4);
    for (number, late) in (0..).zip(late.iter().cycle()) {
        let due = next(&current, &wanted, lifetimes, now);
        if due.at > now {
            if !current.authorities.is_empty() {
                history.push((now, current.clone()));
            }
            now = due.at + harmless.mul_f64(*late);
            if now > at(length) {
                break;
            }
            if *late > 0.9 {
                wanted = names(&["a", &format!("b{number}")]);
            }
            continue;
        }
        apply(&mut current, due.step, lifetimes, now, number);
    }
    history
}

/// All states that someone may still act on `overlap` after they have gone, at a given moment.
fn seen_lately(history: &History, index: usize, overlap: Duration) -> &[(SystemTime, Current)] {
    let now = history[index].0;
    let gone = |index: usize| history.get(index + 1).is_some_and(|next| next.0 + overlap <= now);
    let first = (0..=index).rev().take_while(|index| !gone(*index)).last().unwrap_or(index);
    &history[first..=index]
}

fn trusts(current: &Current, leaf: &Leaf, now: SystemTime) -> bool {
    let mut authorities = current.authorities.iter();
    authorities.any(|a| Some(a.id) == leaf.issuer && a.life.end > now)
}

fn between(shortest: Duration, longest: Duration) -> impl Strategy<Value = Duration> {
    let range = shortest.as_secs_f64().ln()..longest.as_secs_f64().ln();
    range.prop_map(|seconds| Duration::from_secs_f64(seconds.exp()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn in_a_year_no_client_up_to_an_overlap_behind_ever_refuses_a_leaf(
        authority in between(DAY, DAY * 1000),
        leaf in between(HOUR * 6, DAY * 500),
        overlap in between(Duration::from_secs(1), DAY * 60),
        late in proptest::collection::vec(0.0..1.0, 50),
    ) {
        let lifetimes = Lifetimes { authority, leaf, overlap };
        let history = simulate(&lifetimes, DAY * 365, &late);
        for index in 0..history.len() {
            let (now, current) = &history[index];
            let until = history.get(index + 1).map_or(*now, |next| next.0);
            let leaf = current.leaf.as_ref().unwrap();
            // A change that is due just when a leaf ends comes a moment too late.
            prop_assert!(leaf.life.end > until, "a leaf is used until after its end");
            prop_assert!(current.authorities.len() <= 3);
            let lately = seen_lately(&history, index, lifetimes.overlap());
            for (_, client) in lately {
                prop_assert!(trusts(client, leaf, until), "a slow client refuses the leaf");
            }
            // A replica that is slow, and a client that is not.
            for served in lately.iter().filter_map(|(_, replica)| replica.leaf.as_ref()) {
                let ended = served.life.end <= *now;
                prop_assert!(ended || trusts(current, served, *now), "a slow replica is refused");
            }
        }
    }

    #[test]
    fn whenever_the_keeper_wakes_up_it_ends_with_a_leaf_that_clients_accept(
        authority in between(DAY, DAY * 1000),
        leaf in between(HOUR, DAY * 500),
        naps in proptest::collection::vec(between(HOUR, DAY * 2000), 20),
    ) {
        let lifetimes = Lifetimes { authority, leaf, overlap: HOUR };
        let (mut current, mut now, mut number) = (Current::default(), at(Duration::ZERO), 0);
        for nap in naps {
            loop {
                let due = next(&current, &names(&["a"]), &lifetimes, now);
                if due.at > now {
                    break;
                }
                number += 1;
                prop_assert!(number < 1000, "never done");
                apply(&mut current, due.step, &lifetimes, now, number);
            }
            let leaf = current.leaf.as_ref().unwrap();
            prop_assert!(leaf.life.end > now && trusts(&current, leaf, now));
            now += nap;
        }
    }
}
