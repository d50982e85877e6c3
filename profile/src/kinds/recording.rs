//! ProfileRecording: which pods are watched, and what becomes a profile. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{label_selector, rule, spelling::spelled};

spelled! {
    /// The kinds of profile that can be recorded.
    pub enum RecordingKind {
        SeccompProfile = "SeccompProfile",
        SelinuxProfile = "SelinuxProfile",
        AppArmorProfile = "AppArmorProfile",
    }
}

spelled! {
    /// Where a recording learns from.
    #[derive(Default)]
    pub enum Recorder {
        #[default]
        Bpf = "Bpf" | "bpf",
        Logs = "Logs" | "logs",
    }
}

spelled! {
    /// How many profiles a recording makes.
    #[derive(Default)]
    pub enum MergeStrategy {
        #[default]
        None = "None" | "none",
        Containers = "Containers" | "containers",
    }
}

spelled! {
    /// How far a recording is.
    pub enum RecordingPhase {
        Waiting = "Waiting",
        Recording = "Recording",
        Complete = "Complete",
    }
}

/// What is recorded, and how.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "security-profiles-operator.x-k8s.io",
    version = "v1",
    kind = "ProfileRecording",
    plural = "profilerecordings",
    namespaced,
    shortname = "pr",
    category = "security-profiles",
    status = "ProfileRecordingStatus",
    derive = "PartialEq",
    doc = "Records what the containers of selected pods do, and makes a security profile of it.",
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.kind"),
    printcolumn(name = "Recorder", type_ = "string", json_path = ".spec.recorder"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase")
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rule::recording::end)]
pub struct ProfileRecordingSpec {
    /// The kind of profile to make: SeccompProfile, SelinuxProfile or AppArmorProfile.
    pub kind: RecordingKind,
    /// Where to learn from: Bpf (programs in the kernel) or Logs (the audit log). Default: Bpf.
    #[serde(default)]
    pub recorder: Recorder,
    /// The pods to record, by their labels.
    #[schemars(schema_with = "label_selector::schema")]
    pub pod_selector: LabelSelector,
    /// Only containers with these names. Default: every container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        inner(length(min = 1, max = 63)),
        transform = rule::name::containers
    )]
    pub containers: Option<Vec<String>>,
    /// How many profiles to make: None (one for each container of each pod) or Containers (one for each container
    /// name, from all pods together). Default: None.
    #[serde(default)]
    pub merge_strategy: MergeStrategy,
    /// Whether the recorded profiles start with state Disabled, so that somebody can look at them first. Default: false.
    #[serde(default)]
    pub disable_profile_after_recording: bool,
    /// Ends the recording this long after it began, such as 30m or 1h30m. Not together with stableFor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), transform = rule::recording::duration)]
    pub stop_after: Option<String>,
    /// Ends the recording when nothing new was seen for this long, such as 10m. Not together with stopAfter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), transform = rule::recording::duration)]
    pub stable_for: Option<String>,
    /// Whether the recording takes no new pods for now. Default: false.
    #[serde(default)]
    pub paused: bool,
}

/// What the recording has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ProfileRecordingStatus {
    /// Pods that are being recorded, as namespace/pod: the first 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 317)))]
    pub active_workloads: Vec<String>,
    /// How far the recording is: Waiting (for pods), Recording or Complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<RecordingPhase>,
    /// When the first container began to be recorded: from then on stopAfter counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// What was seen, by container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub containers: Vec<RecordedContainer>,
}

/// What one container was seen to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedContainer {
    /// The container's name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The profile that is made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub profile: Option<String>,
    /// How many different things were seen.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub seen: i64,
    /// When the last new thing was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_new_at: Option<Time>,
    /// For how many seconds nothing new has been seen.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub stable_seconds: i64,
    /// How many events were lost: with any, the profile may lack something.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub lost: i64,
    /// How what was seen grew over time: at most 32 points, which never say more than was seen by then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<SeenAt>,
}

/// How much had been seen at one time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct SeenAt {
    /// The time.
    pub at: Time,
    /// How many different things had been seen by then.
    #[schemars(range(min = 0))]
    pub seen: i64,
}
