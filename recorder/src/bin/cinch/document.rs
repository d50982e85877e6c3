//! Profiles as files hold them: objects of a cluster, the JSON that runtimes read, the text that AppArmor's and SELinux's
//! compilers read.

use std::{collections::BTreeSet, io::Read as _, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use daemon::manifests::{Header, checked, parse};
use profile::{
    kinds::{
        AppArmorProfile, GROUP, ProfileKind, RawSelinuxProfile, SeccompProfile, SeccompProfileSpec,
        SelinuxProfile,
    },
    render::{self, seccomp::Filter},
};
use recorder::learned::tally;
use serde::Serialize;
use serde_json::Value;

use crate::compare::cil;

mod language;

/// What a profile is called where neither its text nor a flag says it.
const UNNAMED: &str = "profile";

/// A file is not read when it is larger than any set of profiles would be.
const FILE_MAX: u64 = 64 << 20;

/// One profile.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Document {
    Seccomp(Box<SeccompProfile>),
    Selinux(Box<SelinuxProfile>),
    RawSelinux(Box<RawSelinuxProfile>),
    AppArmor(Box<AppArmorProfile>),
}

/// The same of a profile of any kind.
macro_rules! each {
    ($document:expr, $profile:ident => $do:expr) => {
        match $document {
            Document::Seccomp($profile) => $do,
            Document::Selinux($profile) => $do,
            Document::RawSelinux($profile) => $do,
            Document::AppArmor($profile) => $do,
        }
    };
}

impl Document {
    /// Its kind.
    pub(crate) fn kind(&self) -> ProfileKind {
        match self {
            Self::Seccomp(_) => ProfileKind::SeccompProfile,
            Self::Selinux(_) => ProfileKind::SelinuxProfile,
            Self::RawSelinux(_) => ProfileKind::RawSelinuxProfile,
            Self::AppArmor(_) => ProfileKind::AppArmorProfile,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        each!(self, profile => profile.metadata.name.as_deref()).unwrap_or(UNNAMED)
    }

    /// Calls it by another name.
    pub(crate) fn rename(&mut self, name: &str) {
        each!(self, profile => profile.metadata.name = Some(name.to_owned()));
    }

    /// What its annotations say under a key.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        let annotations = each!(self, profile => profile.metadata.annotations.as_ref());
        annotations?.get(key).map(String::as_str)
    }

    /// Says something under a key of its annotations.
    pub(crate) fn annotate(&mut self, key: &str, text: String) {
        let annotations =
            each!(self, profile => profile.metadata.annotations.get_or_insert_default());
        annotations.insert(key.to_owned(), text);
    }

    /// Says nothing any more under a key of its annotations.
    pub(crate) fn forget(&mut self, key: &str) {
        let annotations = each!(self, profile => profile.metadata.annotations.as_mut());
        annotations.map(|annotations| annotations.remove(key));
    }

    /// All that it lists, a line each.
    pub(crate) fn items(&self) -> BTreeSet<String> {
        match self {
            Self::Seccomp(profile) => tally::of_seccomp(&profile.spec),
            Self::Selinux(profile) => tally::of_selinux(&profile.spec),
            Self::RawSelinux(profile) => cil::statements(&profile.spec.policy),
            Self::AppArmor(profile) => tally::of_apparmor(&profile.spec),
        }
    }

    /// The text that nodes are given: JSON, a profile in AppArmor's language, or CIL.
    pub(crate) fn raw(&self) -> anyhow::Result<String> {
        let name = self.name();
        Ok(match self {
            Self::Seccomp(profile) => {
                render::seccomp::render(name, &profile.spec, &|_| None)?.to_json()
            }
            Self::Selinux(profile) => {
                render::selinux::render(name, &profile.spec, &language::permitting(&profile.spec))?
            }
            Self::RawSelinux(profile) => render::raw_selinux::render(name, &profile.spec)?,
            Self::AppArmor(profile) => render::apparmor::render(name, &profile.spec)?,
        })
    }

