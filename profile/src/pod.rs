//! A pod as admission sees it: only the fields that a decision needs, borrowed from the request's bytes. Pure.

use std::borrow::Cow;

use serde::Deserialize;

pub use gates::{Gates, PROFILE_NOT_READY};
pub use object::{CONTAINERS_MAX, containers};
pub use text::{StringMap, Text};

mod gates;
mod object;
mod text;

/// A pod; every field that is not here is skipped unread.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Pod<'a> {
    #[serde(borrow)]
    pub metadata: Metadata<'a>,
    #[serde(borrow)]
    pub spec: Spec<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Metadata<'a> {
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub generate_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub labels: Option<StringMap<'a>>,
    #[serde(borrow, default)]
    pub annotations: Option<StringMap<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Spec<'a> {
    #[serde(borrow, default)]
    pub node_name: Option<Text<'a>>,
    #[serde(default)]
    pub scheduling_gates: Gates,
    #[serde(borrow, default)]
    pub os: Option<Os<'a>>,
    #[serde(borrow, default)]
    pub security_context: Option<SecurityContext<'a>>,
    #[serde(borrow, default, deserialize_with = "containers")]
    pub init_containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default, deserialize_with = "containers")]
    pub containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default, deserialize_with = "containers")]
    pub ephemeral_containers: Option<Vec<Container<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Os<'a> {
    #[serde(borrow, default)]
    pub name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Container<'a> {
    #[serde(borrow, default)]
    pub name: Text<'a>,
    #[serde(borrow, default)]
    pub image: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub security_context: Option<SecurityContext<'a>>,
}

/// A container's security context, or a pod's: the profile fields have the same shape in both.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct SecurityContext<'a> {
    #[serde(default)]
    pub privileged: Option<bool>,
    #[serde(borrow, default)]
    pub seccomp_profile: Option<Localhost<'a>>,
    #[serde(borrow, default)]
    pub app_armor_profile: Option<Localhost<'a>>,
    #[serde(borrow, default)]
    pub se_linux_options: Option<SeLinuxOptions<'a>>,
}

/// The union that `seccompProfile` and `appArmorProfile` share.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Localhost<'a> {
    #[serde(borrow, rename = "type", default)]
    pub kind: Text<'a>,
    #[serde(borrow, default)]
    pub localhost_profile: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct SeLinuxOptions<'a> {
    #[serde(borrow, default)]
    pub user: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub role: Option<Text<'a>>,
    #[serde(borrow, rename = "type", default)]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub level: Option<Text<'a>>,
}

crate::objects!(Pod, Metadata, Spec, Os, Container, SecurityContext, Localhost, SeLinuxOptions);

/// Which of a pod's three lists a container stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    Init,
    Regular,
    Ephemeral,
}

impl List {
    /// The field's name in a pod's spec.
    pub fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

impl<'a> Pod<'a> {
    /// All containers with their place.
    pub fn containers(&self) -> impl Iterator<Item = (List, usize, &Container<'a>)> {
        let spec = &self.spec;
        [
            (List::Init, &spec.init_containers),
            (List::Regular, &spec.containers),
            (List::Ephemeral, &spec.ephemeral_containers),
        ]
        .into_iter()
        .flat_map(|(list, containers)| {
            containers.iter().flatten().enumerate().map(move |(index, c)| (list, index, c))
        })
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key)
    }

    /// Its name, or what its name will begin with.
    pub fn name_or_prefix(&self) -> &str {
        let named = |text: &'_ Option<Text<'a>>| text.as_ref().is_some_and(|t| !t.is_empty());
        let metadata = &self.metadata;
        match (&metadata.name, &metadata.generate_name) {
            (Some(name), _) if named(&metadata.name) => name,
            (_, Some(prefix)) => prefix,
            _ => "",
        }
    }

    /// Whether it says itself to which node it goes, past the scheduler.
    pub fn names_its_node(&self) -> bool {
        self.spec.node_name.as_deref().is_some_and(|name| !name.is_empty())
    }

    /// A pod that no profile of ours can concern: one for Windows, or a mirror of a static pod.
    pub fn passes_through(&self) -> bool {
        let windows = self.spec.os.as_ref().is_some_and(|os| &*os.name == "windows");
        windows || self.annotation("kubernetes.io/config.mirror").is_some()
    }
}

impl Container<'_> {
    /// Whether it runs privileged.
    pub fn privileged(&self) -> bool {
        self.security_context.as_ref().is_some_and(|context| context.privileged == Some(true))
    }

    /// Its image, empty when it has none.
    pub fn image(&self) -> &str {
        self.image.as_deref().unwrap_or_default()
    }
}

impl Localhost<'_> {
    /// `Localhost/path`, or the type alone.
    pub fn describe(&self) -> Cow<'_, str> {
        match &self.localhost_profile {
            Some(profile) if !profile.is_empty() => Cow::Owned([&self.kind, "/", profile].concat()),
            _ => Cow::Borrowed(&self.kind),
        }
    }

    /// Whether it names this profile on the node.
    pub fn is(&self, profile: &str) -> bool {
        &*self.kind == "Localhost" && self.localhost_profile.as_deref() == Some(profile)
    }
}
