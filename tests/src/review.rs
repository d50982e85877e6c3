//! An `AdmissionReview` as the API server sends it, and what came back.

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::object::text;

/// The path that does binding and recording.
pub const BOTH: &str = "/mutate-v1-pod";
/// The path that only records.
pub const RECORDING_ONLY: &str = "/mutate-v1-pod-recording";

/// A question: may this pod be created?
#[derive(Debug, Clone, Copy)]
pub struct Review<'a> {
    pub namespace: &'a str,
    pub pod: &'a Value,
    pub dry_run: bool,
}

impl<'a> Review<'a> {
    pub fn of(namespace: &'a str, pod: &'a Value) -> Self {
        Self { namespace, pod, dry_run: false }
    }

    /// The request's body.
    pub fn body(&self) -> Value {
        let Self { namespace, pod, dry_run } = self;
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": { "group": "", "version": "v1", "kind": "Pod" },
                "resource": { "group": "", "version": "v1", "resource": "pods" },
                "requestKind": { "group": "", "version": "v1", "kind": "Pod" },
                "requestResource": { "group": "", "version": "v1", "resource": "pods" },
                "name": pod.pointer("/metadata/name"),
                "namespace": namespace,
                "operation": "CREATE",
                "userInfo": { "username": "admin", "groups": ["system:authenticated"] },
                "object": pod,
                "oldObject": null,
                "dryRun": dry_run,
                "options": { "apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions" },
            },
        })
    }
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub allowed: bool,
    /// Why not.
    pub message: String,
    pub warnings: Vec<String>,
    /// A JSON Patch; null when nothing is to change.
    pub patch: Value,
    pub audit_annotations: Value,
}

impl Verdict {
    pub fn read(body: &Value) -> Result<Self> {
        let response = body.get("response").with_context(|| format!("no response in {body}"))?;
        let patch = match response.get("patch").and_then(Value::as_str) {
            Some(patch) => serde_json::from_slice(&BASE64_STANDARD.decode(patch)?)?,
            None => Value::Null,
        };
        let warnings = response["warnings"].as_array();
        Ok(Self {
            allowed: response["allowed"].as_bool().context("neither allowed nor denied")?,
            message: text(response, "/status/message").unwrap_or_default().to_owned(),
            warnings: warnings
                .into_iter()
                .flatten()
                .filter_map(|warning| Some(warning.as_str()?.to_owned()))
                .collect(),
            patch,
            audit_annotations: response["auditAnnotations"].clone(),
        })
    }

    /// The pod after the patch.
    pub fn applied_to(&self, pod: &Value) -> Result<Value> {
        let mut patched = pod.clone();
        if !self.patch.is_null() {
            let patch: json_patch::Patch = serde_json::from_value(self.patch.clone())?;
            json_patch::patch(&mut patched, &patch)?;
        }
        Ok(patched)
    }
}
