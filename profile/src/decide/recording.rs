//! Marks one container for the recordings that select it. Pure.

use rustc_hash::FxHashSet;

use super::{
    Change, Decision, Note, Place, Question, Recorded, Scope, Seal, Subject,
    confine::confine,
    current::{current, localhost},
    note::By,
};
use crate::{
    mechanism::Mechanism,
    pod::{Container, List},
    recordings::{Mark, Recording},
};

/// For each mechanism, the recording whose profile a container must run under.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecordedBy<'a>([Option<&'a str>; Mechanism::ALL.len()]);

impl<'a> RecordedBy<'a> {
    pub(super) fn by(&self, mechanism: Mechanism) -> Option<&'a str> {
        self.0[mechanism as usize]
    }
}

/// The keys of the marks that a pod rightly has.
#[derive(Debug, Default)]
pub(super) struct Marked(FxHashSet<String>);

pub(super) fn record<'a>(
    question: &Question<'a>,
    place: Place,
    container: &'a Container<'a>,
    seal: &dyn Seal,
    marked: &mut Marked,
    decision: &mut Decision<'a>,
) -> RecordedBy<'a> {
    let mut recorded = RecordedBy::default();
    // The annotations of a pod that is there already cannot be changed by a request for ephemeral containers.
    let recordable = !matches!(place, Place::Container(List::Ephemeral, _));
    if !question.tasks.recording_on || !recordable || !matches!(question.scope, Scope::Create) {
        return recorded;
    }
    let mut taken: Vec<(&str, &str)> = Vec::new();
    let name = &*container.name;
    for recording in question.namespace.recordings.of_container(name, &question.pod.metadata.labels)
    {
        let mark = recording.mark();
        if let Some((_, instead)) = taken.iter().find(|(prefix, _)| *prefix == mark.key_prefix) {
            if question.tasks.record {
                let recording = &recording.name;
                decision.notes.push(Note::AlsoRecorded { container: name, recording, instead });
            }
            continue;
        }
        taken.push((mark.key_prefix, &recording.name));
        let unreachable = mark.confinement.is_some_and(|(mechanism, _)| {
            mechanism == Mechanism::Seccomp && container.privileged()
        });
        if unreachable {
            if question.tasks.record {
                let by = By::Recording(&recording.name);
                decision.notes.push(Note::Privileged { container: name, by });
            }
            continue;
        }
        // Two recorders of one mechanism ask for the same profile: the first one sees to it.
        let first = mark.confinement.filter(|(mechanism, _)| recorded.by(*mechanism).is_none());
        if let Some((mechanism, _)) = first {
            recorded.0[mechanism as usize] = Some(&recording.name);
        }
        if question.tasks.record {
            annotate(question, container, recording, seal, marked, decision);
            if let Some(confinement) = first {
                prepare(question, place, container, recording, confinement, decision);
            }
        }
    }
    recorded
}

/// Puts the mark on the pod, unless the same pod got it in an earlier review.
fn annotate<'a>(
    question: &Question<'a>,
    container: &'a Container<'a>,
    recording: &'a Recording,
    seal: &dyn Seal,
    marked: &mut Marked,
    decision: &mut Decision<'a>,
) {
    let mark = recording.mark();
    let key = [mark.key_prefix, &container.name].concat();
    let subject = Subject {
        namespace: question.namespace_name,
        pod: question.pod.name_or_prefix(),
        key: &key,
        recording: &recording.name,
    };
    let before = question.pod.metadata.annotations.as_ref().and_then(|a| a.entry(&key));
    let kept = before.is_some_and(|(_, value)| subject.holds(&container.name, value, seal));
    if !kept {
        if let Some((key, _)) = before {
            decision.notes.push(Note::ForeignMark { key });
        }
        let value = subject.value(&container.name, seal);
        decision.changes.push(Change::Annotate { key: key.clone(), value });
    }
    marked.0.insert(key.clone());
    decision.recorded.push(Recorded {
        container: &container.name,
        recording: &recording.name,
        key,
    });
}

/// Puts the container under the profile that makes the kernel report what it does.
fn prepare<'a>(
    question: &Question<'a>,
    place: Place,
    container: &'a Container<'a>,
    recording: &'a Recording,
    (mechanism, local_name): (Mechanism, &'static str),
    decision: &mut Decision<'a>,
) {
    let chosen = current(question, container, mechanism);
    if chosen.as_deref() == Some(&*localhost(mechanism, local_name)) {
        return;
    }
    if let Some(value) = chosen {
        let by = By::Recording(&recording.name);
        decision.notes.push(Note::Overrides { container: &container.name, mechanism, value, by });
    }
    confine(question, place, container, mechanism, local_name.to_owned(), decision);
}

impl Marked {
    /// Removes marks that no recording stands behind: an annotation alone arms nothing, but it must not look as if.
    ///
    /// One that another replica has just made stays: it may have seen a recording that this one has not.
    pub(super) fn clear_strangers<'a>(
        &self,
        question: &Question<'a>,
        seal: &dyn Seal,
        decision: &mut Decision<'a>,
    ) {
        let Some(annotations) = &question.pod.metadata.annotations else { return };
        for (key, value) in annotations.with_prefix(Mark::KEY_STEM) {
            let ours = Mark::owns(key) && !self.0.contains(key);
            if ours && !made_by_us(question, key, value, seal) {
                decision.notes.push(Note::ForeignMark { key });
                decision.changes.push(Change::RemoveAnnotation { key: key.to_owned() });
            }
        }
    }
}

fn made_by_us(question: &Question<'_>, key: &str, value: &str, seal: &dyn Seal) -> bool {
    let (Some((recording, _)), Some((_, container))) = (value.split_once('_'), key.split_once('/'))
    else {
        return false;
    };
    let pod = question.pod.name_or_prefix();
    Subject { namespace: question.namespace_name, pod, key, recording }
        .holds(container, value, seal)
}
