//! What must hold of an answer.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use profile::snapshot::Snapshot;
use serde_json::{Value, json};
use webhook::answer::{Answer, Path, Verdict, answer};

use crate::{FixedSeal, patch};

const WARNINGS_MAX: usize = 13;
const WARNING_MAX: usize = 256;
const AUDIT_MAX: usize = 2048;
const MESSAGE_MAX: usize = 4096;

/// The path is chosen by the length, so that the body is the review and nothing else.
pub fn path_for(body: &[u8]) -> Path {
    Path::ALL[body.len() % Path::ALL.len()]
}

/// Panics when an answer is not what it should be.
pub fn check(body: &[u8], path: Path, snapshot: &Snapshot, answered: &Answer) {
    let out: Value = serde_json::from_slice(&answered.body).expect("the answer is JSON");
    assert_eq!(out["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(out["kind"], "AdmissionReview");
    let response = &out["response"];
    bounded(response);
    let allowed = response["allowed"].as_bool().expect("allowed or denied");
    assert_eq!(allowed, answered.verdict != Verdict::Denied);
    assert_eq!(response["patch"].is_string(), answered.verdict == Verdict::Patched);
    assert_eq!(response["patchType"] == "JSONPatch", answered.verdict == Verdict::Patched);

    // What is nested too deep for a tree of values was skipped unread by the parser.
    let Ok(mut review) = serde_json::from_slice::<Value>(body) else { return };
    assert_eq!(response["uid"], review["request"]["uid"]);
    let Some(patch) = response["patch"].as_str() else { return };
    let patch = BASE64_STANDARD.decode(patch).expect("base64");
    let patch: Value = serde_json::from_slice(&patch).expect("the patch is JSON");
    let pod = &review["request"]["object"];
    let patched = patch::apply(pod, &patch);

    // The API server asks again when another webhook has changed the pod: nothing more may come of it.
    review["request"]["object"] = patched;
    let again = review.to_string();
    let second = answer(again.as_bytes(), path, snapshot, &FixedSeal)
        .expect("a patched pod can be reviewed");
    assert_eq!(second.verdict, Verdict::Unchanged, "patched twice: {patch}");
}

fn bounded(response: &Value) {
    let warnings = response["warnings"].as_array();
    assert!(warnings.is_none_or(|warnings| warnings.len() <= WARNINGS_MAX));
    for warning in warnings.into_iter().flatten() {
        text(warning, WARNING_MAX);
    }
    for (_, value) in response["auditAnnotations"].as_object().into_iter().flatten() {
        text(value, AUDIT_MAX);
    }
    let status = &response["status"];
    if *status != json!(null) {
        text(&status["message"], MESSAGE_MAX);
    }
}

/// What goes into headers and log lines.
fn text(value: &Value, max: usize) {
    let text = value.as_str().expect("a text");
    assert!(text.len() <= max && !text.contains(char::is_control), "{text:?}");
}
