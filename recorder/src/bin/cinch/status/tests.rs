//! Objects as a cluster has them, and what a status says of them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use kube::api::Object;
use profile::kinds::ProfileKind;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{content::Status, gather::Gather, look, text};
use crate::{
    cluster::{
        Cluster,
        tests::{answering, listed, refused},
    },
    profile_head::{Head, HeadSpec, HeadStatus},
};

fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn profile(name: &str, generation: i64, status: &Value) -> Head {
    let object: Object<HeadSpec, HeadStatus> = typed(json!({
        "metadata": { "name": name, "generation": generation, "creationTimestamp": "2026-11-28T02:00:00Z" },
        "spec": { "defaultAction": "SCMP_ACT_ERRNO" },
        "status": status,
    }));
    Head::of(ProfileKind::SeccompProfile, object)
}

fn node(gather: &mut Gather, name: &str, ready: &str) {
    gather.node(&typed(json!({
        "metadata": { "name": name, "creationTimestamp": "2026-11-30T01:00:00Z" },
        "status": { "conditions": [{ "type": "Ready", "status": ready }] },
    })));
}

/// What a node says of `web`.
fn said(gather: &mut Gather, node: &str, state: &str, generation: i64, message: Option<&str>) {
    let count = |which| i32::from(state == which);
    gather.said(&typed(json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1", "kind": "NodeSecurityProfiles",
        "metadata": { "name": node },
        "status": {
            "installed": count("Installed"), "pending": count("Pending"), "failed": count("Failed"),
            "profiles": [{ "kind": "SeccompProfile", "name": "web", "state": state,
                "observedGeneration": generation, "message": message }],
        },
    })));
}

fn binding(gather: &mut Gather, profile: &str) {
    gather.binding(&typed(json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1", "kind": "ProfileBinding",
        "metadata": { "name": "b", "namespace": "shop" },
        "spec": { "profileRef": { "kind": "SeccompProfile", "name": profile }, "image": "nginx" },
        "status": { "activeWorkloads": ["shop/a"], "workloadCount": 250 },
    })));
}

fn of(fill: impl FnOnce(&mut Gather)) -> Status {
    let mut gather = Gather::default();
    fill(&mut gather);
    gather.status()
}

#[test]
fn all_is_well_when_each_node_has_each_profile_and_each_binding_its_profile() {
    let status = of(|gather| {
        gather.profile(profile("web", 3, &json!({})));
        for name in ["node-1", "node-2"] {
            node(gather, name, "True");
            said(gather, name, "Installed", 3, None);
        }
        binding(gather, "web");
    });
    assert!(status.ready && status.failures.is_empty() && status.notes.is_empty(), "{status:?}");
    let web = &status.profiles[0];
    assert_eq!((&*web.status, web.installed, web.desired), ("Installed", 2, 2));
    assert_eq!((status.bindings[0].workloads, &status.bindings[0].problem), (250, &None));
    let text = text::text(&status, "2026-11-30T02:00:00Z".parse::<Timestamp>().unwrap());
    let expected = "\
NODE    READY  INSTALLED  PENDING  FAILED  AGE
node-1  yes    1          0        0       60m
node-2  yes    1          0        0       60m

PROFILE  KIND            STATUS     NODES  FAILED  AGE  REASON
web      SeccompProfile  Installed  2/2    0       2d   -

BINDING  KIND            PROFILE  IMAGE  WORKLOADS  PROBLEM
shop/b   SeccompProfile  web      nginx  250        -

all is as it should be
";
    assert_eq!(text, expected);
}

#[test]
fn a_node_that_failed_is_named_with_its_reason() {
    let status = of(|gather| {
        gather.profile(profile("web", 1, &json!({})));
        said(gather, "node-1", "Installed", 1, None);
        said(gather, "node-2", "Failed", 1, Some("no space left on device"));
    });
    assert!(!status.ready);
    assert_eq!(status.failures, ["SeccompProfile web failed: node-2: no space left on device"]);
}

