//! Whole answers: from the bytes of a review to the pod that comes out.

use std::path::Path as FilePath;

use base64::Engine as _;
use profile::{kinds::ProfileKind, snapshot::Readiness};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    seal::HmacSeal,
    source::folder::Folder,
    world::{Item, Kind},
};

const MANIFESTS: &str = r"
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {spo.x-k8s.io/enable-binding: '', spo.x-k8s.io/enable-recording: ''}}
---
apiVersion: v1
kind: Namespace
metadata: {name: closed, labels: {spo.x-k8s.io/enable-binding: 'false'}}
---
apiVersion: security-profiles-operator.x-k8s.io/v1beta1
kind: SeccompProfile
metadata: {name: web}
spec: {defaultAction: SCMP_ACT_ERRNO}
---
apiVersion: security-profiles-operator.x-k8s.io/v1alpha1
kind: AppArmorProfile
metadata: {name: all}
spec: {}
---
apiVersion: security-profiles-operator.x-k8s.io/v1alpha1
kind: ProfileBinding
metadata: {name: web, namespace: shop}
spec: {profileRef: {kind: SeccompProfile, name: web}, image: nginx}
---
apiVersion: security-profiles-operator.x-k8s.io/v1alpha1
kind: ProfileBinding
metadata: {name: strict, namespace: shop}
spec: {profileRef: {kind: SeccompProfile, name: gone}, image: strict, whenMissing: Deny}
---
apiVersion: security-profiles-operator.x-k8s.io/v1alpha1
kind: ProfileBinding
metadata: {name: all, namespace: shop}
spec: {profileRef: {kind: AppArmorProfile, name: all}, image: '*'}
---
apiVersion: security-profiles-operator.x-k8s.io/v1alpha1
kind: ProfileBinding
metadata: {name: elsewhere, namespace: closed}
spec: {profileRef: {kind: AppArmorProfile, name: all}, image: '*'}
---
apiVersion: security-profiles-operator.x-k8s.io/v1alpha1
kind: ProfileRecording
metadata: {name: rec, namespace: shop}
spec: {kind: SeccompProfile, podSelector: {matchLabels: {record: me}}}
";

fn snapshot() -> Arc<Snapshot> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.yaml"), MANIFESTS).unwrap();
    let (mut world, problems) = Folder::new(FilePath::to_owned(folder.path())).read();
    assert_eq!(problems, []);
    world.snapshot()
}

fn review(namespace: &str, pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "alice"},
            "object": pod,
            "oldObject": null,
            "dryRun": false,
        },
    })
}

fn pod(image: &str) -> Value {
    json!({
        "metadata": {"generateName": "p-", "labels": {"record": "me"}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    })
}

fn response(path: Path, review: &Value) -> Value {
    let answer =
        answer(review.to_string().as_bytes(), path, &snapshot(), &HmacSeal::alone()).unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&body["apiVersion"], &body["kind"]),
        (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
    );
    assert_eq!(body["response"]["uid"], "u-1");
    body["response"].clone()
}

fn after(path: Path, review: &Value) -> Value {
    let response = response(path, review);
    assert_eq!(response["allowed"], true);
    let mut pod = review["request"]["object"].clone();
    if let Some(patch) = response["patch"].as_str() {
        assert_eq!(response["patchType"], "JSONPatch");
        let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
        let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
        json_patch::patch(&mut pod, &patch).unwrap();
    }
    pod
}

#[test]
fn two_mechanisms_from_two_bindings_in_one_answer() {
    let pod = after(Path::Binding, &review("shop", &pod("nginx")));
    assert_eq!(
        pod["spec"]["containers"][0]["securityContext"],
        json!({
            "seccompProfile": {"type": "Localhost", "localhostProfile": "operator/web.json"},
            "appArmorProfile": {"type": "Localhost", "localhostProfile": "all"},
        })
    );
    assert_eq!(pod["metadata"].get("annotations"), None, "recording is another path's work");
}

#[test]
fn one_round_trip_binds_and_records() {
    let pod = after(Path::Both, &review("shop", &pod("nginx")));
    let mark = pod["metadata"]["annotations"]["io.containers.trace-bpf/c"].as_str().unwrap();
    assert!(mark.starts_with("rec_c_"), "{mark}");
    assert!(pod["spec"]["containers"][0]["securityContext"]["seccompProfile"].is_object());
}

#[test]
fn a_second_review_of_what_came_out_changes_nothing() {
    let (seal, snapshot) = (HmacSeal::alone(), snapshot());
    let mut review = review("shop", &pod("nginx"));
    for expected in [Verdict::Patched, Verdict::Unchanged] {
        let answer = answer(review.to_string().as_bytes(), Path::Both, &snapshot, &seal).unwrap();
        assert_eq!(answer.verdict, expected);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        if let Some(patch) = body["response"]["patch"].as_str() {
            let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
            let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
            json_patch::patch(&mut review["request"]["object"], &patch).unwrap();
        }
    }
}

