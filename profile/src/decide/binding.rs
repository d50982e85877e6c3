//! Binds one container: for each mechanism, the binding that wins, and what comes of it. Pure.

use super::{
    BindResult, Bound, Decision, Denial, Note, Place, Question,
    confine::confine,
    current::{current, localhost},
    gate::not_ready,
    image_of,
    note::By,
    recording::RecordedBy,
};
use crate::{
    bindings::{Binding, Target},
    kinds::{Override, WhenMissing},
    mechanism::Mechanism,
    pod::Container,
    snapshot::Readiness,
};

/// What became of a container's seccomp field, for whom a legacy annotation is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeccompIs {
    /// A binding or a recording decided it.
    Decided,
    Open,
}

pub(super) fn bind<'a>(
    question: &Question<'a>,
    place: Place,
    container: &'a Container<'a>,
    recorded: RecordedBy<'a>,
    decision: &mut Decision<'a>,
) -> SeccompIs {
    let image = image_of(container);
    let labels = &question.pod.metadata.labels;
    let target = Target { image: image.as_ref(), container: &container.name, labels };
    let mut seccomp = SeccompIs::Open;
    for mechanism in Mechanism::ALL {
        let Some(binding) = question.namespace.bindings.winner(mechanism, &target) else {
            continue;
        };
        let result = match recorded.by(mechanism) {
            Some(recording) => {
                let (container, binding) = (&*container.name, &*binding.name);
                decision.notes.push(Note::RecordedInstead {
                    container,
                    mechanism,
                    binding,
                    recording,
                });
                BindResult::Recorded
            }
            None => apply(question, place, container, binding, decision),
        };
        if mechanism == Mechanism::Seccomp
            && !matches!(result, BindResult::Missing | BindResult::Disabled)
        {
            seccomp = SeccompIs::Decided;
        }
        decision.bound.push(Bound {
            container: &container.name,
            mechanism,
            kind: binding.kind,
            profile: &binding.profile,
            binding: &binding.name,
            class: binding.image.class(),
            result,
        });
    }
    if recorded.by(Mechanism::Seccomp).is_some() {
        seccomp = SeccompIs::Decided;
    }
    seccomp
}

fn apply<'a>(
    question: &Question<'a>,
    place: Place,
    container: &'a Container<'a>,
    binding: &'a Binding,
    decision: &mut Decision<'a>,
) -> BindResult {
    let (mechanism, by) = (binding.mechanism(), By::Binding(&binding.name));
    let (name, kind, profile) = (&*container.name, binding.kind, &*binding.profile);
    if mechanism == Mechanism::Seccomp && container.privileged() {
        decision.notes.push(Note::Privileged { container: name, by });
        return BindResult::Privileged;
    }
    let local_name = mechanism.local_name(profile);
    let chosen = current(question, container, mechanism);
    let differs =
        chosen.as_deref().is_some_and(|chosen| chosen != localhost(mechanism, &local_name));
    if differs && binding.overriding == Override::IfUnset {
        return BindResult::Kept;
    }
    let readiness = question.profiles.get(kind, profile);
    let missing = match readiness {
        None => Some(BindResult::Missing),
        Some(Readiness::Disabled) => Some(BindResult::Disabled),
        Some(_) => None,
    };
    if let Some(result) = missing {
        let (binding_name, disabled) = (&*binding.name, result == BindResult::Disabled);
        match (binding.when_missing, disabled) {
            (WhenMissing::Deny, _) => decision.denials.push(Denial {
                container: name,
                kind,
                profile,
                binding: binding_name,
                disabled,
            }),
            (WhenMissing::Admit, true) => decision.notes.push(Note::Disabled {
                container: name,
                kind,
                profile,
                binding: binding_name,
            }),
            (WhenMissing::Admit, false) => decision.notes.push(Note::Missing {
                container: name,
                kind,
                profile,
                binding: binding_name,
            }),
        }
        return result;
    }
    if let Some(Readiness::NotYet(status)) = readiness {
        not_ready(question, name, binding, status, decision);
    }
    match chosen {
        Some(_) if !differs => return BindResult::Unchanged,
        Some(value) => {
            decision.notes.push(Note::Overrides { container: name, mechanism, value, by });
        }
        None => {}
    }
    confine(question, place, container, mechanism, local_name, decision);
    BindResult::Written
}