    /// What [`Document::raw`] is written in.
    pub(crate) fn language(&self) -> &'static str {
        match self {
            Self::Seccomp(_) => "oci",
            Self::Selinux(_) | Self::RawSelinux(_) => "cil",
            Self::AppArmor(_) => "apparmor",
        }
    }
}

/// A seccomp profile with the rules of those that it builds on, which must be among the others.
pub(crate) fn resolved(
    profile: &SeccompProfile,
    others: &[Document],
) -> anyhow::Result<SeccompProfileSpec> {
    if profile.spec.base_profile_name.is_none() {
        return Ok(profile.spec.clone());
    }
    let name = profile.metadata.name.as_deref().unwrap_or(UNNAMED);
    let base = |name: &str| {
        others.iter().find_map(|document| match document {
            Document::Seccomp(other) if other.metadata.name.as_deref() == Some(name) => {
                Some(Arc::new(other.spec.clone()))
            }
            _ => None,
        })
    };
    let filter = render::seccomp::render(name, &profile.spec, &base)
        .context("the profiles that it builds on are needed too: name their files by --with")?;
    Ok(filter.to_spec())
}

/// Reads the only profile of a file, - for standard input.
pub(crate) fn read(path: &Path) -> anyhow::Result<Document> {
    let mut all = read_all(path)?;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => bail!("{}: there is no profile in it", path.display()),
        (Some(_), false) => {
            bail!("{}: it has {} profiles, and one is needed", path.display(), all.len() + 1)
        }
    }
}

/// Reads all profiles of a file, - for standard input. Objects of other kinds are passed over.
pub(crate) fn read_all(path: &Path) -> anyhow::Result<Vec<Document>> {
    read_text(&text(path)?, path)
}

/// Reads all profiles of a text, that of a file with this name.
pub(crate) fn read_text(text: &str, path: &Path) -> anyhow::Result<Vec<Document>> {
    let shown = path.display();
    let read = language::read(text).map_err(anyhow::Error::msg);
    if let Some(document) = read.with_context(|| format!("{shown}"))? {
        return Ok(vec![document]);
    }
    let values = parse(text).map_err(anyhow::Error::msg).with_context(|| format!("{shown}"))?;
    let mut documents = Vec::new();
    for (number, value) in (1..).zip(values) {
        for value in items(value) {
            let document = document(value)
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("{shown}, document {number}"))?;
            documents.extend(document);
        }
    }
    Ok(documents)
}

/// The text of a file, - for standard input.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin()
            .take(FILE_MAX + 1)
            .read_to_string(&mut text)
            .context("cannot read standard input")?
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot read {shown}"))?;
        file.take(FILE_MAX + 1)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {shown}"))?
    };
    if u64::try_from(read).is_ok_and(|read| read > FILE_MAX) {
        bail!("{shown}: it is larger than {FILE_MAX} bytes, and so no set of profiles");
    }
    Ok(text)
}

/// The items of a list, as `kubectl get -o yaml` writes it, or the object alone.
fn items(mut value: Value) -> Vec<Value> {
    let is_list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    match value.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items,
        _ => vec![value],
    }
}

fn document(value: Value) -> Result<Option<Document>, String> {
    if value.get("defaultAction").is_some() && value.get("kind").is_none() {
        let filter: Filter = daemon::manifests::typed(value)?;
        let profile = SeccompProfile::new(UNNAMED, filter.to_spec());
        return Ok(Some(Document::Seccomp(Box::new(profile))));
    }
    let Some(header) = Header::of(&value)? else { return Ok(None) };
    if header.group != GROUP {
        return Ok(None);
    }
    let document = match header.kind {
        "SeccompProfile" => Document::Seccomp(Box::new(checked(value)?)),
        "SelinuxProfile" => Document::Selinux(Box::new(checked(value)?)),
        "RawSelinuxProfile" => Document::RawSelinux(Box::new(checked(value)?)),
        "AppArmorProfile" => Document::AppArmor(Box::new(checked(value)?)),
        _ => return Ok(None),
    };
    Ok(Some(document))
}
