//! A cluster in memory around the real duties: what they write is there afterwards, and is told again.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::core::ObjectMeta;
use profile::kinds::{ProfileBinding, ProfileKind, ProfileRecording};
use proptest::{prelude::*, sample::subsequence};
use serde_json::{Value, json};

use crate::controller::{
    core::Core,
    key::{Named, ProfileKey},
    outbox::{Call, News, Order, Outcome},
    part,
    pod::Pod,
    profile::Profile,
    told::{Binding, Kind, Node, Recording, Told},
};

pub(super) const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// Kind, namespace and name.
type Id = (String, String, String);

/// All objects, and the controller that watches them.
pub(super) struct Cluster {
    objects: BTreeMap<Id, Value>,
    version: u64,
    pub(super) core: Core,
    pub(super) now: Instant,
    /// All that was written, and when.
    pub(super) writes: Vec<(Instant, Order)>,
    pub(super) news: Vec<News>,
}

impl Cluster {
    /// One without any objects.
    pub(super) fn new() -> Self {
        let core = Core::new(part::all());
        let (objects, writes, news) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut cluster = Self { objects, version: 0, core, now: Instant::now(), writes, news };
        cluster.list();
        cluster
    }

    /// Another controller comes to the same cluster.
    pub(super) fn restart(&mut self) {
        self.core = Core::new(part::all());
        self.list();
        self.writes.clear();
        self.news.clear();
    }

    fn list(&mut self) {
        for object in self.objects.values() {
            self.core.take(told(object, true));
        }
        for kind in Kind::ALL {
            let of_kind = self.objects.keys().filter(|(of, ..)| of == kind.as_str());
            self.core.take(match kind {
                Kind::Pod | Kind::Binding | Kind::Recording => Told::AllNamed(
                    kind,
                    of_kind.map(|(_, namespace, name)| Named::new(namespace, name)).collect(),
                ),
                Kind::Node | Kind::Report | Kind::Namespace | Kind::Profile(_) => {
                    Told::AllOfCluster(kind, of_kind.map(|(.., name)| Arc::from(&**name)).collect())
                }
            });
        }
    }

    /// An object is there, or is changed.
    pub(super) fn put(&mut self, mut object: Value) {
        self.version += 1;
        let before = self.objects.get(&id(&object));
        let uid = before.and_then(|before| before.pointer("/metadata/uid").cloned());
        object["metadata"]["uid"] = uid.unwrap_or_else(|| json!(format!("uid-{}", self.version)));
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        for field in ["/status", "/metadata/finalizers", "/metadata/deletionTimestamp"] {
            let kept = before.and_then(|before| before.pointer(field)).cloned();
            if let (Some(kept), None) = (kept, object.pointer(field)) {
                let (parent, name) = field.rsplit_once('/').unwrap();
                object.pointer_mut(parent).unwrap()[name] = kept;
            }
        }
        if object["metadata"].get("generation").is_none() {
            object["metadata"]["generation"] = json!(1);
        }
        self.core.take(told(&object, true));
        self.objects.insert(id(&object), object);
    }

    fn put_all(&mut self, objects: Vec<Value>) {
        for object in objects {
            self.put(object);
        }
    }

    /// Somebody deletes an object; it stays while a finalizer is on it.
    pub(super) fn delete(&mut self, kind: &str, namespace: &str, name: &str) {
        let id = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = self.objects.remove(&id).unwrap();
        let held = object.pointer("/metadata/finalizers").and_then(Value::as_array);
        if held.is_some_and(|held| !held.is_empty()) {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            self.put(object);
        } else {
            self.core.take(told(&object, false));
        }
    }

