//! Reduces an object to what answers need of it. Pure.

use std::sync::Arc;

use profile::{
    bindings::Binding,
    kinds::{ProfileBinding, ProfilePhase, ProfileRecording, ProfileState},
    recordings::Recording,
    selector::Labels,
    snapshot::{Readiness, Switches},
};
use serde::Deserialize;

use crate::world::Item;

/// The part of a profile that tells whether it can be bound, the same in all four kinds.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ProfileSpec {
    #[serde(default)]
    pub state: ProfileState,
    /// The switch as it was spelled before v1.
    #[serde(default)]
    pub disabled: Option<bool>,
}

impl ProfileSpec {
    fn state(&self) -> ProfileState {
        self.state.or_disabled(self.disabled)
    }
}

/// The part of a profile's status that tells how far it is.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ProfileStatus {
    #[serde(default)]
    pub status: Option<ProfilePhase>,
}

/// A binding, or why it cannot be used.
pub fn binding(object: &ProfileBinding) -> Item {
    match Binding::new(object) {
        Ok(binding) => Item::Binding(Arc::new(binding)),
        Err(error) => invalid(&error),
    }
}

/// A recording, or why it cannot be used.
pub fn recording(object: &ProfileRecording) -> Item {
    match Recording::new(object) {
        Ok(recording) => Item::Recording(recording),
        Err(error) => Item::Invalid(format!("spec.podSelector: {error}").into()),
    }
}

/// A namespace's switches.
pub fn namespace(labels: &impl Labels) -> Item {
    Item::Switches(Switches::from_labels(labels))
}

/// A profile of a cluster: as long as its status does not say that it is installed, it is not.
pub fn profile(spec: &ProfileSpec, status: Option<&ProfileStatus>) -> Item {
    Item::Profile(match (spec.state(), status.and_then(|status| status.status)) {
        (ProfileState::Disabled, _) => Readiness::Disabled,
        (ProfileState::Enabled, Some(ProfilePhase::Installed)) => Readiness::Ready,
        (ProfileState::Enabled, Some(phase)) => Readiness::NotYet(phase.as_str()),
        (ProfileState::Enabled, None) => Readiness::NotYet(ProfilePhase::Pending.as_str()),
    })
}

/// A profile of a folder, where nobody writes a status.
pub fn profile_without_status(spec: &ProfileSpec) -> Item {
    Item::Profile(match spec.state() {
        ProfileState::Disabled => Readiness::Disabled,
        ProfileState::Enabled => Readiness::Ready,
    })
}

/// Something that does not even parse.
pub fn invalid(error: &dyn std::error::Error) -> Item {
    Item::Invalid(daemon::error::chain(error).into())
}
