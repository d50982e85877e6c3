//! The kinds that users write and read, as Rust types with their OpenAPI schema. Pure.

#![expect(clippy::doc_markdown, reason = "kubectl explain shows these comments as plain text")]
#![expect(clippy::duplicated_attributes, reason = "print columns have attributes of one name")]

use std::sync::LazyLock;

use kube::CustomResourceExt as _;

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
use validate::Checks;
pub use validate::{Problem, Validate};

pub mod apparmor;
pub mod binding;
mod label_selector;
pub mod node;
pub mod raw_selinux;
pub mod recording;
mod rule;
pub mod seccomp;
pub mod selinux;
pub mod spelling;
pub mod status;
pub mod validate;

/// The API group of every kind.
pub const GROUP: &str = "security-profiles-operator.x-k8s.io";

macro_rules! validated {
    ($($kind:ident $(+ $more:path)?;)+) => {
        $(impl Validate for $kind {
            fn validate(&self) -> Vec<Problem> {
                static CHECKS: LazyLock<Checks> = LazyLock::new(|| Checks::of(&$kind::crd()));
                let object = serde_json::to_value(self).expect("a kind has string keys alone");
                let problems = CHECKS.run(&object);
                $(let problems = [problems, $more(self)].concat();)?
                problems
            }
        })+
    };
}

validated! {
    SeccompProfile;
    SelinuxProfile;
    RawSelinuxProfile + raw_selinux::problems;
    AppArmorProfile;
    ProfileBinding;
    ProfileRecording;
    NodeSecurityProfiles;
}
