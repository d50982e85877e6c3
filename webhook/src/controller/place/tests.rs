//! Which nodes take a pod, one rule after the other.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn placement(spec: &Value) -> Placement {
    let part = |field: &str| spec.get(field).cloned().unwrap_or_default();
    let selector: Option<_> = serde_json::from_value(part("nodeSelector")).unwrap();
    let affinity: Option<Affinity> = serde_json::from_value(part("affinity")).unwrap();
    let tolerations: Option<Vec<_>> = serde_json::from_value(part("tolerations")).unwrap();
    Placement::new(selector.as_ref(), affinity.as_ref(), tolerations.as_deref())
}

fn node() -> Place {
    let labels = [("zone", "a"), ("cores", "8"), ("name", "n")];
    Place {
        labels: labels.map(|(key, value)| (key.into(), value.into())).into(),
        ..Place::default()
    }
}

fn required(terms: &Value) -> Value {
    json!({ "affinity": { "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms },
    }}})
}

fn tainted(key: &str, value: &str, effect: &str) -> Place {
    let taint = Taint { key: key.into(), value: value.into(), effect: effect.into() };
    Place { taints: vec![taint], ..node() }
}

#[rstest]
#[case(json!({}), true)]
#[case(json!({ "nodeSelector": null, "affinity": null, "tolerations": null }), true)]
#[case(json!({ "nodeSelector": { "zone": "a", "cores": "8" } }), true)]
#[case(json!({ "nodeSelector": { "zone": "a", "cores": "9" } }), false)]
#[case(json!({ "nodeSelector": { "none": "" } }), false)]
fn every_label_of_the_selector_has_to_be_there(#[case] spec: Value, #[case] admitted: bool) {
    assert_eq!(placement(&spec).admits("n", &node()), admitted);
}

#[rstest]
#[case(json!({ "key": "zone", "operator": "In", "values": ["b", "a"] }), true)]
#[case(json!({ "key": "zone", "operator": "In", "values": ["b"] }), false)]
#[case(json!({ "key": "none", "operator": "In", "values": ["a"] }), false)]
#[case(json!({ "key": "zone", "operator": "NotIn", "values": ["a"] }), false)]
#[case(json!({ "key": "none", "operator": "NotIn", "values": ["a"] }), true)]
#[case(json!({ "key": "zone", "operator": "Exists" }), true)]
#[case(json!({ "key": "none", "operator": "Exists" }), false)]
#[case(json!({ "key": "zone", "operator": "DoesNotExist" }), false)]
#[case(json!({ "key": "none", "operator": "DoesNotExist" }), true)]
#[case(json!({ "key": "cores", "operator": "Gt", "values": ["7"] }), true)]
#[case(json!({ "key": "cores", "operator": "Gt", "values": ["8"] }), false)]
#[case(json!({ "key": "cores", "operator": "Lt", "values": ["10"] }), true)]
#[case(json!({ "key": "cores", "operator": "Lt", "values": ["10", "11"] }), false)]
#[case(json!({ "key": "zone", "operator": "Gt", "values": ["-1"] }), false)]
#[case(json!({ "key": "none", "operator": "Lt", "values": ["1"] }), false)]
#[case(json!({ "key": "zone", "operator": "Newer", "values": ["a"] }), false)]
fn requirements_hold_as_the_scheduler_reads_them(#[case] one: Value, #[case] holds: bool) {
    let spec = required(&json!([{ "matchExpressions": [one] }]));
    assert_eq!(placement(&spec).admits("n", &node()), holds);
}

#[test]
fn one_term_is_enough_and_all_of_it_has_to_hold() {
    let zone = |value: &str| json!({ "key": "zone", "operator": "In", "values": [value] });
    let named = |name: &str| json!({ "key": "metadata.name", "operator": "In", "values": [name] });
    let admits = |terms: Value| placement(&required(&terms)).admits("n", &node());
    assert!(admits(json!([{ "matchExpressions": [zone("b")] }, { "matchFields": [named("n")] }])));
    assert!(!admits(json!([{ "matchExpressions": [zone("a")], "matchFields": [named("m")] }])));
    assert!(admits(json!([{ "matchExpressions": [zone("a")], "matchFields": [named("n")] }])));
    assert!(!admits(json!([{}])) && !admits(json!([])), "what asks for nothing means nothing");
}

#[test]
fn what_is_preferred_keeps_nobody_away() {
    let spec = json!({ "affinity": { "nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 1, "preference": {
            "matchExpressions": [{ "key": "none", "operator": "Exists" }],
        }}],
    }}});
    assert!(placement(&spec).admits("n", &node()));
    assert!(placement(&json!({})).admits("n", &tainted("k", "v", "PreferNoSchedule")));
}

#[rstest]
#[case::nothing(json!([]), false)]
#[case::by_key(json!([{ "key": "k", "operator": "Exists" }]), true)]
#[case::by_value(json!([{ "key": "k", "value": "5" }]), true)]
#[case::other_value(json!([{ "key": "k", "operator": "Equal", "value": "6" }]), false)]
#[case::other_key(json!([{ "key": "j", "operator": "Exists" }]), false)]
#[case::other_effect(json!([{ "key": "k", "operator": "Exists", "effect": "PreferNoSchedule" }]), false)]
#[case::all(json!([{ "operator": "Exists" }]), true)]
#[case::above(json!([{ "key": "k", "operator": "Gt", "value": "4" }]), true)]
#[case::not_below(json!([{ "key": "k", "operator": "Lt", "value": "5" }]), false)]
fn a_taint_has_to_be_tolerated(#[case] tolerations: Value, #[case] admitted: bool) {
    for effect in ["NoSchedule", "NoExecute"] {
        let placement = placement(&json!({ "tolerations": tolerations }));
        assert_eq!(placement.admits("n", &tainted("k", "5", effect)), admitted, "{effect}");
    }
}

#[test]
fn a_cordoned_node_takes_who_tolerates_that() {
    let cordoned = Place { unschedulable: true, ..node() };
    assert!(!placement(&json!({})).admits("n", &cordoned));
    let tolerations = json!([{ "key": UNSCHEDULABLE, "operator": "Exists" }]);
    assert!(placement(&json!({ "tolerations": tolerations })).admits("n", &cordoned));
}

#[test]
fn a_node_that_does_not_run_linux_is_none() {
    let os = |os: &str| {
        let mut node = node();
        node.labels.insert(OS.into(), os.into());
        placement(&json!({})).admits("n", &node)
    };
    assert!(os("linux") && !os("windows"));
}

#[test]
fn nodes_share_texts_and_those_that_are_gone_leave_none() {
    let mut places = Places::default();
    for n in 0..5000 {
        let mut place = node();
        place.labels.insert("host".into(), n.to_string().into());
        let name: Arc<str> = n.to_string().into();
        assert!(places.put(&name, Some(place.clone())), "it is new");
        assert!(!places.put(&name, Some(place)), "it is as it was");
        assert!(places.put(&name, None) && !places.put(&name, None));
    }
    assert!(places.texts.len() <= 1100, "{}", places.texts.len());
    for name in ["a", "b"] {
        places.put(&name.into(), Some(node()));
    }
    let of = |name: &str| Arc::clone(&places.nodes[name].labels["zone"]);
    assert!(Arc::ptr_eq(&of("a"), &of("b")));
}