    /// Lets time pass, with a leader that writes.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.core.step(self.now);
            while let Some(order) = self.core.outbox.next(self.now) {
                self.write(&order);
                self.core.outbox.done(&order.object, Outcome::Written, self.now);
                self.writes.push((self.now, order));
            }
            while let Some(news) = self.core.outbox.next_news() {
                self.news.push(news);
            }
            self.now += TICK;
        }
    }

    pub(super) fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// What the status of an object says at a pointer.
    pub(super) fn status(&self, kind: &str, namespace: &str, name: &str, at: &str) -> Value {
        let object = self.object(kind, namespace, name).unwrap();
        object.pointer(&format!("/status{at}")).cloned().unwrap_or_default()
    }

    fn write(&mut self, order: &Order) {
        let object = &order.object;
        let id = (object.kind.to_owned(), object.namespace.to_string(), object.name.to_string());
        let mut there = self.objects.get(&id).cloned().unwrap();
        let (Call::Apply(body)
        | Call::ApplyStatus(body)
        | Call::Merge(body)
        | Call::MergeStatus(body)
        | Call::Strategic(body)) = &order.call;
        assert_eq!(body["metadata"]["uid"], there["metadata"]["uid"], "another object is meant");
        match &order.call {
            Call::Apply(body) => {
                let finalizers = body.pointer("/metadata/finalizers").cloned();
                there["metadata"]["finalizers"] = finalizers.unwrap_or_else(|| json!([]));
            }
            // No pod waits here.
            Call::Strategic(_) => unreachable!(),
            Call::Merge(body) | Call::MergeStatus(body) => {
                let (seen, now) =
                    (&body["metadata"]["resourceVersion"], &there["metadata"]["resourceVersion"]);
                assert_eq!(seen, now, "somebody else has written meanwhile");
                json_patch::merge(&mut there, body);
            }
            Call::ApplyStatus(body) => {
                for (field, value) in body["status"].as_object().unwrap() {
                    there["status"][field] = value.clone();
                }
                let conditions =
                    there.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
                for condition in conditions.into_iter().flatten() {
                    if condition["lastTransitionTime"].is_null() {
                        condition["lastTransitionTime"] = json!("2026-01-01T00:00:00Z");
                    }
                }
            }
        }
        let metadata = &there["metadata"];
        let held = metadata["finalizers"].as_array().is_some_and(|held| !held.is_empty());
        if metadata.get("deletionTimestamp").is_some() && !held {
            self.objects.remove(&id);
            self.core.take(told(&there, false));
        } else {
            self.put(there);
        }
    }
}

fn id(object: &Value) -> Id {
    let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// An object as the watches tell it.
fn told(object: &Value, there: bool) -> Told {
    fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
        serde_json::from_value(value.clone()).unwrap()
    }
    let (kind, namespace, name) = id(object);
    let metadata: ObjectMeta = read(&object["metadata"]);
    let named = Named::new(&namespace, &name);
    let spec = object.get("spec").cloned().unwrap_or_else(|| json!({}));
    let uid = || metadata.uid.as_deref().unwrap_or_default().into();
    match &*kind {
        "Pod" => {
            let pod = || Pod::of(&metadata, &read(&spec), Some(&read(&object["status"])));
            Told::Pod(named, there.then(|| Box::new(pod())))
        }
        "Node" => {
            let ready = object.pointer("/status/ready") == Some(&json!(true));
            Told::Node(name.into(), there.then(|| Node { ready, ..Node::default() }))
        }
        "NodeSecurityProfiles" => {
            Told::Report(name.into(), there.then(|| read(&object["status"]["profiles"])))
        }
        "ProfileBinding" => {
            let binding: ProfileBinding = read(object);
            let rule = profile::bindings::Binding::new(&binding).ok().map(Arc::new);
            let status = binding.status.unwrap_or_default();
            Told::Binding(named, there.then(|| Box::new(Binding { uid: uid(), rule, status })))
        }
        "ProfileRecording" => {
            let recording: ProfileRecording = read(object);
            let version = metadata.resource_version.as_deref().unwrap_or_default().into();
            let status = recording.status.unwrap_or_default();
            Told::Recording(
                named,
                there.then(|| Box::new(Recording { uid: uid(), version, status })),
            )
        }
        kind => {
            let kind: ProfileKind = kind.parse().unwrap();
            let status = object.get("status").map(read);
            let profile = || Profile::of(kind, &metadata, &read(&spec), status.as_ref());
            Told::Profile(ProfileKey::new(kind, &name), there.then(|| Box::new(profile())))
        }
    }
}

