//! Which binding wins, held against the rule of the contract applied to each binding in turn.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::select};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::{image::Pattern, kinds::ProfileBinding};

const DIGEST: &str = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

fn binding(name: &str, spec: serde_json::Value) -> Arc<Binding> {
    let mut spec = spec;
    let reference = json!({"kind": "SeccompProfile", "name": format!("profile-{name}")});
    spec.as_object_mut().unwrap().entry("profileRef").or_insert(reference);
    let object: ProfileBinding = serde_json::from_value(json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1",
        "kind": "ProfileBinding",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": spec,
    }))
    .unwrap();
    Arc::new(Binding::new(&object).unwrap())
}

fn winner<'a>(
    bindings: &'a Bindings,
    image: &str,
    container: &str,
    labels: &[(&str, &str)],
) -> Option<&'a str> {
    let labels: BTreeMap<_, _> =
        labels.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let image = Reference::parse(image).ok();
    let target = Target { image: image.as_ref(), container, labels: &labels };
    bindings.winner(Mechanism::Seccomp, &target).map(|binding| &*binding.name)
}

#[rstest]
#[case(&format!("nginx:1.19@{DIGEST}"), "digest")]
#[case("nginx:1.19", "tag")]
#[case("nginx:1.20", "glob-long")]
#[case("nginx:2", "glob-short")]
#[case("redis", "wildcard")]
#[case("not//valid", "wildcard")]
fn the_most_special_pattern_wins(#[case] image: &str, #[case] expected: &str) {
    let bindings = Bindings::new([
        binding("wildcard", json!({"image": "*"})),
        binding("glob-short", json!({"image": "nginx:*"})),
        binding("glob-long", json!({"image": "nginx:1.*"})),
        binding("tag", json!({"image": "nginx:1.19"})),
        binding("digest", json!({"image": format!("nginx@{DIGEST}")})),
    ]);
    assert_eq!(winner(&bindings, image, "c", &[]), Some(expected));
}

#[test]
fn a_pod_selector_wins_over_none_and_then_the_name_decides() {
    let selector = json!({"matchLabels": {"app": "web"}});
    let bindings = Bindings::new([
        binding("a", json!({"image": "nginx"})),
        binding("b", json!({"image": "nginx", "podSelector": selector})),
        binding("c", json!({"image": "nginx", "podSelector": selector})),
    ]);
    assert_eq!(winner(&bindings, "nginx", "c", &[("app", "web")]), Some("b"));
    assert_eq!(winner(&bindings, "nginx", "c", &[("app", "db")]), Some("a"));
}

#[test]
fn an_empty_pod_selector_narrows_nothing() {
    let bindings = Bindings::new([
        binding("a", json!({"image": "nginx"})),
        binding("b", json!({"image": "nginx", "podSelector": {}})),
    ]);
    assert_eq!(winner(&bindings, "nginx", "c", &[]), Some("a"));
}

#[test]
fn containers_narrow_by_name() {
    let bindings =
        Bindings::new([binding("a", json!({"image": "*", "containers": ["web-*", "db"]}))]);
    let got = ["web-1", "db", "db2"].map(|container| winner(&bindings, "nginx", container, &[]));
    assert_eq!(got, [Some("a"), Some("a"), None]);
}

#[test]
fn mechanisms_do_not_disturb_one_another() {
    let apparmor = json!({"kind": "AppArmorProfile", "name": "aa"});
    let bindings = Bindings::new([
        binding("exact", json!({"image": "nginx"})),
        binding("any", json!({"image": "*", "profileRef": apparmor})),
    ]);
    let image = Reference::parse("nginx").unwrap();
    let labels = BTreeMap::new();
    let target = Target { image: Some(&image), container: "c", labels: &labels };
    let won = Mechanism::ALL.map(|m| bindings.winner(m, &target).map(|b| &*b.name));
    assert_eq!(won, [Some("exact"), None, Some("any")]);
}

