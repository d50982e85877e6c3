//! The recordings of one namespace, compiled, and how a pod is marked for them. Pure.

use crate::{
    kinds::{ProfileRecording, Recorder, RecordingKind, RecordingPhase},
    mechanism::Mechanism,
    selector::{Labels, Selector, SelectorError},
};

/// A recording that takes new pods, ready to be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub name: Box<str>,
    pub kind: RecordingKind,
    pub recorder: Recorder,
    pub selector: Selector,
    /// None for all containers.
    pub containers: Option<Box<[Box<str>]>>,
}

/// All recordings of a namespace that take new pods, by name.
#[derive(Clone, Debug, Default)]
pub struct Recordings(Vec<Recording>);

/// What a recorded container carries, by recorder and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What the annotation's key begins with; the container's name follows.
    pub key_prefix: &'static str,
    /// The profile, as a pod calls it, under which the container must run to be recorded.
    pub confinement: Option<(Mechanism, &'static str)>,
}

const TRACE_SECCOMP: &str = "operator/log-enricher-trace.json";
const TRACE_SELINUX: &str = "selinuxrecording.process";
const TRACE_APPARMOR: &str = "apparmorrecording";

impl Mark {
    /// What every key of ours begins with.
    pub const KEY_STEM: &str = "io.containers.trace-";

    /// The mark of a recorder and a kind.
    pub fn of(recorder: Recorder, kind: RecordingKind) -> Self {
        let (key_prefix, confinement) = match (recorder, kind) {
            (Recorder::Logs, RecordingKind::SeccompProfile) => {
                ("io.containers.trace-logs/", Some((Mechanism::Seccomp, TRACE_SECCOMP)))
            }
            (Recorder::Logs, RecordingKind::SelinuxProfile) => {
                ("io.containers.trace-avcs/", Some((Mechanism::Selinux, TRACE_SELINUX)))
            }
            (Recorder::Logs, RecordingKind::AppArmorProfile) => {
                ("io.containers.trace-logs-apparmor/", Some((Mechanism::Apparmor, TRACE_APPARMOR)))
            }
            (Recorder::Bpf, RecordingKind::SeccompProfile) => ("io.containers.trace-bpf/", None),
            (Recorder::Bpf, RecordingKind::AppArmorProfile) => {
                ("io.containers.trace-bpf-apparmor/", None)
            }
            (Recorder::Bpf, RecordingKind::SelinuxProfile) => {
                ("io.containers.trace-bpf-selinux/", Some((Mechanism::Selinux, TRACE_SELINUX)))
            }
        };
        Self { key_prefix, confinement }
    }

    /// Whether a profile is one that containers are put under to be recorded.
    pub fn prepares(mechanism: Mechanism, local_name: &str) -> bool {
        local_name
            == match mechanism {
                Mechanism::Seccomp => TRACE_SECCOMP,
                Mechanism::Selinux => TRACE_SELINUX,
                Mechanism::Apparmor => TRACE_APPARMOR,
            }
    }

    /// Whether an annotation's key is one of ours.
    pub fn owns(key: &str) -> bool {
        const RECORDERS: [Recorder; 2] = [Recorder::Bpf, Recorder::Logs];
        const KINDS: [RecordingKind; 3] = [
            RecordingKind::SeccompProfile,
            RecordingKind::SelinuxProfile,
            RecordingKind::AppArmorProfile,
        ];
        RECORDERS.iter().any(|&recorder| {
            KINDS.iter().any(|&kind| key.starts_with(Self::of(recorder, kind).key_prefix))
        })
    }
}

impl Recording {
    /// Compiles a recording; None when it takes no more pods because it is paused or complete.
    ///
    /// # Errors
    /// When its selector means nothing.
    pub fn new(object: &ProfileRecording) -> Result<Option<Self>, SelectorError> {
        let spec = &object.spec;
        let selector = Selector::new(&spec.pod_selector)?;
        let phase = object.status.as_ref().and_then(|status| status.phase);
        if spec.paused || phase == Some(RecordingPhase::Complete) {
            return Ok(None);
        }
        Ok(Some(Self {
            name: object.metadata.name.as_deref().unwrap_or_default().into(),
            kind: spec.kind,
            recorder: spec.recorder,
            selector,
            containers: spec
                .containers
                .as_ref()
                .map(|names| names.iter().map(|name| (**name).into()).collect()),
        }))
    }

    /// The mark of its containers.
    pub fn mark(&self) -> Mark {
        Mark::of(self.recorder, self.kind)
    }

    /// Whether it records a container of a pod with these labels.
    pub fn records(&self, container: &str, labels: &impl Labels) -> bool {
        let listed = |names: &[Box<str>]| names.iter().any(|name| **name == *container);
        self.containers.as_deref().is_none_or(listed) && self.selector.matches(labels)
    }
}

impl Recordings {
    /// Compiles the list. The order in which the recordings come makes no difference.
    pub fn new(recordings: impl IntoIterator<Item = Recording>) -> Self {
        let mut recordings: Vec<_> = recordings.into_iter().collect();
        recordings.sort_by(|a, b| a.name.cmp(&b.name));
        Self(recordings)
    }

    /// Those that record a container of a pod with these labels, by name.
    pub fn of_container<'a>(
        &'a self,
        container: &'a str,
        labels: &'a impl Labels,
    ) -> impl Iterator<Item = &'a Recording> {
        self.0.iter().filter(move |recording| recording.records(container, labels))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