fn ours(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1", "kind": kind,
        "metadata": { "namespace": namespace, "name": name }, "spec": spec,
    })
}

pub(super) fn profile(name: &str) -> Value {
    ours("SeccompProfile", "", name, &json!({ "defaultAction": "SCMP_ACT_LOG" }))
}

pub(super) fn building_on(name: &str, base: &str) -> Value {
    ours(
        "SeccompProfile",
        "",
        name,
        &json!({ "defaultAction": "SCMP_ACT_LOG", "baseProfileName": base }),
    )
}

pub(super) fn binding(namespace: &str, name: &str, profile: &str, image: &str) -> Value {
    let reference = json!({ "kind": "SeccompProfile", "name": profile });
    ours("ProfileBinding", namespace, name, &json!({ "profileRef": reference, "image": image }))
}

/// A pod with one container under a seccomp profile.
pub(super) fn pod(namespace: &str, name: &str, image: &str, profile: &str, phase: &str) -> Value {
    let local = format!("operator/{profile}.json");
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "namespace": namespace, "name": name },
        "spec": { "containers": [{ "name": "main", "image": image, "securityContext": {
            "seccompProfile": { "type": "Localhost", "localhostProfile": local },
        }}]},
        "status": { "phase": phase },
    })
}

pub(super) fn node(name: &str, ready: bool) -> Value {
    json!({ "kind": "Node", "metadata": { "name": name }, "status": { "ready": ready } })
}

/// What a node says: name of a profile, state, generation.
pub(super) fn report(node: &str, says: &[(&str, &str, Option<i64>)]) -> Value {
    let profiles = says.iter().map(|(name, state, generation)| {
        let message = (*state == "Failed").then_some("no room");
        json!({
            "kind": "SeccompProfile", "name": name, "state": state,
            "observedGeneration": generation, "message": message,
        })
    });
    let profiles: Vec<_> = profiles.collect();
    json!({
        "kind": "NodeSecurityProfiles", "metadata": { "name": node },
        "status": { "installed": 0, "pending": 0, "failed": 0, "profiles": profiles },
    })
}

fn busy() -> Vec<Value> {
    let mut objects = vec![
        profile("a"),
        building_on("b", "a"),
        profile("idle"),
        binding("shop", "by-tag", "a", "nginx:1.27"),
        binding("shop", "any", "b", "*"),
        binding("bank", "any", "none", "*"),
        pod("shop", "p1", "nginx:1.27", "a", "Running"),
        pod("shop", "p2", "redis:7", "b", "Pending"),
        pod("shop", "p3", "redis:7", "b", "Succeeded"),
        pod("bank", "p1", "redis:7", "b", "Running"),
        node("n1", true),
        node("n2", true),
        node("n3", false),
    ];
    for name in ["n1", "n2", "n3"] {
        let says = [("a", "Installed", Some(1)), ("b", "Pending", None), ("idle", "Failed", None)];
        objects.push(report(name, &says));
    }
    objects
}

#[test]
fn after_a_restart_nothing_is_written_and_nobody_is_told_anything() {
    let mut cluster = Cluster::new();
    cluster.put_all(busy());
    cluster.run(SECOND * 60);
    assert!(!cluster.writes.is_empty() && !cluster.news.is_empty());
    let written = cluster.writes.len();
    cluster.run(SECOND * 600);
    assert_eq!(cluster.writes.len(), written, "what is written is written once");
    cluster.restart();
    cluster.run(SECOND * 600);
    assert_eq!((&*cluster.writes, &*cluster.news), (&[][..], &[][..]));
}

