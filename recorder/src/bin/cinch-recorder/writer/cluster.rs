//! Writes profiles, statuses and Events to the API server: what is there is read, united with what was seen here, and
//! written only when nobody else has written meanwhile.

use std::{fmt::Debug, time::Duration};

use daemon::error::chain;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use profile::kinds::{
    AppArmorProfile, ProfileRecording, ProfileRecordingStatus, RecordingKind, SeccompProfile,
    SelinuxProfile,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    profiles::{Deed, Making, Recorded, deed},
    tracker::{Moment, Note, Outcome, Publication, Recording, Report},
};

mod violation;

/// Who writes.
const MANAGER: &str = "cinch-recorder";

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// So often is tried again when somebody else has written meanwhile.
const ATTEMPTS: usize = 5;

/// The longest message of an Event.
const MESSAGE: usize = 1024;

/// The way to the API server.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    events: Recorder,
    node: String,
    making: Making,
}

impl Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("making", &self.making).finish_non_exhaustive()
    }
}

impl Cluster {
    pub(crate) fn new(client: Client, node: &str, making: Making) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(node.to_owned()) };
        let events = Recorder::new(client.clone(), reporter);
        Self { events, client, node: node.to_owned(), making }
    }

    /// Writes a profile.
    pub(crate) async fn publish(&self, publication: &Publication) -> Outcome {
        let written = async {
            match publication.kind {
                RecordingKind::SeccompProfile => self.write::<SeccompProfile>(publication).await,
                RecordingKind::AppArmorProfile => self.write::<AppArmorProfile>(publication).await,
                RecordingKind::SelinuxProfile => self.write::<SelinuxProfile>(publication).await,
            }
        };
        let profile = format!("{} {}", publication.target.kind, publication.target.name);
        match timeout(PATIENCE, written).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                let error = chain(&error);
                tracing::warn!(profile, error, "a profile was not written, and will be");
                Outcome::Failed
            }
            Err(_) => {
                tracing::warn!(profile, "a profile was not written in time, and will be");
                Outcome::Failed
            }
        }
    }

    async fn write<K>(&self, publication: &Publication) -> kube::Result<Outcome>
    where
        K: Recorded + DeserializeOwned + Serialize + Debug,
    {
        let api = Api::<K>::all(self.client.clone());
        let name = &publication.target.name;
        let manager =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        for _ in 0..ATTEMPTS {
            let there = api.get_opt(name).await?;
            let written = match deed(publication, there.as_ref(), self.making) {
                Deed::Nothing => return Ok(Outcome::Written),
                Deed::Leave => return Ok(Outcome::Taken),
                Deed::Create(new) => api.create(&manager, &new).await,
                Deed::Replace(new) => api.replace(name, &manager, &new).await,
            };
            match written {
                Ok(_) => {
                    let (partial, seen) = (publication.partial, publication.seen.len());
                    let kind = publication.target.kind;
                    tracing::info!(kind, profile = name, partial, seen, "published");
                    return Ok(Outcome::Written);
                }
                // Somebody was faster: look again.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Outcome::Failed)
    }

    /// Writes what this node has to say of a recording; gives the recording as it is then, none when it is gone.
    pub(crate) async fn report(
        &self,
        recording: &Recording,
        report: &Report,
        now: Moment,
    ) -> Result<Option<Recording>, ()> {
        match timeout(PATIENCE, self.write_status(recording, report, now)).await {
            Ok(Ok(recording)) => Ok(recording),
            Ok(Err(error)) => {
                let error = chain(&error);
                tracing::warn!(recording = %recording.key, error, "the status was not written, and will be");
                Err(())
            }
            Err(_) => Err(()),
        }
    }

    async fn write_status(
        &self,
        recording: &Recording,
        report: &Report,
        now: Moment,
    ) -> kube::Result<Option<Recording>> {
        let api =
            Api::<ProfileRecording>::namespaced(self.client.clone(), &recording.key.namespace);
        let name = &recording.key.name;
        let (mut status, mut version) = (recording.status.clone(), recording.version.to_string());
        for _ in 0..ATTEMPTS {
            let merged = report.merged(&status, now);
            if merged == status {
                return Ok(Some(Recording { status, ..recording.clone() }));
            }
            let ProfileRecordingStatus { active_workloads, phase, started_at, containers } =
                &merged;
            // Empty lists would be left out, and so stay as they are.
            let patch = json!({
                "metadata": { "uid": recording.uid, "resourceVersion": version },
                "status": {
                    "activeWorkloads": active_workloads,
                    "phase": phase,
                    "startedAt": started_at,
                    "containers": containers,
                },
            });
            let manager =
                PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            match api.patch_status(name, &manager, &Patch::Merge(&patch)).await {
                Ok(object) => return Ok(Recording::of(&object).ok()),
                Err(kube::Error::Api(answer)) if answer.code == 404 => return Ok(None),
                Err(kube::Error::Api(answer)) if answer.code == 409 => {
                    let Some(object) = api.get_opt(name).await? else { return Ok(None) };
                    if object.metadata.uid.as_ref() != Some(&recording.uid) {
                        return Ok(None);
                    }
                    version = object.metadata.resource_version.unwrap_or_default();
                    status = object.status.unwrap_or_default();
                }
                Err(error) => return Err(error),
            }
        }
        // Others write all the time; the next attempt comes later.
        Err(kube::Error::Service("others have written meanwhile, again and again".into()))
    }

    /// Tells people.
    pub(crate) async fn tell(&self, note: &Note) {
        let about = ObjectReference {
            api_version: Some("security-profiles-operator.x-k8s.io/v1".to_owned()),
            kind: Some("ProfileRecording".to_owned()),
            namespace: Some(note.recording.namespace.clone()),
            name: Some(note.recording.name.clone()),
            uid: Some(note.uid.clone()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: EventType::Warning,
            reason: note.reason.to_owned(),
            note: Some(note.text.chars().take(MESSAGE).collect()),
            action: "Record".to_owned(),
            secondary: None,
        };
        if let Ok(Err(error)) = timeout(PATIENCE, self.events.publish(&event, &about)).await {
            let error = chain(&error);
            tracing::warn!(recording = %note.recording, error, "an Event was not written");
        }
    }
}
