//! From the bytes of a review to the bytes of its answer: parse, decide, patch. Pure.

use std::sync::Arc;

use profile::{
    decide::{self, Change, Question, Scope, Seal, Tasks},
    snapshot::{Snapshot, Switches},
};

use serde::de::IgnoredAny;

use crate::{
    patch::patch,
    review::{OldPod, Purpose, Request, Response, ReviewError},
    warnings::{audit_annotations, cut, warnings},
};

/// The names in a denial are of the pod's author's making, as long as he likes.
const DENIAL_MAX: usize = 2048;

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    Binding,
    Recording,
    Both,
}

/// An answered review.
#[derive(Debug)]
pub struct Answer {
    pub body: Vec<u8>,
    pub verdict: Verdict,
    /// Words for what the client was warned of and what became of bindings, for metrics.
    pub reasons: Vec<&'static str>,
    /// Whether the pod got our scheduling gate.
    pub gated: bool,
}

/// How a review ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Patched,
    Unchanged,
    Denied,
    /// Not a pod being made: nothing of ours.
    Ignored,
}

impl Path {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Binding, Self::Recording, Self::Both];

    /// Where it is served.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binding => "/mutate-v1-pod-binding",
            Self::Recording => "/mutate-v1-pod-recording",
            Self::Both => "/mutate-v1-pod",
        }
    }

    /// What is to be done. The API server sends to the two single paths only what has opted in; for the third, the
    /// namespace's labels are looked at here.
    fn tasks(self, switches: Switches) -> Tasks {
        let recording_on = switches.recording;
        match self {
            Self::Binding => Tasks { bind: true, record: false, recording_on },
            Self::Recording => Tasks { bind: false, record: true, recording_on: true },
            Self::Both => Tasks { bind: switches.binding, record: recording_on, recording_on },
        }
    }
}

impl Verdict {
    /// A word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patched => "patched",
            Self::Unchanged => "unchanged",
            Self::Denied => "denied",
            Self::Ignored => "ignored",
        }
    }
}

/// Answers a review.
///
/// # Errors
/// When the body is no AdmissionReview v1.
pub fn answer(
    body: &[u8],
    path: Path,
    snapshot: &Snapshot,
    seal: &dyn Seal,
) -> Result<Answer, ReviewError> {
    let request: Request<'_> = match Request::parse(body) {
        Ok(request) => request,
        Err(error) => return foreign(body).ok_or(error),
    };
    let uid = &*request.uid;
    let before = request.old_object.as_ref().map(OldPod::ephemeral_names).unwrap_or_default();
    let scope = match request.purpose() {
        Ok(Purpose::Create) => Scope::Create,
        Ok(Purpose::AddEphemeral) => Scope::Ephemeral { before: &before },
        Err(why) => return Ok(ignored(uid, why)),
    };
    let Some(pod) = &request.object else { return Ok(ignored(uid, "has no object")) };
    let namespace_name = request.namespace.as_deref().unwrap_or_default();
    let nothing = Arc::default();
    let namespace = snapshot.namespaces.get(namespace_name).unwrap_or(&nothing);
    let question = Question {
        pod,
        namespace_name,
        namespace,
        profiles: &snapshot.profiles,
        tasks: path.tasks(snapshot.switches(namespace_name)),
        scope,
    };
    let decision = decide::decide(&question, seal);
    let denied = (!decision.denials.is_empty()).then(|| {
        let denials: Vec<_> = decision.denials.iter().take(8).map(ToString::to_string).collect();
        cut(format!("cinch: {}", denials.join("; ")), DENIAL_MAX)
    });
    let patch = if denied.is_some() { None } else { patch(pod, &decision.changes) };
    let verdict = match (&denied, &patch) {
        (Some(_), _) => Verdict::Denied,
        (None, Some(_)) => Verdict::Patched,
        (None, None) => Verdict::Unchanged,
    };
    let notes = decision.notes.iter().map(decide::Note::reason);
    let reasons = notes.chain(decision.bound.iter().map(|b| b.result.as_str())).collect();
    let response = Response {
        uid,
        denied,
        patch,
        warnings: warnings(&decision.notes),
        audit_annotations: audit_annotations(&decision),
    };
    let gated = verdict == Verdict::Patched && decision.changes.contains(&Change::Gate);
    Ok(Answer { body: response.to_bytes(), verdict, reasons, gated })
}

/// The answer to a request of which the object is no pod, where it need not be one.
fn foreign(body: &[u8]) -> Option<Answer> {
    let request = Request::<IgnoredAny, IgnoredAny>::parse(body).ok()?;
    request.purpose().err().map(|why| ignored(&request.uid, why))
}

/// A registration that sends what is not ours must not stop anybody's work.
fn ignored(uid: &str, why: &str) -> Answer {
    let warning = format!(
        "cinch: admitted as it is: the request {why}; the webhook's registration is too wide"
    );
    let response = Response { uid, warnings: vec![warning], ..Response::default() };
    let body = response.to_bytes();
    Answer { body, verdict: Verdict::Ignored, reasons: Vec::new(), gated: false }
}

#[cfg(test)]
mod tests;
