//! The text that a profile becomes on a node: a seccomp file, a CIL module, an AppArmor profile. Pure.

use std::{fmt, sync::Arc};

use profile::{
    algebra::seccomp,
    kinds::{SeccompProfileSpec, selinux::Permitted},
    render::{self, seccomp::Filter},
};
use serde::{Deserialize, Serialize};

use crate::object::{Object, Spec};

/// The first line of every AppArmor source of ours.
pub const MARKER: &str = "# Put here by Cinch for the AppArmorProfile of this name. What is changed here is changed back.\n";

/// SHA-256 of a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// What is to be on the node for a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    pub text: String,
    pub digest: Digest,
    /// What its author should know, although it can be installed.
    pub note: Option<String>,
}

/// Gives the spec of another seccomp profile, to build on.
pub type Bases<'a> = dyn Fn(&str) -> Option<Arc<SeccompProfileSpec>> + 'a;

impl Artifact {
    /// Renders a profile, or says why that is not possible.
    pub fn of(object: &Object, bases: &Bases<'_>, permitted: &Permitted) -> Result<Self, String> {
        let name = &object.key.name;
        let mut note = None;
        let text = match &object.spec {
            Spec::Seccomp(spec) => render::seccomp::render(name, spec, bases)
                .map(|filter| {
                    note = doubt(&filter);
                    filter.to_json()
                })
                .map_err(|error| daemon::error::chain(&error)),
            Spec::Selinux(spec) => render::selinux::render(name, spec, permitted)
                .map_err(|error| daemon::error::chain(&error)),
            Spec::RawSelinux(spec) => render::raw_selinux::render(name, spec)
                .map_err(|error| daemon::error::chain(&error)),
            Spec::AppArmor(spec) => render::apparmor::render(name, spec)
                .map(|text| [MARKER, &text].concat())
                .map_err(|error| daemon::error::chain(&error)),
            Spec::Invalid(why) => Err(why.clone()),
        }?;
        Ok(Self { digest: Digest::of(text.as_bytes()), text, note })
    }
}

/// What a filter may do otherwise than its rules say: the library that runtimes make filters with joins some rules wrongly.
fn doubt(filter: &Filter) -> Option<String> {
    if filter.syscalls.iter().all(|rule| rule.args.is_empty()) {
        return None;
    }
    // What was rendered stands on nothing else any more.
    let doubts = seccomp::ambiguities(&filter.to_spec()).unwrap_or_default();
    doubts.first().map(ToString::to_string)
}

/// The names of the profiles of its own kind that a profile cannot be installed without.
pub fn needs(object: &Object) -> Vec<Box<str>> {
    match &object.spec {
        Spec::Selinux(spec) => render::selinux::needs(spec).map(Into::into).collect(),
        _ => Vec::new(),
    }
}

/// The name of the seccomp profile that a profile builds on.
pub fn base(object: &Object) -> Option<&str> {
    match &object.spec {
        Spec::Seccomp(spec) => spec.base_profile_name.as_deref(),
        _ => None,
    }
}

impl Digest {
    /// The digest of a text.
    pub fn of(text: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, text).as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("{text:?} is no SHA-256 digest");
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        for (byte, place) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[place..place + 2], 16).map_err(|_not_hex| bad())?;
        }
        Ok(Self(bytes))
    }
}
