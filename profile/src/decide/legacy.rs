//! Turns the seccomp annotations that Kubernetes has ignored since 1.27 into the fields they stood for. Pure.

use super::{
    Change, Confinement, Decision, Note, Place, ProfileSource, Question, Scope,
    binding::SeccompIs,
    current::{SECCOMP_ANNOTATION, current},
};
use crate::{mechanism::Mechanism, pod::Container};

const POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const FIELD: &str = "securityContext.seccompProfile";

/// The pod's annotation, until it is known whether any container is left to it.
#[derive(Debug)]
pub(super) struct Legacy<'a> {
    pod: Option<(&'a str, &'a str)>,
    wanted: bool,
}

impl<'a> Legacy<'a> {
    pub(super) fn new(question: &Question<'a>) -> Self {
        let annotations = question.pod.metadata.annotations.as_ref();
        let pod = annotations.and_then(|annotations| annotations.entry(POD));
        Self { pod: pod.filter(|_| matches!(question.scope, Scope::Create)), wanted: false }
    }

    /// Looks at one container, after its bindings.
    pub(super) fn container(
        &mut self,
        question: &Question<'a>,
        place: Place,
        container: &'a Container<'a>,
        seccomp: SeccompIs,
        decision: &mut Decision<'a>,
    ) {
        let open = seccomp == SeccompIs::Open
            && current(question, container, Mechanism::Seccomp).is_none();
        if !open || container.privileged() || !matches!(question.scope, Scope::Create) {
            return;
        }
        let annotations = question.pod.metadata.annotations.as_ref();
        let key = || [SECCOMP_ANNOTATION, &container.name].concat();
        match annotations.filter(|a| a.has_prefix(SECCOMP_ANNOTATION)).and_then(|a| a.entry(&key()))
        {
            Some((key, value)) => translate(place, key, value, decision),
            None => self.wanted = true,
        }
    }

    /// Looks at the pod, after its containers.
    pub(super) fn pod(self, decision: &mut Decision<'a>) {
        if let (Some((key, value)), true) = (self.pod, self.wanted) {
            translate(Place::Pod, key, value, decision);
        }
    }
}

fn translate<'a>(place: Place, key: &'a str, value: &'a str, decision: &mut Decision<'a>) {
    let source = match value {
        "runtime/default" | "docker/default" => ProfileSource::RuntimeDefault,
        "unconfined" => ProfileSource::Unconfined,
        _ => match value.strip_prefix("localhost/").filter(|path| descends(path)) {
            Some(path) => ProfileSource::Localhost(path.to_owned()),
            None => return decision.notes.push(Note::LegacyUnknown { key, value }),
        },
    };
    decision.notes.push(Note::Legacy { key, field: FIELD });
    decision.changes.push(Change::Confine { place, confinement: Confinement::Seccomp(source) });
}

/// What the API server asks of a `localhostProfile`.
fn descends(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| part != "..")
}
