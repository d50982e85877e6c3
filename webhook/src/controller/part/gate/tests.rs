//! When a gate is opened and when it is not, and what people are told.

use std::collections::BTreeMap;

use profile::{
    kinds::{NodeProfile, ProfileKind, node::NodeProfileState},
    pod::PROFILE_NOT_READY,
    snapshot::Switches,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controller::{
    core::Core,
    key::ProfileKey,
    pod::PodStatus,
    profile::Profile,
    told::{Binding, Kind, Node, Told},
};

const KIND: ProfileKind = ProfileKind::SeccompProfile;

/// A cluster with the nodes a and b, the profile web and a pod of it that waits.
struct Cluster {
    core: Core,
    now: Instant,
    told: Vec<&'static str>,
}

impl Cluster {
    fn new() -> Self {
        let core = Core::new(vec![Box::<Gate>::default()]);
        let mut cluster = Self { core, now: Instant::now(), told: Vec::new() };
        for kind in Kind::ALL {
            cluster.core.take(match kind {
                Kind::Pod | Kind::Binding | Kind::Recording => Told::AllNamed(kind, [].into()),
                _ => Told::AllOfCluster(kind, [].into()),
            });
        }
        cluster.take(Told::Namespace("shop".into(), Some(Switches::ON)));
        cluster.take(Told::Node("a".into(), Some(node(&[]))));
        cluster.take(Told::Node("b".into(), Some(node(&[]))));
        cluster.profile("web", 1, |_| {});
        cluster.bind(Some(json!({ "whenNotReady": "Gate" })));
        cluster
    }

    fn take(&mut self, told: Told) {
        self.core.take(told);
    }

    fn profile(&mut self, name: &str, generation: i64, change: impl FnOnce(&mut Profile)) {
        let mut profile = Profile { generation, enabled: true, ..Profile::default() };
        change(&mut profile);
        self.take(Told::Profile(ProfileKey::new(KIND, name), Some(Box::new(profile))));
    }

    fn no_profile(&mut self, name: &str) {
        self.take(Told::Profile(ProfileKey::new(KIND, name), None));
    }

    /// The binding for nginx says this, or is not there.
    fn bind(&mut self, more: Option<Value>) {
        let binding = more.map(|more| {
            let mut spec = json!({
                "profileRef": { "kind": "SeccompProfile", "name": "web" }, "image": "nginx",
            });
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let object = json!({
                "apiVersion": "security-profiles-operator.x-k8s.io/v1",
                "kind": "ProfileBinding",
                "metadata": { "name": "b", "namespace": "shop" },
                "spec": spec,
            });
            let rule = profile::bindings::Binding::new(&serde_json::from_value(object).unwrap());
            Box::new(Binding {
                uid: "b".into(),
                rule: Some(Arc::new(rule.unwrap())),
                status: profile::kinds::ProfileBindingStatus::default(),
            })
        });
        self.take(Told::Binding(Named::new("shop", "b"), binding));
    }

    fn says(&mut self, node: &str, profiles: &[(&str, NodeProfileState, i64)]) {
        let report = profiles.iter().map(|(name, state, generation)| NodeProfile {
            kind: KIND,
            name: (*name).to_owned(),
            state: *state,
            observed_generation: Some(*generation),
            message: (*state == NodeProfileState::Failed).then(|| "no room".to_owned()),
        });
        self.take(Told::Report(node.into(), Some(report.collect())));
    }

    fn installed(&mut self, node: &str, generation: i64) {
        self.says(node, &[("web", NodeProfileState::Installed, generation)]);
    }

    fn pod(&mut self, name: &str, spec: &Value) {
        let metadata = json!({ "name": name, "namespace": "shop", "uid": format!("{name}-uid") });
        let metadata = serde_json::from_value(metadata).unwrap();
        let spec = serde_json::from_value(spec.clone()).unwrap();
        let pod = Pod::of(&metadata, &spec, Some(&PodStatus::default()));
        self.take(Told::Pod(Named::new("shop", name), Some(Box::new(pod))));
    }

    /// The pods that are opened now.
    fn opened(&mut self) -> Vec<String> {
        self.core.step(self.now);
        while let Some(news) = self.core.outbox.next_news() {
            assert!(!news.note.is_empty() && news.about.object.kind == "Pod");
            self.told.push(news.reason);
        }
        let wanted = self.core.outbox.wanted();
        wanted.map(|(object, ..)| object.name.to_string()).collect()
    }

    fn is_open(&mut self) -> bool {
        !self.opened().is_empty()
    }
}

fn node(labels: &[(&str, &str)]) -> Node {
    let mut node = Node { ready: true, ..Node::default() };
    let labels: BTreeMap<Arc<str>, Arc<str>> =
        labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    node.place.labels = labels;
    node
}

fn under(profile: &str) -> Value {
    json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": profile } })
}

fn spec() -> Value {
    json!({
        "schedulingGates": [{ "name": "example.com/wait" }, { "name": PROFILE_NOT_READY }],
        "containers": [{ "name": "c", "image": "nginx", "securityContext": under("operator/web.json") }],
    })
}

/// A cluster in which the pod waits.
fn waiting() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.pod("p", &spec());
    assert!(!cluster.is_open());
    cluster
}

