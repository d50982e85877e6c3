//! What a document of a manifest comes down to.

use daemon::manifests::{Header, Manifest, checked, typed};
use profile::kinds::{GROUP, ProfileBinding, ProfileKind, ProfileRecording};
use serde_json::Value;

use crate::{
    source::item::{self, ProfileSpec},
    world::{Item, Key, Kind},
};

/// A document of a kind that answers depend on.
#[derive(Clone, Debug)]
pub struct Document {
    pub kind: Kind,
    pub key: Key,
    pub item: Item,
}

/// What tells documents apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity(Kind, Key);

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(kind, (_, name)) = self;
        write!(f, "{} {name}", kind.as_str())
    }
}

impl Manifest for Document {
    type Key = Identity;

    fn key(&self) -> Identity {
        Identity(self.kind, self.key.clone())
    }

    fn read(value: Value) -> Result<Option<Self>, String> {
        let Some(header) = Header::of(&value)? else { return Ok(None) };
        let kind = match header.kind {
            "Namespace" if header.group.is_empty() => Kind::Namespace,
            name if header.group == GROUP => {
                match Kind::ALL.iter().find(|kind| kind.as_str() == name) {
                    Some(kind) => *kind,
                    None if name == "NodeSecurityProfiles" => return Ok(None),
                    None => return Err(format!("kind: {name} is none of the kinds of {GROUP}")),
                }
            }
            _ => return Ok(None),
        };
        let name = header.name()?;
        let namespace = match kind {
            Kind::Binding | Kind::Recording => header.namespace(),
            Kind::Namespace | Kind::Profile(_) => "",
        };
        let key = (namespace.into(), name.into());
        let item = match kind {
            Kind::Binding => item::binding(&checked::<ProfileBinding>(value)?),
            Kind::Recording => item::recording(&checked::<ProfileRecording>(value)?),
            Kind::Namespace => {
                let none = || Value::Object(serde_json::Map::default());
                let labels = value["metadata"].get("labels").cloned().unwrap_or_else(none);
                item::namespace(&typed::<std::collections::BTreeMap<String, String>>(labels)?)
            }
            Kind::Profile(kind) => profile(kind, value)?,
        };
        match item {
            Item::Invalid(reason) => Err(reason.into()),
            item => Ok(Some(Self { kind, key, item })),
        }
    }
}

/// Checks a profile in full, although only its state is kept.
fn profile(kind: ProfileKind, value: Value) -> Result<Item, String> {
    use profile::kinds::{AppArmorProfile, RawSelinuxProfile, SeccompProfile, SelinuxProfile};
    let spec = ProfileSpec {
        disabled: None,
        state: match kind {
            ProfileKind::SeccompProfile => checked::<SeccompProfile>(value)?.spec.effective_state(),
            ProfileKind::SelinuxProfile => checked::<SelinuxProfile>(value)?.spec.effective_state(),
            ProfileKind::RawSelinuxProfile => {
                checked::<RawSelinuxProfile>(value)?.spec.effective_state()
            }
            ProfileKind::AppArmorProfile => {
                checked::<AppArmorProfile>(value)?.spec.effective_state()
            }
        },
    };
    Ok(item::profile_without_status(&spec))
}
