//! A `ProfileRecording` as a node sees it. Pure.

use std::{collections::BTreeSet, fmt, time::Duration};

use profile::{
    duration,
    kinds::{
        MergeStrategy, ProfileRecording, ProfileRecordingStatus, Recorder, RecordingKind,
        RecordingPhase,
    },
    recordings,
};
use serde::{Deserialize, Serialize};

use super::pod::Pod;

/// Namespace and name of a recording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A recording that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recording {
    pub(crate) key: Key,
    pub(crate) uid: String,
    pub(crate) rule: recordings::Recording,
    pub(crate) merge: MergeStrategy,
    pub(crate) disable: bool,
    pub(crate) stop_after: Option<Duration>,
    pub(crate) stable_for: Option<Duration>,
    pub(crate) paused: bool,
    /// As it was last seen.
    pub(crate) status: ProfileRecordingStatus,
    /// Its resource version: a later one is greater.
    pub(crate) version: u64,
}

impl Recording {
    /// Reads an object; the error says what in it cannot be used.
    pub(crate) fn of(object: &ProfileRecording) -> Result<Self, String> {
        let metadata = &object.metadata;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let duration = |field: &str, text: &Option<String>| {
            let parsed = text.as_deref().map(duration::parse).transpose();
            parsed.map_err(|error| format!("spec.{field}: {error}"))
        };
        // Those that take no new pods go on with the ones that they have.
        let mut taking = object.clone();
        taking.status = None;
        taking.spec.paused = false;
        let rule = recordings::Recording::new(&taking)
            .map_err(|error| format!("spec.podSelector: {error}"))?
            .ok_or("spec: it takes no pods")?;
        Ok(Self {
            key: Key { namespace: text(&metadata.namespace), name: text(&metadata.name) },
            uid: text(&metadata.uid),
            rule,
            merge: object.spec.merge_strategy,
            disable: object.spec.disable_profile_after_recording,
            stop_after: duration("stopAfter", &object.spec.stop_after)?,
            stable_for: duration("stableFor", &object.spec.stable_for)?,
            paused: object.spec.paused,
            status: object.status.clone().unwrap_or_default(),
            version: text(&metadata.resource_version).parse().unwrap_or_default(),
        })
    }

    pub(crate) fn kind(&self) -> RecordingKind {
        self.rule.kind
    }

    pub(crate) fn recorder(&self) -> Recorder {
        self.rule.recorder
    }

    /// Whether it has ended, on whichever node that was found.
    pub(crate) fn is_complete(&self) -> bool {
        self.status.phase == Some(RecordingPhase::Complete)
    }

    /// Whether it selects a container of a pod.
    pub(crate) fn selects(&self, pod: &Pod, container: &str) -> bool {
        pod.namespace == self.key.namespace && self.rule.records(container, &pod.labels)
    }

    /// The recording for which a webhook has marked a container: the same recorder and kind, by name.
    pub(crate) fn marked<'p>(&self, pod: &'p Pod, container: &str) -> Option<&'p str> {
        let value = pod.marks.get(&format!("{}{container}", self.rule.mark().key_prefix))?;
        value.split('_').next()
    }

    /// Whether a container must have been started under a profile of the recording's to be recorded.
    pub(crate) fn needs_mark(&self) -> bool {
        self.rule.mark().confinement.is_some()
    }

    /// Pods of other nodes that are being recorded, as far as is known.
    pub(crate) fn others<'r>(&'r self, own: &BTreeSet<String>) -> impl Iterator<Item = &'r String> {
        self.status.active_workloads.iter().filter(move |pod| !own.contains(*pod))
    }
}

/// The name of a profile: `<recording>-<container>`, and the end of the pod's name where each pod gets a profile.
pub(crate) fn profile_name(
    recording: &str,
    container: &str,
    merge: MergeStrategy,
    suffix: Option<&str>,
) -> String {
    match (merge, suffix) {
        (MergeStrategy::None, Some(suffix)) => format!("{recording}-{container}-{suffix}"),
        _ => format!("{recording}-{container}"),
    }
}