#[test]
fn until_all_is_known_nothing_is_taken_for_gone() {
    let mut cluster = Cluster::new();
    cluster.put_all(busy());
    cluster.run(SECOND * 60);
    let mut core = Core::new(part::all());
    for object in cluster.objects.values().filter(|object| object["kind"] != "Pod") {
        core.take(told(object, true));
    }
    core.step(cluster.now);
    assert_eq!(core.outbox.next(cluster.now + SECOND), None);
}

#[test]
fn no_object_is_written_twice_within_a_second() {
    let mut cluster = Cluster::new();
    cluster.put_all(busy());
    for round in 0..50 {
        let (namespace, name) = ("shop", format!("churn-{round}"));
        cluster.put(pod(namespace, &name, "nginx:1.27", "a", "Running"));
        cluster.run(SECOND / 5);
        cluster.delete("Pod", namespace, &name);
        cluster.run(SECOND / 5);
    }
    let mut last = BTreeMap::new();
    for (at, order) in &cluster.writes {
        if let Some(before) = last.insert(order.object.clone(), *at) {
            assert!(*at - before >= SECOND, "{:?} within {:?}", order.object, *at - before);
        }
    }
    let of = |kind| cluster.writes.iter().filter(|(_, order)| order.object.kind == kind).count();
    assert!((10..=22).contains(&of("ProfileBinding")), "{} in 20 s", of("ProfileBinding"));
}

#[test]
fn who_undoes_what_is_written_again_and_again_is_answered_ever_more_seldom() {
    let mut cluster = Cluster::new();
    cluster.put(binding("shop", "any", "a", "*"));
    cluster.run(SECOND);
    let written = cluster.writes.len();
    // The API server takes it and changes it.
    for _ in 0..6000 {
        let mut object = cluster.object("ProfileBinding", "shop", "any").unwrap().clone();
        if object["status"]["workloadCount"] != 7 {
            object["status"]["workloadCount"] = json!(7);
            cluster.core.take(told(&object, true));
            cluster.objects.insert(id(&object), object);
        }
        cluster.core.step(cluster.now);
        while let Some(order) = cluster.core.outbox.next(cluster.now) {
            cluster.core.outbox.done(&order.object, Outcome::Written, cluster.now);
            cluster.writes.push((cluster.now, order));
        }
        cluster.now += TICK;
    }
    let more = cluster.writes.len() - written;
    assert!((2..=8).contains(&more), "{more} writes in ten minutes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_order_of_news_makes_no_difference_in_the_end(
        order in Just(busy()).prop_shuffle(),
        early in subsequence(busy(), 0..8),
        pauses in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut straight = Cluster::new();
        straight.put_all(busy());
        straight.run(SECOND * 120);
        // Some objects are there before, go, and come again.
        let mut winding = Cluster::new();
        winding.put_all(early.clone());
        winding.run(SECOND);
        for object in &early {
            let (kind, namespace, name) = id(object);
            winding.delete(&kind, &namespace, &name);
        }
        // Let go of what was in use.
        winding.run(SECOND * 5);
        for (object, pause) in order.into_iter().zip(pauses) {
            winding.put(object);
            if pause {
                winding.run(SECOND / 2);
            }
        }
        winding.run(SECOND * 120);
        prop_assert_eq!(meaning(&winding), meaning(&straight));
    }
}

/// All objects without what differs from one run to another.
fn meaning(cluster: &Cluster) -> BTreeMap<&Id, Value> {
    let objects = cluster.objects.iter().map(|(id, object)| {
        let mut object = object.clone();
        for field in ["uid", "resourceVersion"] {
            object["metadata"].as_object_mut().unwrap().remove(field);
        }
        (id, object)
    });
    objects.collect()
}
