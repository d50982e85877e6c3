//! An AdmissionReview: its request, borrowed from the bytes that came, and its response, written as bytes. Pure.

use std::str::Utf8Error;

use profile::{
    objects,
    pod::{Pod, Text, containers},
};
use serde::{Deserialize, Serialize};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// Hardly an answer is longer.
const ANSWER: usize = 1024;

/// A review, with only the fields that an answer needs.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
struct Review<'a, R> {
    #[serde(borrow, default)]
    api_version: Text<'a>,
    #[serde(borrow, default)]
    kind: Text<'a>,
    request: Option<R>,
}

/// What the API server asks. Its objects are pods, or anything where nobody looks at them.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Request<'a, P = Pod<'a>, O = OldPod<'a>> {
    #[serde(borrow, default)]
    pub uid: Text<'a>,
    #[serde(borrow, default)]
    pub resource: Resource<'a>,
    #[serde(borrow, default)]
    pub sub_resource: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub namespace: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub operation: Text<'a>,
    pub object: Option<P>,
    pub old_object: Option<O>,
}

/// What a request wants to do to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Create,
    AddEphemeral,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Resource<'a> {
    #[serde(borrow, default)]
    pub group: Text<'a>,
    #[serde(borrow, default)]
    pub resource: Text<'a>,
}

/// The pod before an update: which ephemeral containers it had.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct OldPod<'a> {
    #[serde(borrow, default)]
    spec: OldSpec<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
struct OldSpec<'a> {
    #[serde(borrow, default, deserialize_with = "containers")]
    ephemeral_containers: Option<Vec<Named<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(remote = "Self")]
struct Named<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
}

objects!(Review<R>, Request<P, O>, Resource, OldPod, OldSpec, Named);

/// Why a body is no review that can be answered.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    #[error("the body is empty: an AdmissionReview of {API_VERSION} is needed")]
    Empty,
    #[error("the body is not UTF-8")]
    NotUtf8(#[from] Utf8Error),
    #[error("the body is no AdmissionReview of {API_VERSION}")]
    NotJson(#[from] serde_json::Error),
    #[error("kind is {found:?}: an {KIND} is needed")]
    WrongKind { found: String },
    #[error("apiVersion is {found:?}: only {API_VERSION} is served")]
    WrongVersion { found: String },
    #[error("the review has no request")]
    NoRequest,
    #[error("the request has no uid")]
    NoUid,
}

impl<'a, P: Deserialize<'a>, O: Deserialize<'a>> Request<'a, P, O> {
    /// Parses a body.
    pub fn parse(body: &'a [u8]) -> Result<Self, ReviewError> {
        if body.is_empty() {
            return Err(ReviewError::Empty);
        }
        let review: Review<'a, Self> = serde_json::from_str(std::str::from_utf8(body)?)?;
        if *review.kind != *KIND {
            return Err(ReviewError::WrongKind { found: clip(&review.kind) });
        }
        if *review.api_version != *API_VERSION {
            return Err(ReviewError::WrongVersion { found: clip(&review.api_version) });
        }
        let request = review.request.ok_or(ReviewError::NoRequest)?;
        if request.uid.is_empty() { Err(ReviewError::NoUid) } else { Ok(request) }
    }

    /// What is to be done to a pod, or why there is nothing of ours to do.
    pub fn purpose(&self) -> Result<Purpose, &'static str> {
        if !self.resource.group.is_empty() || *self.resource.resource != *"pods" {
            return Err("is not about pods");
        }
        match (&*self.operation, self.sub_resource.as_deref().unwrap_or_default()) {
            ("CREATE", "") => Ok(Purpose::Create),
            ("UPDATE", "ephemeralcontainers") => Ok(Purpose::AddEphemeral),
            _ => Err("neither makes a pod nor adds ephemeral containers"),
        }
    }
}

impl OldPod<'_> {
    /// The names of its ephemeral containers.
    pub fn ephemeral_names(&self) -> Vec<&str> {
        self.spec.ephemeral_containers.iter().flatten().map(|c| &*c.name).collect()
    }
}

/// An error that is sent back must not grow with what was sent.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

/// What is answered.
#[derive(Debug, Default)]
pub struct Response<'a> {
    pub uid: &'a str,
    /// Why the pod must not be made.
    pub denied: Option<String>,
    /// A JSON Patch.
    pub patch: Option<Vec<u8>>,
    pub warnings: Vec<String>,
    pub audit_annotations: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Inner<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inner<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    audit_annotations: Pairs<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    reason: &'static str,
    message: &'a str,
}

/// Serialised as a map.
struct Pairs<'a>(&'a [(&'static str, String)]);

impl Pairs<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Response<'_> {
    /// The bytes to send.
    ///
    /// # Panics
    /// Never: there is nothing in it that JSON cannot hold.
    pub fn to_bytes(&self) -> Vec<u8> {
        use base64::Engine as _;
        let patch = self.patch.as_ref().filter(|_| self.denied.is_none());
        let envelope = Envelope {
            api_version: API_VERSION,
            kind: KIND,
            response: Inner {
                uid: self.uid,
                allowed: self.denied.is_none(),
                status: self.denied.as_deref().map(|message| Status {
                    code: 403,
                    reason: "Forbidden",
                    message,
                }),
                patch_type: patch.map(|_| "JSONPatch"),
                patch: patch.map(|patch| base64::engine::general_purpose::STANDARD.encode(patch)),
                warnings: &self.warnings,
                audit_annotations: Pairs(&self.audit_annotations),
            },
        };
        let mut bytes = Vec::with_capacity(ANSWER);
        serde_json::to_writer(&mut bytes, &envelope)
            .expect("strings and booleans always serialise into memory");
        bytes
    }
}
