//! The patch does what the changes say, and nothing else, whatever the pod holds.

use profile::decide::{Change, Confinement, Place, ProfileSource};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

fn patched(pod: &Value, changes: &[Change]) -> (Value, Value) {
    let text = pod.to_string();
    let parsed: Pod<'_> = serde_json::from_str(&text).unwrap();
    let Some(bytes) = patch(&parsed, changes) else { return (json!([]), pod.clone()) };
    let operations: Value = serde_json::from_slice(&bytes).unwrap();
    let mut after = pod.clone();
    let parsed: json_patch::Patch = serde_json::from_value(operations.clone()).unwrap();
    json_patch::patch(&mut after, &parsed).unwrap();
    (operations, after)
}

fn seccomp(place: Place) -> Change {
    let source = ProfileSource::Localhost("operator/web.json".into());
    Change::Confine { place, confinement: Confinement::Seccomp(source) }
}

fn selinux(place: Place) -> Change {
    Change::Confine { place, confinement: Confinement::Selinux("web.process".into()) }
}

const FIRST: Place = Place::Container(List::Regular, 0);

#[test]
fn a_container_without_a_security_context_gets_one_in_one_operation() {
    let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "c"}]}});
    let (operations, _) = patched(&pod, &[seccomp(FIRST), selinux(FIRST)]);
    assert_eq!(
        operations,
        json!([{"op": "add", "path": "/spec/containers/0/securityContext", "value": {
            "seccompProfile": {"type": "Localhost", "localhostProfile": "operator/web.json"},
            "seLinuxOptions": {"type": "web.process"},
        }}])
    );
}

#[test]
fn user_role_and_level_of_the_container_stay() {
    let options = json!({"user": "u", "role": "r", "level": "s0:c1", "type": "old_t"});
    let pod = json!({"metadata": {}, "spec": {"containers": [{"securityContext": {"seLinuxOptions": options}}]}});
    let (operations, after) = patched(&pod, &[selinux(FIRST)]);
    let path = "/spec/containers/0/securityContext/seLinuxOptions/type";
    assert_eq!(operations, json!([{"op": "add", "path": path, "value": "web.process"}]));
    assert_eq!(
        after["spec"]["containers"][0]["securityContext"]["seLinuxOptions"]["level"],
        "s0:c1"
    );
}

#[test]
fn user_role_and_level_of_the_pod_are_said_again_since_a_containers_options_replace_them() {
    for own in [json!(null), json!({"privileged": false})] {
        let pod = json!({"metadata": {}, "spec": {
            "securityContext": {"seLinuxOptions": {"level": "s0:c1,c2", "user": "u"}},
            "containers": [{"securityContext": own}],
        }});
        let (_, after) = patched(&pod, &[selinux(FIRST)]);
        assert_eq!(
            after["spec"]["containers"][0]["securityContext"]["seLinuxOptions"],
            json!({"type": "web.process", "user": "u", "level": "s0:c1,c2"})
        );
    }
}

#[test]
fn keys_of_annotations_are_escaped() {
    let pod = json!({"metadata": {"annotations": {"a~/b": "x"}}, "spec": {}});
    let set = Change::Annotate { key: "c/d~".into(), value: "\"quoted\"".into() };
    let remove = Change::RemoveAnnotation { key: "a~/b".into() };
    let (_, after) = patched(&pod, &[set, remove]);
    assert_eq!(after["metadata"]["annotations"], json!({"c/d~": "\"quoted\""}));
}

#[test]
fn the_gate_comes_after_those_of_others() {
    let ours = json!({"name": "spo.x-k8s.io/profile-not-ready"});
    for (before, path, value) in [
        (json!(null), "/spec/schedulingGates", json!([ours])),
        (json!([]), "/spec/schedulingGates/-", ours.clone()),
        (json!([{"name": "x", "unknown": 1}]), "/spec/schedulingGates/-", ours),
    ] {
        let pod = json!({"metadata": {}, "spec": {"schedulingGates": before}});
        let (operations, after) = patched(&pod, &[Change::Gate]);
        assert_eq!(operations, json!([{"op": "add", "path": path, "value": value}]));
        let (operations, _) = patched(&after, &[Change::Gate]);
        assert_eq!(operations, json!([]), "it is there");
    }
}

