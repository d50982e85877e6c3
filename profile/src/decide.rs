//! What happens to a pod: from a pod, a snapshot and what was asked, to changes, warnings and reasons. Pure.

use crate::{
    image::{Class, Reference},
    kinds::ProfileKind,
    mechanism::Mechanism,
    pod::{Container, Gates, List, Pod},
    snapshot::{Namespace, Profiles},
};

pub use note::{By, Note};
pub use seal::{Seal, Subject};

mod binding;
mod confine;
mod current;
mod gate;
mod legacy;
mod note;
mod recording;
mod seal;

/// What a review asks for.
#[derive(Debug)]
pub struct Question<'a> {
    pub pod: &'a Pod<'a>,
    /// The namespace that the pod is made in.
    pub namespace_name: &'a str,
    pub namespace: &'a Namespace,
    pub profiles: &'a Profiles,
    pub tasks: Tasks,
    pub scope: Scope<'a>,
}

/// What is to be done for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tasks {
    pub bind: bool,
    pub record: bool,
    /// Whether the namespace records at all, also when this request is not the one to do it: a container that is
    /// recorded from logs must keep the recording's profile.
    pub recording_on: bool,
}

/// Which part of the pod the request may change.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// The pod is being made.
    Create,
    /// Ephemeral containers are added; those that were there before, by name, cannot be changed any more.
    Ephemeral { before: &'a [&'a str] },
}

/// The answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decision<'a> {
    pub changes: Vec<Change>,
    pub notes: Vec<Note<'a>>,
    pub bound: Vec<Bound<'a>>,
    pub recorded: Vec<Recorded<'a>>,
    /// Not empty when the pod must not be made.
    pub denials: Vec<Denial<'a>>,
    /// Whether the pod has to wait behind our scheduling gate; one that has it already is not changed.
    pub gated: bool,
}

/// One change to the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Confine {
        place: Place,
        confinement: Confinement,
    },
    Annotate {
        key: String,
        value: String,
    },
    RemoveAnnotation {
        key: String,
    },
    /// Our scheduling gate is added to the pod's.
    Gate,
}

/// Where a security context stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Pod,
    Container(List, usize),
}

/// One profile field of a security context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confinement {
    Seccomp(ProfileSource),
    Apparmor(ProfileSource),
    /// The process type; user, role and level stay.
    Selinux(String),
}

/// Where a seccomp or AppArmor profile comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileSource {
    Localhost(String),
    RuntimeDefault,
    Unconfined,
}

/// A binding that applies to a container, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound<'a> {
    pub container: &'a str,
    pub mechanism: Mechanism,
    pub kind: ProfileKind,
    pub profile: &'a str,
    pub binding: &'a str,
    pub class: Class,
    pub result: BindResult,
}

/// What came of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BindResult {
    Written,
    /// The container has this very profile already.
    Unchanged,
    /// The binding does not override, and the pod's author chose something.
    Kept,
    Missing,
    Disabled,
    Privileged,
    /// The container is being recorded from logs for this mechanism.
    Recorded,
}

/// A recording that a container was marked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded<'a> {
    pub container: &'a str,
    pub recording: &'a str,
    /// The annotation that says so.
    pub key: String,
}

/// Why a pod must not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial<'a> {
    pub container: &'a str,
    pub kind: ProfileKind,
    pub profile: &'a str,
    pub binding: &'a str,
    pub disabled: bool,
}

impl Confinement {
    /// The mechanism whose field it is.
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Seccomp(_) => Mechanism::Seccomp,
            Self::Apparmor(_) => Mechanism::Apparmor,
            Self::Selinux(_) => Mechanism::Selinux,
        }
    }
}

impl BindResult {
    /// A word for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unchanged => "unchanged",
            Self::Kept => "kept",
            Self::Missing => "missing",
            Self::Disabled => "disabled",
            Self::Privileged => "privileged",
            Self::Recorded => "recorded",
        }
    }
}

impl std::fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { container, kind, profile, binding, disabled } = self;
        let fault = if *disabled { "is disabled" } else { "does not exist" };
        write!(
            f,
            "container {container}: {kind} {profile} {fault}, and ProfileBinding {binding} says whenMissing: Deny"
        )
    }
}

/// Decides. The same question has the same answer, but for the nonces of a recording's marks.
pub fn decide<'a>(question: &Question<'a>, seal: &dyn Seal) -> Decision<'a> {
    let mut decision = Decision::default();
    if question.pod.passes_through() {
        return decision;
    }
    let tasks = question.tasks;
    if tasks.record || tasks.bind {
        let invalid = question.namespace.invalid.iter();
        decision.notes.extend(invalid.map(Note::Invalid));
    }
    let mut marked = recording::Marked::default();
    let mut legacy = legacy::Legacy::new(question);
    for (list, index, container) in question.pod.containers() {
        if !question.scope.may_change(list, container) {
            continue;
        }
        let place = Place::Container(list, index);
        let recorded =
            recording::record(question, place, container, seal, &mut marked, &mut decision);
        if tasks.bind {
            let seccomp = binding::bind(question, place, container, recorded, &mut decision);
            legacy.container(question, place, container, seccomp, &mut decision);
        }
    }
    if tasks.record && matches!(question.scope, Scope::Create) {
        marked.clear_strangers(question, seal, &mut decision);
    }
    if tasks.bind {
        legacy.pod(&mut decision);
    }
    if decision.gated && question.pod.spec.scheduling_gates != Gates::Ours {
        decision.changes.push(Change::Gate);
    }
    decision
}

impl Scope<'_> {
    fn may_change(&self, list: List, container: &Container<'_>) -> bool {
        match self {
            Self::Create => true,
            Self::Ephemeral { before } => {
                list == List::Ephemeral && !before.contains(&&*container.name)
            }
        }
    }
}

/// The parsed image of a container; None when it is no reference.
fn image_of<'a>(container: &'a Container<'_>) -> Option<Reference<'a>> {
    Reference::parse(container.image()).ok()
}

#[cfg(test)]
mod tests;