#[test]
fn a_node_that_has_an_older_form_does_not_have_it_yet() {
    let status = of(|gather| {
        gather.profile(profile("web", 4, &json!({})));
        said(gather, "node-1", "Installed", 3, None);
        said(gather, "node-2", "Installed", 4, None);
    });
    assert_eq!(status.pending, ["SeccompProfile web is on 1 of 2 nodes"]);
    assert!(status.failures.is_empty() && !status.ready);
}

#[test]
fn what_the_controller_says_comes_first() {
    let nodes = json!({ "desired": 5, "installed": 4, "failed": 1 });
    let status = of(|gather| {
        gather.profile(profile("web", 1, &json!({ "status": "InProgress", "nodes": nodes })));
    });
    assert_eq!(status.failures, ["SeccompProfile web failed on 1 of 5 nodes"]);
    let waits = json!({ "status": "Pending", "conditions": [
        { "type": "Ready", "status": "False", "message": "no node has it" } ] });
    let status = of(|gather| gather.profile(profile("web", 1, &waits)));
    assert_eq!(status.profiles[0].reason.as_deref(), Some("no node has it"));
    assert_eq!(status.pending, ["SeccompProfile web is on 0 of 0 nodes"]);
}

#[test]
fn a_binding_without_its_profile_is_a_failure() {
    let status = of(|gather| binding(gather, "gone"));
    assert_eq!(
        status.failures,
        ["ProfileBinding shop/b has no effect: there is no SeccompProfile gone"]
    );
}

#[test]
fn profiles_that_are_switched_off_or_not_whole_are_waited_for_by_nobody() {
    let status = of(|gather| {
        gather.profile(profile("off", 1, &json!({ "status": "Disabled" })));
        gather.profile(profile("part", 1, &json!({ "status": "Partial" })));
        said(gather, "node-1", "Pending", 1, None);
    });
    assert!(status.ready, "{status:?}");
}

#[test]
fn nodes_that_say_nothing_or_are_not_ready_or_gone_are_noted() {
    let status = of(|gather| {
        node(gather, "a", "True");
        node(gather, "b", "False");
        said(gather, "b", "Installed", 1, None);
        said(gather, "c", "Installed", 1, None);
    });
    assert_eq!(
        status.notes,
        [
            "no installer has said anything of 1 of the nodes",
            "node b is not ready: what it says may be old",
            "node c is gone, and what it said is still there",
        ]
    );
    // Without the right to list nodes nothing is said of that.
    let status = of(|gather| said(gather, "c", "Installed", 1, None));
    assert!(status.notes.is_empty(), "{:?}", status.notes);
}

/// A cluster in which a profile is installed from the third look on.
fn third_time() -> Cluster {
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    let version = "security-profiles-operator.x-k8s.io/v1";
    let (cluster, _) = answering(move |at| {
        let path = at.split('?').next().unwrap_or_default();
        let items = match path.rsplit('/').next() {
            // Whoever may not see nodes is told of the rest.
            Some("nodes") => return (403, refused(403, None)),
            Some("seccompprofiles") => {
                let done = LOOKS.fetch_add(1, Ordering::Relaxed) >= 2;
                let status = json!({ "status": if done { "Installed" } else { "Pending" } });
                vec![json!({ "metadata": { "name": "web" }, "spec": {}, "status": status })]
            }
            _ => Vec::new(),
        };
        (200, listed(version, "Any", &items, ""))
    });
    cluster
}

#[tokio::test]
async fn one_who_waits_is_told_when_all_is_there_and_one_who_does_not_at_once() {
    let cluster = third_time();
    let at_once = look(&cluster, &[], None).await.unwrap();
    assert!(!at_once.ready && at_once.pending.len() == 1, "{at_once:?}");
    let waited = look(&cluster, &[], Some(Duration::from_mins(5))).await.unwrap();
    assert!(waited.ready, "{waited:?}");
    assert_eq!(
        waited.notes,
        [
            "not allowed to list nodes: whether they are ready is not known, nor which of them say nothing"
        ]
    );
}