#[test]
fn no_change_is_no_patch() {
    let pod: Pod<'_> = serde_json::from_str(r#"{"metadata": {}, "spec": {}}"#).unwrap();
    assert_eq!(patch(&pod, &[]), None);
}

/// Any JSON, to stand where nobody looks.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z/~]{1,6}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn context() -> impl Strategy<Value = Value> {
    let options = prop::option::of(prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!({"level": "s0:c1", "type": "old_t", "unknown": 1})),
    ]);
    (any::<bool>(), options, prop::option::of(anything())).prop_map(
        |(present, options, unknown)| {
            if !present {
                return Value::Null;
            }
            let mut context = json!({"capabilities": {"drop": ["ALL"]}});
            context["unknownField"] = unknown.unwrap_or_default();
            if let Some(options) = options {
                context["seLinuxOptions"] = options;
            }
            context
        },
    )
}

fn some_pod() -> impl Strategy<Value = Value> {
    let containers = || {
        let container = (context(), anything()).prop_map(|(context, unknown)| {
            json!({"name": "c", "image": "i", "unknownField": unknown, "securityContext": context})
        });
        prop::collection::vec(container, 3)
    };
    let annotations =
        prop::option::of(prop::collection::hash_map("[a-z./~]{1,8}", "[a-z]{0,4}", 0..4));
    let gate = select(vec!["example.com/wait", PROFILE_NOT_READY]);
    let gate = (gate, anything()).prop_map(|(name, more)| json!({"name": name, "unknown": more}));
    let gates = prop::option::of(prop::collection::vec(gate, 0..3));
    (containers(), containers(), context(), annotations, gates, anything()).prop_map(
        |(init, regular, context, annotations, gates, unknown)| {
            let mut pod = json!({
                "metadata": {"name": "p", "unknownField": unknown},
                "spec": {
                    "unknownField": {"deeper": [1, {"securityContext": null}]},
                    "securityContext": context,
                    "initContainers": init,
                    "containers": regular,
                },
                "status": {"phase": "Pending"},
            });
            if let Some(annotations) = annotations {
                pod["metadata"]["annotations"] = json!(annotations);
            }
            if let Some(gates) = gates {
                pod["spec"]["schedulingGates"] = json!(gates);
            }
            pod
        },
    )
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = prop_oneof![
        Just(Place::Pod),
        (select(vec![List::Init, List::Regular]), 0..3_usize)
            .prop_map(|(l, n)| Place::Container(l, n)),
    ];
    let source = select(vec![
        ProfileSource::Localhost("operator/\"x\".json".into()),
        ProfileSource::RuntimeDefault,
    ]);
    let of_place =
        (place, prop::option::of(source.clone()), prop::option::of(source), any::<bool>());
    let annotation = ("[a-z/~]{1,8}", "\\PC{0,4}");
    let annotations = prop::collection::vec(annotation, 0..3);
    (prop::collection::vec(of_place, 0..6), annotations, any::<bool>()).prop_map(
        |(places, annotations, gated)| {
            let mut seen: Vec<Place> = Vec::new();
            let mut changes = Vec::new();
            for (place, seccomp, apparmor, selinux) in places {
                if seen.contains(&place) {
                    continue;
                }
                seen.push(place);
                let confinements = [
                    seccomp.map(Confinement::Seccomp),
                    apparmor.map(Confinement::Apparmor),
                    (selinux && place != Place::Pod)
                        .then(|| Confinement::Selinux("web.process".into())),
                ];
                let confined = confinements.into_iter().flatten();
                changes.extend(confined.map(|confinement| Change::Confine { place, confinement }));
            }
            changes.extend(
                annotations.into_iter().map(|(key, value)| Change::Annotate { key, value }),
            );
            changes.extend(gated.then_some(Change::Gate));
            changes
        },
    )
}