#[test]
fn a_gate_opens_when_the_last_node_has_the_profile() {
    let mut cluster = waiting();
    cluster.installed("a", 1);
    assert!(!cluster.is_open());
    cluster.installed("b", 1);
    assert_eq!(cluster.opened(), ["p"]);
    let (object, part, call) = cluster.core.outbox.wanted().next().unwrap();
    assert_eq!((object.kind, &*object.namespace, part), ("Pod", "shop", "gate"));
    let gate = json!({ "name": "spo.x-k8s.io/profile-not-ready", "$patch": "delete" });
    let body = json!({ "metadata": { "uid": "p-uid" }, "spec": { "schedulingGates": [gate] } });
    assert_eq!(*call, Call::Strategic(body));
    let mut open = spec();
    open["schedulingGates"].as_array_mut().unwrap().pop();
    cluster.pod("p", &open);
    assert!(!cluster.is_open(), "it is done");
    assert!(cluster.told.is_empty(), "there was nothing to tell: {:?}", cluster.told);
}

#[test]
fn a_node_counts_with_the_newest_form_alone() {
    let mut cluster = waiting();
    cluster.profile("web", 2, |_| {});
    cluster.installed("a", 2);
    cluster.installed("b", 1);
    assert!(!cluster.is_open());
    cluster.says("b", &[("web", NodeProfileState::Pending, 2)]);
    assert!(!cluster.is_open());
    cluster.installed("b", 2);
    assert!(cluster.is_open());
    cluster.profile("web", 3, |_| {});
    assert!(!cluster.is_open(), "what was asked for is taken back");
}

#[test]
fn nodes_that_the_pod_cannot_go_to_are_not_waited_for() {
    let mut cluster = waiting();
    let mut elsewhere = spec();
    elsewhere["nodeSelector"] = json!({ "zone": "z" });
    cluster.pod("q", &elsewhere);
    cluster.take(Told::Node("c".into(), Some(node(&[("zone", "z")]))));
    cluster.installed("c", 1);
    assert_eq!(cluster.opened(), ["q"]);
    cluster.take(Told::Node("a".into(), None));
    cluster.take(Told::Node("b".into(), Some(Node::default())));
    assert_eq!(cluster.opened(), ["p", "q"], "one is gone, one is not ready");
}

#[test]
fn without_a_node_it_waits_and_says_so_once() {
    let mut cluster = Cluster::new();
    let mut nowhere = spec();
    nowhere["nodeSelector"] = json!({ "zone": "z" });
    cluster.pod("p", &nowhere);
    for _ in 0..3 {
        assert!(!cluster.is_open());
        cluster.installed("a", 1);
    }
    assert_eq!(cluster.told, ["NoNodeForProfile"]);
    cluster.take(Told::Node("c".into(), Some(node(&[("zone", "z")]))));
    assert!(!cluster.is_open());
    cluster.installed("c", 1);
    assert!(cluster.is_open());
}

#[test]
fn a_failure_on_a_node_is_told_and_waited_out() {
    let mut cluster = waiting();
    cluster.installed("a", 1);
    cluster.says("b", &[("web", NodeProfileState::Failed, 1)]);
    assert!(!cluster.is_open());
    assert_eq!(cluster.told, ["ProfileFailed"]);
    cluster.installed("b", 1);
    assert!(cluster.is_open());
}

#[test]
fn who_waits_for_longer_learns_of_it() {
    let mut cluster = waiting();
    cluster.now += PATIENCE;
    assert!(!cluster.is_open());
    assert_eq!(cluster.told, ["ProfileNotReady"]);
    // Longer than the same Event is held back for.
    cluster.now += Duration::from_mins(10);
    cluster.installed("a", 1);
    assert!(!cluster.is_open());
    assert_eq!(cluster.told.len(), 1, "once");
}

