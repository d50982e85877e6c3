//! One container of one pod, recorded for one recording. Pure.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use profile::kinds::{MergeStrategy, Recorder, RecordingKind};
use recorder::seen::Seen;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::recording::Key;

/// A moment: on a clock that nobody can set, for what lasts, and on the wall's, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since the machine was started.
    pub(crate) uptime: Duration,
    pub(crate) wall: Timestamp,
}

impl Moment {
    /// How long ago an uptime was.
    pub(crate) fn since(self, uptime: Duration) -> Duration {
        self.uptime.saturating_sub(uptime)
    }

    /// What the wall's clock showed at an uptime, for objects.
    pub(crate) fn ago(self, uptime: Duration) -> Time {
        let wall = self.wall.checked_sub(self.since(uptime)).unwrap_or(self.wall);
        Self { wall, ..self }.time()
    }

    /// For objects, which know whole seconds.
    pub(crate) fn time(self) -> Time {
        let second = Timestamp::from_second(self.wall.as_second());
        Time(second.unwrap_or(self.wall))
    }
}

/// What tells subjects apart. The uid of a recording is that of the object: another one of the same name is another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SubjectKey {
    pub(crate) recording: Key,
    pub(crate) recording_uid: String,
    pub(crate) pod_uid: String,
    pub(crate) container: String,
}

/// What is known of a subject; all of it outlives the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subject {
    pub(crate) kind: RecordingKind,
    pub(crate) recorder: Recorder,
    pub(crate) merge: MergeStrategy,
    pub(crate) disable: bool,
    /// `namespace/name`.
    pub(crate) pod: String,
    /// The profile that it goes into.
    pub(crate) profile: String,
    /// Ids of the container, one for each time that it was started.
    pub(crate) ids: Vec<String>,
    pub(crate) seen: Seen,
    /// Since the machine was started, of which boot.
    pub(crate) began: Duration,
    pub(crate) newest: Duration,
    pub(crate) newest_at: Option<Timestamp>,
    /// How many events were lost while it was recorded, and how many before it was.
    pub(crate) lost: u64,
    pub(crate) lost_before: u64,
    /// Calls with a number that has no bit.
    pub(crate) overflow: u64,
    pub(crate) ended: bool,
}

impl Subject {
    /// The name of its pod.
    pub(crate) fn pod_name(&self) -> &str {
        self.pod.split_once('/').map_or(&*self.pod, |(_, name)| name)
    }

    /// How much of what it did is not known.
    pub(crate) fn all_lost(&self) -> u64 {
        self.lost.saturating_add(self.overflow).saturating_add(self.seen.beyond())
    }
}