#[test]
fn a_pod_that_waits_is_counted_once_and_told_of_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = MANIFESTS.replace("image: nginx}", "image: nginx, whenNotReady: Gate}");
    std::fs::write(folder.path().join("all.yaml"), manifests).unwrap();
    let (mut world, _) = Folder::new(FilePath::to_owned(folder.path())).read();
    let profile = Kind::Profile(ProfileKind::SeccompProfile);
    let not_yet = Item::Profile(Readiness::NotYet("Pending"));
    world.apply(profile, ("".into(), "web".into()), not_yet);
    let (seal, snapshot) = (HmacSeal::alone(), world.snapshot());
    let mut review = review("shop", &pod("nginx"));
    for (verdict, gated) in [(Verdict::Patched, true), (Verdict::Unchanged, false)] {
        let answer = answer(review.to_string().as_bytes(), Path::Both, &snapshot, &seal).unwrap();
        assert_eq!((answer.verdict, answer.gated), (verdict, gated));
        assert!(answer.reasons.contains(&"gated"));
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        insta::allow_duplicates! {
            insta::assert_yaml_snapshot!(body["response"]["warnings"], @r#"- "cinch: container c: SeccompProfile web is not installed yet (status Pending): the pod is scheduled when it is, which spo.x-k8s.io/profile-not-ready waits for""#);
        }
        let told = &body["response"]["auditAnnotations"]["gated"];
        assert_eq!(told, "spo.x-k8s.io/profile-not-ready");
        if let Some(patch) = body["response"]["patch"].as_str() {
            let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
            let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
            json_patch::patch(&mut review["request"]["object"], &patch).unwrap();
        }
    }
}

#[test]
fn a_namespace_that_did_not_opt_in_is_left_alone_on_the_common_path() {
    assert_eq!(after(Path::Both, &review("closed", &pod("nginx"))), pod("nginx"));
}

#[test]
fn a_denial_has_a_reason_and_no_patch() {
    let response = response(Path::Both, &review("shop", &pod("strict")));
    insta::assert_yaml_snapshot!(response, @r#"
    allowed: false
    auditAnnotations:
      bound: "c: seccomp SeccompProfile/gone by strict (exact tag): missing; c: AppArmor AppArmorProfile/all by all (wildcard *): written"
      recorded: "c: io.containers.trace-bpf/c by rec"
    status:
      code: 403
      message: "cinch: container c: SeccompProfile gone does not exist, and ProfileBinding strict says whenMissing: Deny"
      reason: Forbidden
    uid: u-1
    "#);
}

#[rstest]
#[case::deployment("resource", json!({"group": "apps", "version": "v1", "resource": "deployments"}), "is not about pods")]
#[case::delete("operation", json!("DELETE"), "neither makes a pod")]
#[case::update("operation", json!("UPDATE"), "neither makes a pod")]
#[case::binding_subresource("subResource", json!("binding"), "neither makes a pod")]
#[case::no_object("object", json!(null), "has no object")]
fn what_is_not_ours_is_admitted_as_it_is(
    #[case] field: &str,
    #[case] value: Value,
    #[case] why: &str,
) {
    let mut review = review("shop", &pod("nginx"));
    review["request"][field] = value;
    let response = response(Path::Both, &review);
    assert_eq!((&response["allowed"], response.get("patch")), (&json!(true), None));
    assert!(response["warnings"][0].as_str().unwrap().contains(why), "{response}");
}

#[test]
fn an_ephemeral_container_is_bound_and_its_elders_are_not() {
    let mut with = pod("nginx");
    with["spec"]["ephemeralContainers"] =
        json!([{"name": "old", "image": "nginx"}, {"name": "new", "image": "nginx"}]);
    let mut review = review("shop", &with);
    review["request"]["operation"] = json!("UPDATE");
    review["request"]["subResource"] = json!("ephemeralcontainers");
    review["request"]["oldObject"] = json!({"spec": {"ephemeralContainers": [{"name": "old"}]}});
    let pod = after(Path::Both, &review);
    let contexts: Vec<_> = [0, 1]
        .map(|n| pod["spec"]["ephemeralContainers"][n]["securityContext"].is_object())
        .to_vec();
    assert_eq!(contexts, [false, true]);
    assert_eq!(pod["spec"]["containers"], with["spec"]["containers"]);
}

#[rstest]
#[case("", "the body is empty: an AdmissionReview of admission.k8s.io/v1 is needed")]
#[case(
    "{",
    "the body is no AdmissionReview of admission.k8s.io/v1: EOF while parsing an object at line 1 column 1"
)]
#[case(r#"{"kind": "Pod", "apiVersion": "v1"}"#, r#"kind is "Pod": an AdmissionReview is needed"#)]
#[case(
    r#"{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1"}"#,
    r#"apiVersion is "admission.k8s.io/v1beta1": only admission.k8s.io/v1 is served"#
)]
#[case(
    r#"{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}"#,
    "the review has no request"
)]
#[case(
    r#"{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {}}"#,
    "the request has no uid"
)]
fn says_what_is_wrong_with_a_body(#[case] body: &str, #[case] message: &str) {
    let error =
        answer(body.as_bytes(), Path::Both, &Snapshot::default(), &HmacSeal::alone()).unwrap_err();
    assert_eq!(daemon::error::chain(&error), message);
}
