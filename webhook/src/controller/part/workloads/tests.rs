//! Tests of which pods count as a binding's.

use profile::{
    decide::{BindResult, Question, Scope, Seal, Subject, Tasks, decide},
    kinds::{ProfileBinding, ProfileKind},
    snapshot::{Namespace, Profiles, Readiness},
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;
use crate::controller::part::tests::{Cluster, SECOND, binding, pod};

fn workloads(cluster: &Cluster, name: &str) -> (Value, Value) {
    let status = |at| cluster.status("ProfileBinding", "shop", name, at);
    (status("/activeWorkloads"), status("/workloadCount"))
}

#[test]
fn workloads_follow_the_pods_that_live() {
    let mut cluster = Cluster::new();
    cluster.put(binding("shop", "web", "a", "nginx"));
    cluster.put(pod("shop", "two", "nginx", "a", "Pending"));
    cluster.put(pod("shop", "one", "nginx:latest", "a", "Running"));
    cluster.put(pod("shop", "not-under-it", "nginx", "b", "Running"));
    cluster.put(pod("bank", "of-another-namespace", "nginx", "a", "Running"));
    cluster.run(SECOND * 2);
    assert_eq!(workloads(&cluster, "web"), (json!(["shop/one", "shop/two"]), json!(2)));
    cluster.put(pod("shop", "one", "nginx:latest", "a", "Succeeded"));
    cluster.run(SECOND * 2);
    assert_eq!(workloads(&cluster, "web"), (json!(["shop/two"]), json!(1)));
    cluster.delete("Pod", "shop", "two");
    cluster.run(SECOND * 2);
    assert_eq!(workloads(&cluster, "web"), (json!([]), json!(0)));
}

#[test]
fn a_pod_is_its_winners_also_when_that_is_another_one_than_before() {
    let mut cluster = Cluster::new();
    cluster.put(pod("shop", "one", "nginx:1.27", "a", "Running"));
    cluster.put(binding("shop", "any", "a", "*"));
    cluster.run(SECOND * 2);
    assert_eq!(workloads(&cluster, "any").1, json!(1));
    cluster.put(binding("shop", "exact", "a", "nginx:1.27"));
    cluster.run(SECOND * 2);
    assert_eq!(
        (workloads(&cluster, "any").1, workloads(&cluster, "exact").1),
        (json!(0), json!(1))
    );
    cluster.delete("ProfileBinding", "shop", "exact");
    cluster.run(SECOND * 2);
    assert_eq!(workloads(&cluster, "any").1, json!(1));
}

#[test]
fn the_first_hundred_are_listed_and_all_are_counted() {
    let mut cluster = Cluster::new();
    cluster.put(binding("shop", "web", "a", "nginx"));
    for number in 0..150 {
        cluster.put(pod("shop", &format!("p{number:03}"), "nginx", "a", "Running"));
    }
    cluster.run(SECOND * 2);
    let (listed, count) = workloads(&cluster, "web");
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[99], count),
        (100, &json!("shop/p099"), json!(150))
    );
    assert_eq!(cluster.writes.len(), 1);
}

struct NoSeal;

impl Seal for NoSeal {
    fn stamp(&self, _: &Subject<'_>) -> (String, u64) {
        (String::new(), 0)
    }

    fn holds(&self, _: &Subject<'_>, _: &str, _: u64) -> bool {
        false
    }
}

const IMAGES: &[&str] = &[
    "nginx",
    "nginx:1.27",
    "ghcr.io/a/b",
    "redis@sha256:0123456789012345678901234567890123456789012345678901234567890123",
];
const PATTERNS: &[&str] = &[
    "*",
    "nginx",
    "nginx:1.*",
    "ghcr.io/*",
    "redis@sha256:0123456789012345678901234567890123456789012345678901234567890123",
];

