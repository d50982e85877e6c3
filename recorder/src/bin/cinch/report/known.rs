//! What is known of a cluster before its pods are looked at: namespaces, bindings, recordings, profiles, owners of pods. Pure.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use profile::{
    bindings::{Binding, Bindings},
    kinds::{ProfileBinding, ProfileKind, ProfileRecording, RecordingKind, RecordingPhase},
    mechanism::Mechanism,
    recordings,
    snapshot::Switches,
};

use super::{confinement::Subject, content::Recording};
use crate::profile_head::Head;

/// A status names no more pods than this.
const ACTIVE_MAX: usize = 100;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) spaces: BTreeMap<String, Space>,
    profiles: BTreeSet<(ProfileKind, String)>,
    disabled: BTreeSet<(ProfileKind, String)>,
    owners: BTreeMap<OwnerKey, Owner>,
    pub(super) recordings: Vec<Recording>,
    pub(super) notes: Vec<String>,
}

/// One namespace.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) switches: Switches,
    raw: Vec<Arc<Binding>>,
    compiled: OnceCell<Bindings>,
    recordings: Vec<Active>,
}

/// A recording that is not over.
#[derive(Debug)]
struct Active {
    rule: recordings::Recording,
    /// The pods that it records by its own words, as `namespace/name`.
    pods: BTreeSet<String>,
}

/// What owns a pod, or a part of a workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Owner {
    pub(super) kind: String,
    pub(super) name: String,
}

