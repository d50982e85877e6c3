//! Profiles as files hold them: objects of a cluster, or the JSON that runtimes read.

use std::{io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use daemon::manifests::{Header, checked, parse};
use profile::{
    kinds::{AppArmorProfile, GROUP, ProfileKind, SeccompProfile, SelinuxProfile},
    render::seccomp::Filter,
};
use serde::Serialize;
use serde_json::Value;

/// One profile.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Document {
    Seccomp(Box<SeccompProfile>),
    Selinux(Box<SelinuxProfile>),
    AppArmor(Box<AppArmorProfile>),
}

impl Document {
    /// Its kind.
    pub(crate) fn kind(&self) -> ProfileKind {
        match self {
            Self::Seccomp(_) => ProfileKind::SeccompProfile,
            Self::Selinux(_) => ProfileKind::SelinuxProfile,
            Self::AppArmor(_) => ProfileKind::AppArmorProfile,
        }
    }
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

/// Reads all profiles of a file, - for standard input.
pub(crate) fn read_all(path: &Path) -> anyhow::Result<Vec<Document>> {
    read_text(&text(path)?, path)
}

/// The text of a file, - for standard input.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        let shown = path.display();
        text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    }
    Ok(text)
}

/// Reads all profiles of a text, that of a file with this name.
pub(crate) fn read_text(text: &str, path: &Path) -> anyhow::Result<Vec<Document>> {
    let shown = path.display();
    let values = parse(text).map_err(anyhow::Error::msg).with_context(|| format!("{shown}"))?;
    let mut documents = Vec::new();
    for (number, value) in (1..).zip(values) {
        let document = document(value)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("{shown}, document {number}"))?;
        documents.extend(document);
    }
    Ok(documents)
}

fn document(value: Value) -> Result<Option<Document>, String> {
    if value.get("defaultAction").is_some() && value.get("kind").is_none() {
        let filter: Filter = daemon::manifests::typed(value)?;
        return Ok(Some(Document::Seccomp(Box::new(SeccompProfile::new(
            "profile",
            filter.to_spec(),
        )))));
    }
    let Some(header) = Header::of(&value)? else { return Ok(None) };
    if header.group != GROUP {
        return Ok(None);
    }
    let document = match header.kind {
        "SeccompProfile" => Document::Seccomp(Box::new(checked(value)?)),
        "SelinuxProfile" => Document::Selinux(Box::new(checked(value)?)),
        "AppArmorProfile" => Document::AppArmor(Box::new(checked(value)?)),
        "RawSelinuxProfile" => {
            return Err("kind: a RawSelinuxProfile is in CIL, which is not compared".to_owned());
        }
        _ => return Ok(None),
    };
    Ok(Some(document))
}
