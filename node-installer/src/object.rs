//! A profile as a source tells it: what it is and what it asks for.

use daemon::manifests::{Header, Manifest, checked};
use profile::kinds::{
    AppArmorProfile, AppArmorProfileSpec, GROUP, ProfileKind, ProfileState, RawSelinuxProfile,
    RawSelinuxProfileSpec, SeccompProfile, SeccompProfileSpec, SelinuxProfile, SelinuxProfileSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::Key;

/// One profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Object {
    pub key: Key,
    /// Its generation; none in a folder of manifests.
    pub generation: Option<i64>,
    /// When it was made, as the API server writes it, so that the older of two is known.
    pub created: Option<String>,
    pub spec: Spec,
}

/// What it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Spec {
    Seccomp(SeccompProfileSpec),
    Selinux(SelinuxProfileSpec),
    RawSelinux(RawSelinuxProfileSpec),
    AppArmor(AppArmorProfileSpec),
    /// It does not even parse, and why.
    Invalid(String),
}

impl Spec {
    /// Whether the profile is put on nodes.
    pub fn state(&self) -> ProfileState {
        match self {
            Self::Seccomp(spec) => spec.effective_state(),
            Self::Selinux(spec) => spec.effective_state(),
            Self::RawSelinux(spec) => spec.effective_state(),
            Self::AppArmor(spec) => spec.effective_state(),
            Self::Invalid(_) => ProfileState::Enabled,
        }
    }
}

impl Manifest for Object {
    type Key = Key;

    fn key(&self) -> Key {
        self.key.clone()
    }

    fn read(value: Value) -> Result<Option<Self>, String> {
        let Some(header) = Header::of(&value)? else { return Ok(None) };
        if header.group != GROUP {
            return Ok(None);
        }
        let Some(kind) = ProfileKind::ALL.iter().find(|kind| kind.as_str() == header.kind) else {
            return Ok(None);
        };
        let key = Key::new(*kind, header.name()?).map_err(|bad| format!("metadata.name: {bad}"))?;
        let spec = match kind {
            ProfileKind::SeccompProfile => Spec::Seccomp(checked::<SeccompProfile>(value)?.spec),
            ProfileKind::SelinuxProfile => Spec::Selinux(checked::<SelinuxProfile>(value)?.spec),
            ProfileKind::RawSelinuxProfile => {
                Spec::RawSelinux(checked::<RawSelinuxProfile>(value)?.spec)
            }
            ProfileKind::AppArmorProfile => Spec::AppArmor(checked::<AppArmorProfile>(value)?.spec),
        };
        Ok(Some(Self { key, generation: None, created: None, spec }))
    }
}