#[rstest]
#[case::deleted(|cluster: &mut Cluster| cluster.no_profile("web"), &["ProfileGone"])]
#[case::being_deleted(|cluster: &mut Cluster| cluster.profile("web", 2, |it| it.deleting = true), &["ProfileGone"])]
#[case::disabled(|cluster: &mut Cluster| cluster.profile("web", 2, |it| it.enabled = false), &["ProfileGone"])]
#[case::no_binding(|cluster: &mut Cluster| cluster.bind(None), &["GateOpened"])]
#[case::bind(|cluster: &mut Cluster| cluster.bind(Some(json!({ "whenNotReady": "Bind" }))), &["GateOpened"])]
#[case::another_image(|cluster: &mut Cluster| cluster.bind(Some(json!({ "image": "redis", "whenNotReady": "Gate" }))), &["GateOpened"])]
#[case::switched_off(|cluster: &mut Cluster| cluster.take(Told::Namespace("shop".into(), Some(Switches::default()))), &["GateOpened"])]
#[case::no_namespace(|cluster: &mut Cluster| cluster.take(Told::Namespace("shop".into(), None)), &["GateOpened"])]
fn a_gate_is_not_left_behind(#[case] happens: fn(&mut Cluster), #[case] told: &[&str]) {
    let mut cluster = waiting();
    happens(&mut cluster);
    assert_eq!(cluster.opened(), ["p"]);
    assert_eq!(cluster.told, told);
}

#[test]
fn a_profile_that_is_gone_holds_nobody_up_who_waits_for_another() {
    let mut cluster = Cluster::new();
    cluster.bind(Some(json!({ "whenNotReady": "Gate", "image": "*" })));
    let mut two = spec();
    let other =
        json!({ "name": "d", "image": "redis", "securityContext": under("operator/old.json") });
    two["containers"].as_array_mut().unwrap().push(other);
    cluster.profile("old", 1, |_| {});
    cluster.pod("p", &two);
    cluster.installed("a", 1);
    cluster.installed("b", 1);
    assert!(!cluster.is_open(), "a profile of another binding of before is waited for as well");
    cluster.no_profile("old");
    assert!(cluster.is_open());
}

#[rstest]
#[case::none(json!({ "name": "c", "image": "nginx" }))]
#[case::of_others(json!({ "name": "c", "image": "nginx", "securityContext": under("theirs.json") }))]
#[case::privileged(json!({ "name": "c", "image": "nginx", "securityContext": {
    "privileged": true,
    "seccompProfile": { "type": "Localhost", "localhostProfile": "operator/web.json" },
}}))]
#[case::recorded(json!({ "name": "c", "image": "nginx", "securityContext": under("operator/log-enricher-trace.json") }))]
#[case::another_image(json!({ "name": "c", "image": "redis", "securityContext": under("operator/web.json") }))]
fn a_gate_that_was_never_meant_opens_at_once(#[case] container: Value) {
    let mut cluster = Cluster::new();
    cluster.profile("log-enricher-trace", 1, |_| {});
    let mut spec = spec();
    spec["containers"] = json!([container]);
    cluster.pod("p", &spec);
    assert_eq!(cluster.opened(), ["p"]);
    assert_eq!(cluster.told, ["GateOpened"]);
}

#[test]
fn two_kinds_of_selinux_profile_are_told_apart_by_the_binding() {
    let mut cluster = Cluster::new();
    let reference = json!({ "kind": "RawSelinuxProfile", "name": "web" });
    cluster.bind(Some(json!({ "whenNotReady": "Gate", "profileRef": reference })));
    let mut spec = spec();
    let context = json!({ "seLinuxOptions": { "type": "web.process" } });
    spec["containers"] = json!([{ "name": "c", "image": "nginx", "securityContext": context }]);
    cluster.pod("p", &spec);
    let key = |kind| ProfileKey::new(kind, "web");
    let there = Profile { generation: 1, enabled: true, ..Profile::default() };
    let raw = Told::Profile(key(ProfileKind::RawSelinuxProfile), Some(Box::new(there)));
    cluster.take(raw);
    assert!(!cluster.is_open());
    for node in ["a", "b"] {
        let report = NodeProfile {
            kind: ProfileKind::RawSelinuxProfile,
            name: "web".to_owned(),
            state: NodeProfileState::Installed,
            observed_generation: Some(1),
            message: None,
        };
        cluster.take(Told::Report(node.into(), Some(vec![report])));
    }
    assert!(cluster.is_open());
}

#[test]
fn another_pod_of_the_same_name_is_another_pod() {
    let mut cluster = waiting();
    cluster.take(Told::Pod(Named::new("shop", "p"), None));
    assert!(!cluster.is_open());
    cluster.now += PATIENCE;
    cluster.pod("p", &spec());
    assert!(!cluster.is_open());
    assert!(cluster.told.is_empty(), "it has not waited yet: {:?}", cluster.told);
}