/// Namespace, kind and name.
type OwnerKey = (String, &'static str, String);

impl Known {
    pub(super) fn namespace(&mut self, name: &str, labels: &BTreeMap<String, String>) {
        let switches = Switches::from_labels(labels);
        self.spaces.entry(name.to_owned()).or_default().switches = switches;
    }

    pub(super) fn profile(&mut self, head: &Head) {
        let key = (head.kind, head.name.clone());
        if head.disabled || head.partial {
            self.disabled.insert(key.clone());
        }
        self.profiles.insert(key);
    }

    pub(super) fn binding(&mut self, object: &ProfileBinding) {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        match Binding::new(object) {
            Ok(binding) => {
                let space = self.spaces.entry(namespace).or_default();
                space.raw.push(Arc::new(binding));
                space.compiled = OnceCell::new();
            }
            Err(error) => {
                let name = object.metadata.name.as_deref().unwrap_or_default();
                self.notes.push(format!(
                    "ProfileBinding {namespace}/{name} is invalid and has no effect: {error}"
                ));
            }
        }
    }

    pub(super) fn recording(&mut self, object: ProfileRecording) {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let name = object.metadata.name.clone().unwrap_or_default();
        let status = object.status.clone().unwrap_or_default();
        self.recordings.push(Recording {
            namespace: namespace.clone(),
            name: name.clone(),
            kind: object.spec.kind.as_str(),
            recorder: object.spec.recorder.as_str(),
            phase: status.phase.map(RecordingPhase::as_str),
            paused: object.spec.paused,
            active: status.active_workloads.len(),
            containers: status.containers,
        });
        if status.phase == Some(RecordingPhase::Complete) {
            return;
        }
        // One that takes no new pods goes on with those that it has.
        let mut taking = object;
        (taking.status, taking.spec.paused) = (None, false);
        match recordings::Recording::new(&taking) {
            Ok(Some(rule)) => {
                let pods = status.active_workloads.into_iter().collect();
                self.spaces.entry(namespace).or_default().recordings.push(Active { rule, pods });
            }
            Ok(None) => {}
            Err(error) => self.notes.push(format!(
                "ProfileRecording {namespace}/{name} is invalid and has no effect: {error}"
            )),
        }
    }

    /// Who owns a `ReplicaSet` or a Job.
    pub(super) fn owner(&mut self, namespace: &str, kind: &'static str, name: &str, owner: Owner) {
        self.owners.insert((namespace.to_owned(), kind, name.to_owned()), owner);
    }

    /// The workload that a pod belongs to, by what owns it.
    pub(super) fn workload(
        &self,
        namespace: &str,
        pod: &str,
        labels: &BTreeMap<String, String>,
        owner: Option<Owner>,
    ) -> Owner {
        let Some(owner) = owner.filter(|owner| owner.kind != "Node") else {
            return Owner { kind: "Pod".to_owned(), name: pod.to_owned() };
        };
        let kind = match owner.kind.as_str() {
            "ReplicaSet" => "ReplicaSet",
            "Job" => "Job",
            _ => return owner,
        };
        let key = (namespace.to_owned(), kind, owner.name.clone());
        if let Some(above) = self.owners.get(&key) {
            return above.clone();
        }
        // Without the right to look, names tell.
        let by_name = match kind {
            "ReplicaSet" => labels.get("pod-template-hash").and_then(|hash| {
                let name = owner.name.strip_suffix(hash.as_str())?.strip_suffix('-')?;
                Some(Owner { kind: "Deployment".to_owned(), name: name.to_owned() })
            }),
            // The minute for which it was scheduled.
            _ => owner.name.rsplit_once('-').and_then(|(name, minute)| {
                let is = minute.len() == 8 && minute.bytes().all(|c| c.is_ascii_digit());
                is.then(|| Owner { kind: "CronJob".to_owned(), name: name.to_owned() })
            }),
        };
        by_name.unwrap_or(owner)
    }

    /// Whether there is a profile of this name.
    pub(super) fn has(&self, mechanism: Mechanism, name: &str) -> bool {
        let is = |kind| self.profiles.contains(&(kind, name.to_owned()));
        match mechanism {
            Mechanism::Seccomp => is(ProfileKind::SeccompProfile),
            Mechanism::Selinux => {
                is(ProfileKind::SelinuxProfile) || is(ProfileKind::RawSelinuxProfile)
            }
            Mechanism::Apparmor => is(ProfileKind::AppArmorProfile),
        }
    }

    /// Whether a binding can give a profile.
    pub(super) fn is_enabled(&self, kind: ProfileKind, name: &str) -> bool {
        let key = (kind, name.to_owned());
        self.profiles.contains(&key) && !self.disabled.contains(&key)
    }
}

impl Space {
    /// The bindings that have an effect.
    pub(super) fn bindings(&self) -> Option<&Bindings> {
        let compiled = || Bindings::new(self.raw.iter().cloned());
        self.switches.binding.then(|| self.compiled.get_or_init(compiled))
    }

    pub(super) fn is_used(&self) -> bool {
        let Switches { binding, recording } = self.switches;
        binding || recording || !self.raw.is_empty() || !self.recordings.is_empty()
    }

    /// The recording that learns what a container does, by the words of the recorder.
    pub(super) fn recording<'a>(
        &'a self,
        subject: &Subject<'_>,
        mechanism: Mechanism,
    ) -> Option<&'a str> {
        if !self.switches.recording {
            return None;
        }
        let pod = format!("{}/{}", subject.namespace, subject.pod);
        let container = &subject.container.name;
        let records = |active: &&Active| {
            let Active { rule, pods } = active;
            let mark = rule.mark();
            let marked = || {
                let key = format!("{}{container}", mark.key_prefix);
                let value = subject.annotations.get(&key);
                value.is_some_and(|value| value.split('_').next() == Some(&*rule.name))
            };
            recorded_mechanism(rule) == mechanism
                && (pods.contains(&pod) || pods.len() >= ACTIVE_MAX)
                && rule.records(container, subject.labels)
                && (mark.confinement.is_none() || marked())
        };
        self.recordings.iter().find(records).map(|active| &*active.rule.name)
    }
}

fn recorded_mechanism(rule: &recordings::Recording) -> Mechanism {
    match rule.kind {
        RecordingKind::SeccompProfile => Mechanism::Seccomp,
        RecordingKind::SelinuxProfile => Mechanism::Selinux,
        RecordingKind::AppArmorProfile => Mechanism::Apparmor,
    }
}