#[test]
fn every_loser_is_told_why() {
    let bindings = Bindings::new([
        binding("exact", json!({"image": "nginx"})),
        binding("glob", json!({"image": "ngin*"})),
        binding("any", json!({"image": "*", "containers": ["other"]})),
        binding("labelled", json!({"image": "nginx", "podSelector": {"matchLabels": {"a": "b"}}})),
        binding("redis", json!({"image": "redis"})),
    ]);
    let image = Reference::parse("nginx").unwrap();
    let labels = BTreeMap::new();
    let target = Target { image: Some(&image), container: "c", labels: &labels };
    let explained: BTreeMap<_, _> = bindings
        .explain(Mechanism::Seccomp, &target)
        .into_iter()
        .map(|(binding, outcome)| (&*binding.name, outcome))
        .collect();
    assert_eq!(explained["exact"], Outcome::Wins);
    assert!(matches!(
        explained["glob"],
        Outcome::Outranked(winner, "an exact tag comes before globs") if &*winner.name == "exact"
    ));
    assert_eq!(explained["any"], Outcome::OtherContainer);
    assert_eq!(explained["labelled"], Outcome::OtherPod);
    assert_eq!(explained["redis"], Outcome::OtherImage);
}

fn pattern() -> impl Strategy<Value = String> {
    let tagged = "[ab*?]{1,3}(/[ab*?]{1,2})?(:[12*?]{1,2})?";
    let fixed = vec!["*", "a", "a:1", "*/a", "docker.io/*", "ghcr.io/a/*", "ghcr.io/a/b:1"];
    let digest =
        select(vec![format!("a@{DIGEST}"), format!("*@{DIGEST}"), format!("b:1@{DIGEST}")]);
    prop_oneof![4 => tagged, 3 => select(fixed).prop_map(str::to_owned), 1 => digest]
}

fn some_binding() -> impl Strategy<Value = Arc<Binding>> {
    (pattern(), any::<bool>(), any::<bool>(), "[a-z]{6}").prop_map(
        |(image, labelled, listed, name)| {
            let mut spec = json!({"image": image});
            if labelled {
                spec["podSelector"] = json!({"matchLabels": {"app": "web"}});
            }
            if listed {
                spec["containers"] = json!(["c*"]);
            }
            binding(&name, spec)
        },
    )
}

fn image() -> impl Strategy<Value = String> {
    let text = "(ghcr\\.io/)?[ab]{1,3}(/[ab]{1,2})?(:[12]{1,2})?";
    (text, any::<bool>())
        .prop_map(|(text, digest)| if digest { format!("{text}@{DIGEST}") } else { text })
}

/// The rule applied to each binding in turn, without any index.
fn by_rule<'a, L: Labels>(
    bindings: &'a [Arc<Binding>],
    target: &Target<'_, L>,
) -> Option<&'a Binding> {
    bindings.iter().map(Arc::as_ref).filter(|b| b.matches(target)).min_by(|a, b| a.compare_rank(b))
}

proptest! {
    #[test]
    fn order_makes_no_difference_and_the_index_finds_what_the_rule_says(
        bindings in prop::collection::vec(some_binding(), 0..24).prop_shuffle(),
        image in image(),
        container in "[cd]",
        labelled in any::<bool>(),
    ) {
        let labels = BTreeMap::from([("app".to_owned(), if labelled { "web" } else { "x" }.to_owned())]);
        let image = Reference::parse(&image).unwrap();
        let target = Target { image: Some(&image), container: &container, labels: &labels };
        let mut reversed = bindings.clone();
        reversed.reverse();
        let (there, back) = (Bindings::new(bindings.clone()), Bindings::new(reversed));
        let won = there.winner(Mechanism::Seccomp, &target).map(|b| &b.name);
        prop_assert_eq!(won, back.winner(Mechanism::Seccomp, &target).map(|b| &b.name));
        prop_assert_eq!(won, by_rule(&bindings, &target).map(|b| &b.name));
    }

    #[test]
    fn a_more_special_pattern_always_wins(
        general in pattern().prop_filter("needs a *", |p| p.contains('*')),
        at in any::<prop::sample::Index>(),
        instead in select(vec!["a", "a*", "*a", "a*b", "?", "*?", "??"]),
        names in ("[a-z]{3}", "[a-z]{3}"),
    ) {
        // A star that only a part of its texts may stand for makes a pattern that matches strictly less.
        let general = Pattern::parse(&general).unwrap().to_string();
        let stars: Vec<_> = general.match_indices('*').collect();
        let (place, star) = *at.get(&stars);
        let special = [&general[..place], instead, &general[place + star.len()..]].concat();
        let general = binding(&names.0, json!({"image": general}));
        let special = binding(&names.1, json!({"image": special}));
        prop_assert!(
            special.compare_rank(&general).is_lt(),
            "{} should come before {}", special.image, general.image
        );
    }
}