/// The pod without what we may write.
fn without_ours(mut pod: Value, changes: &[Change]) -> Value {
    for change in changes {
        match change {
            Change::Confine { place, confinement } => {
                let (of, path) = match place {
                    Place::Pod => (&mut pod["spec"], "securityContext"),
                    Place::Container(list, n) => {
                        (&mut pod["spec"][list.field()][n], "securityContext")
                    }
                };
                let context = &mut of[path];
                if context.is_null() {
                    *context = json!({});
                }
                let context = context.as_object_mut().unwrap();
                match confinement {
                    Confinement::Seccomp(_) => drop(context.remove("seccompProfile")),
                    Confinement::Apparmor(_) => drop(context.remove("appArmorProfile")),
                    Confinement::Selinux(_) => {
                        // What is inherited from the pod is said again where the container had no options.
                        let options = context.get("seLinuxOptions").cloned().unwrap_or_default();
                        let kept = options.get("unknown").cloned();
                        context.remove("seLinuxOptions");
                        context.extend(kept.map(|kept| ("kept".to_owned(), kept)));
                    }
                }
            }
            Change::Annotate { key, .. } | Change::RemoveAnnotation { key } => {
                let annotations = &mut pod["metadata"]["annotations"];
                if let Some(annotations) = annotations.as_object_mut() {
                    annotations.remove(key);
                }
                if annotations.as_object().is_none_or(serde_json::Map::is_empty) {
                    pod["metadata"].as_object_mut().unwrap().remove("annotations");
                }
            }
            Change::Gate => {
                let spec = pod["spec"].as_object_mut().unwrap();
                let gates = spec.get_mut("schedulingGates").and_then(Value::as_array_mut);
                if let Some(gates) = gates {
                    // What came with the pod has a field that we do not write.
                    let ours = |gate: &Value| gate["name"] == PROFILE_NOT_READY;
                    gates.retain(|gate| !ours(gate) || gate.get("unknown").is_some());
                    if gates.is_empty() {
                        spec.remove("schedulingGates");
                    }
                }
            }
        }
    }
    pod
}

proptest! {
    #[test]
    fn nothing_but_profile_fields_annotations_and_a_gate_of_ours_can_change(pod in some_pod(), changes in changes()) {
        let (_, after) = patched(&pod, &changes);
        prop_assert_eq!(without_ours(after, &changes), without_ours(pod, &changes));
    }

    #[test]
    fn every_change_is_made(pod in some_pod(), changes in changes()) {
        let (_, after) = patched(&pod, &changes);
        for change in &changes {
            match change {
                Change::Confine { place, confinement } => {
                    let context = match place {
                        Place::Pod => &after["spec"]["securityContext"],
                        Place::Container(list, n) => &after["spec"][list.field()][n]["securityContext"],
                    };
                    match confinement {
                        Confinement::Selinux(kind) => prop_assert_eq!(&context["seLinuxOptions"]["type"], kind),
                        Confinement::Seccomp(ProfileSource::Localhost(path)) => {
                            prop_assert_eq!(&context["seccompProfile"]["localhostProfile"], path);
                        }
                        Confinement::Apparmor(ProfileSource::Localhost(path)) => {
                            prop_assert_eq!(&context["appArmorProfile"]["localhostProfile"], path);
                        }
                        _ => {}
                    }
                }
                Change::Annotate { key, .. } => {
                    let last = changes.iter().rev().find_map(|c| match c {
                        Change::Annotate { key: k, value } if k == key => Some(value),
                        _ => None,
                    });
                    prop_assert_eq!(after["metadata"]["annotations"][key].as_str(), last.map(String::as_str));
                }
                Change::RemoveAnnotation { .. } => {}
                Change::Gate => {
                    let ours = |pod: &Value| {
                        let gates = pod["spec"]["schedulingGates"].as_array().cloned();
                        let mut gates = gates.unwrap_or_default();
                        gates.retain(|gate| gate["name"] == PROFILE_NOT_READY);
                        gates.len()
                    };
                    prop_assert_eq!(ours(&after), ours(&pod).max(1));
                }
            }
        }
    }
}