fn any_binding() -> impl Strategy<Value = Value> {
    let kinds = select(vec!["SeccompProfile", "SelinuxProfile", "AppArmorProfile"]);
    let selector = prop::option::of(select(vec!["web", "db"]));
    let containers = prop::option::of(select(vec!["main", "s*"]));
    let overriding = prop::option::of(select(vec!["Always", "IfUnset"]));
    (kinds, select(vec!["a", "b"]), select(PATTERNS.to_vec()), selector, containers, overriding)
        .prop_map(|(kind, profile, image, app, containers, overriding)| {
            let mut spec =
                json!({ "profileRef": { "kind": kind, "name": profile }, "image": image });
            if let Some(app) = app {
                spec["podSelector"] = json!({ "matchLabels": { "app": app } });
            }
            if let Some(name) = containers {
                spec["containers"] = json!([name]);
            }
            if let Some(overriding) = overriding {
                spec["override"] = json!(overriding);
            }
            spec
        })
}

fn any_context() -> impl Strategy<Value = Value> {
    let own = select(vec![
        json!({}),
        json!({ "privileged": true }),
        json!({ "seccompProfile": { "type": "RuntimeDefault" } }),
        json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "operator/a.json" } }),
        json!({ "seLinuxOptions": { "type": "b.process", "level": "s0" } }),
        json!({ "seLinuxOptions": { "level": "s0" } }),
        json!({ "appArmorProfile": { "type": "Localhost", "localhostProfile": "a" } }),
        json!({ "appArmorProfile": { "type": "Unconfined" } }),
    ]);
    own.boxed()
}

fn any_pod() -> impl Strategy<Value = Value> {
    let container = (select(IMAGES.to_vec()), any_context());
    let labels = select(vec!["web", "db", "none"]);
    (prop::collection::vec(container, 1..3), any_context(), labels).prop_map(|(all, context, app)| {
        let mut context = context;
        context.as_object_mut().unwrap().remove("privileged");
        let containers: Vec<_> = all.into_iter().zip(["main", "side"]).map(|((image, own), name)| {
            json!({ "name": name, "image": image, "securityContext": own })
        }).collect();
        json!({
            "metadata": { "name": "p", "namespace": "n", "labels": { "app": app } },
            "spec": { "securityContext": context, "containers": containers },
        })
    })
}

proptest! {
    /// What admission says that it has bound is what is counted once the pod is there.
    #[test]
    fn the_bindings_of_a_pod_are_those_that_admission_has_bound_it_to(
        specs in prop::collection::vec(any_binding(), 0..6),
        pod in any_pod(),
    ) {
        let rules = specs.into_iter().enumerate().map(|(number, spec)| {
            let object: ProfileBinding = serde_json::from_value(json!({
                "apiVersion": "security-profiles-operator.x-k8s.io/v1", "kind": "ProfileBinding",
                "metadata": { "name": format!("b{number}") }, "spec": spec,
            })).unwrap();
            Arc::new(profile::bindings::Binding::new(&object).unwrap())
        });
        let namespace = Namespace { bindings: Bindings::new(rules), ..Namespace::default() };
        let mut profiles = Profiles::default();
        for kind in ProfileKind::ALL {
            for name in ["a", "b"] {
                profiles.insert(*kind, name, Readiness::Ready);
            }
        }
        let text = pod.to_string();
        let asked: profile::pod::Pod<'_> = serde_json::from_str(&text).unwrap();
        let question = Question {
            pod: &asked,
            namespace_name: "n",
            namespace: &namespace,
            profiles: &profiles,
            tasks: Tasks { bind: true, record: false, recording_on: false },
            scope: Scope::Create,
        };
        let decision = decide(&question, &NoSeal);
        let bound = decision.bound.iter().filter(|bound| {
            matches!(bound.result, BindResult::Written | BindResult::Unchanged)
        });
        let bound: BTreeSet<Arc<str>> = bound.map(|bound| Arc::from(bound.binding)).collect();

        let mut admitted = pod;
        if let Some(patch) = crate::patch::patch(&asked, &decision.changes) {
            let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
            json_patch::patch(&mut admitted, &patch).unwrap();
        }
        let metadata = serde_json::from_value(admitted["metadata"].clone()).unwrap();
        let spec = serde_json::from_value(admitted["spec"].clone()).unwrap();
        let reduced = Pod::of(&metadata, &spec, None);
        prop_assert_eq!(won(&reduced, &namespace.bindings), bound);
    }
}
