//! The kinds that users write and read, as Rust types with their OpenAPI schema. Pure.

#![expect(unreachable_pub, reason = "KubeSchema writes a copy of each struct into a function")]
#![expect(clippy::doc_markdown, reason = "kubectl explain shows these comments as plain text")]

pub use apparmor::{AppArmorProfile, AppArmorProfileSpec};
pub use binding::{
    Override, ProfileBinding, ProfileBindingSpec, ProfileBindingStatus, ProfileKind, ProfileRef,
    WhenMissing, WhenNotReady,
};
pub use node::{NodeProfile, NodeSecurityProfiles, NodeSecurityProfilesStatus};
pub use raw_selinux::{RawSelinuxProfile, RawSelinuxProfileSpec};
pub use recording::{
    MergeStrategy, ProfileRecording, ProfileRecordingSpec, ProfileRecordingStatus, Recorder,
    RecordingKind, RecordingPhase,
};
pub use seccomp::{SeccompProfile, SeccompProfileSpec};
pub use selinux::{SelinuxProfile, SelinuxProfileSpec};
pub use spelling::Spelled;
pub use status::{NodeCount, ProfilePhase, ProfileState, ProfileStatus};

pub mod apparmor;
pub mod binding;
pub mod node;
pub mod raw_selinux;
pub mod recording;
pub mod seccomp;
pub mod selinux;
pub mod spelling;
pub mod status;

/// The API group of every kind.
pub const GROUP: &str = "security-profiles-operator.x-k8s.io";
