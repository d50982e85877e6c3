//! What this node says of a recording, and the status that it has with that. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use profile::kinds::{ProfileRecordingStatus, RecordingPhase, recording::RecordedContainer};

use super::super::{Moment, history};

/// The status has room for no more.
const WORKLOADS: usize = 100;

/// What this node has to say of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// `namespace/name` of the pods that are being recorded here.
    pub(crate) active: BTreeSet<String>,
    /// Those that were recorded here, and are no longer.
    pub(crate) ended: BTreeSet<String>,
    pub(crate) complete: bool,
    /// When the first container began to be recorded here.
    pub(crate) began: Option<Duration>,
    pub(crate) containers: BTreeMap<String, Entry>,
}

/// What is said of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) profile: Option<String>,
    pub(crate) seen: usize,
    pub(crate) newest: Option<Timestamp>,
    pub(crate) lost: u64,
}

impl Report {
    /// The status that a recording has with this report; what other nodes have said of it stays.
    pub(crate) fn merged(
        &self,
        before: &ProfileRecordingStatus,
        now: Moment,
    ) -> ProfileRecordingStatus {
        let mut workloads: BTreeSet<String> = before.active_workloads.iter().cloned().collect();
        workloads.retain(|pod| !self.ended.contains(pod));
        workloads.extend(self.active.iter().cloned());
        let complete = self.complete || before.phase == Some(RecordingPhase::Complete);
        let phase = match workloads.is_empty() {
            _ if complete => RecordingPhase::Complete,
            true => RecordingPhase::Waiting,
            false => RecordingPhase::Recording,
        };
        let mut containers: BTreeMap<String, RecordedContainer> =
            before.containers.iter().map(|said| (said.name.clone(), said.clone())).collect();
        for (name, entry) in &self.containers {
            let said = containers.entry(name.clone()).or_insert_with(|| RecordedContainer {
                name: name.clone(),
                profile: None,
                seen: 0,
                last_new_at: None,
                stable_seconds: 0,
                lost: 0,
                history: Vec::new(),
            });
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            said.profile = entry.profile.clone().or_else(|| said.profile.take());
            said.seen = said.seen.max(count(entry.seen as u64));
            said.lost = said.lost.max(count(entry.lost));
            let newest = entry.newest.map(|wall| Moment { wall, ..now }.time());
            if let Some(at) = &newest {
                history::add(&mut said.history, at, said.seen);
            }
            said.last_new_at = said.last_new_at.take().max(newest);
        }
        let most = history::room(containers.len());
        for said in containers.values_mut() {
            history::thin(&mut said.history, most);
            let since =
                said.last_new_at.as_ref().map(|time| now.wall.duration_since(time.0).as_secs());
            said.stable_seconds = since.unwrap_or_default().max(0);
        }
        ProfileRecordingStatus {
            active_workloads: workloads.into_iter().take(WORKLOADS).collect(),
            phase: Some(phase),
            // Who was first to say so is not contradicted: clocks differ.
            started_at: before.started_at.clone().or_else(|| self.began.map(|at| now.ago(at))),
            containers: containers.into_values().collect(),
        }
    }
}
