//! One file of manifests: its documents, or what is wrong with which of them.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use profile::kinds::{GROUP, ProfileBinding, ProfileKind, ProfileRecording, Validate};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    source::item::{self, ProfileSpec},
    world::{Item, Key, Kind},
};

/// A document of a kind that answers depend on.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its place in the file, from 1.
    pub number: usize,
    pub kind: Kind,
    pub key: Key,
    pub item: Item,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    pub document: Option<usize>,
    /// The field, where it is one, and what is wrong.
    pub message: String,
}

impl Problem {
    pub(super) fn new(file: &Path, document: Option<usize>, message: String) -> Self {
        Self { file: file.to_owned(), document, message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(document) = self.document {
            write!(f, ", document {document}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Reads a file; documents of kinds that do not matter here are passed over.
pub(super) fn read_file(path: &Path, max: u64, problems: &mut Vec<Problem>) -> Vec<Document> {
    let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
    if size > max {
        problems.push(Problem::new(path, None, format!("{size} bytes: larger than {max}")));
        return Vec::new();
    }
    let values = match std::fs::read_to_string(path) {
        Ok(text) => parse(&text),
        Err(error) => Err(format!("cannot read: {error}")),
    };
    let values = match values {
        Ok(values) => values,
        Err(message) => {
            problems.push(Problem::new(path, None, message));
            return Vec::new();
        }
    };
    let mut documents = Vec::new();
    for (number, value) in (1..).zip(values) {
        for value in flatten(value) {
            match reduce(number, value) {
                Ok(document) => documents.extend(document),
                Err(message) => problems.push(Problem::new(path, Some(number), message)),
            }
        }
    }
    documents
}

/// The documents of a YAML text; JSON is YAML too.
pub(crate) fn parse(text: &str) -> Result<Vec<Value>, String> {
    serde_saphyr::from_multiple(text).map_err(|error| format!("not valid YAML: {error}"))
}

/// The items of a list, or the object alone.
fn flatten(mut value: Value) -> Vec<Value> {
    match value.get_mut("items").map(Value::take) {
        Some(Value::Array(items))
            if value["kind"].as_str().is_some_and(|k| k.ends_with("List")) =>
        {
            items
        }
        _ => vec![value],
    }
}

fn reduce(number: usize, value: Value) -> Result<Option<Document>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    let (group, _version) = text("apiVersion").split_once('/').unwrap_or_default();
    let kind = match text("kind") {
        "" => return Err("kind: missing, and so is what the document is".into()),
        "Namespace" if group.is_empty() => Kind::Namespace,
        name if group == GROUP => match Kind::ALL.iter().find(|kind| kind.as_str() == name) {
            Some(kind) => *kind,
            None if name == "NodeSecurityProfiles" => return Ok(None),
            None => return Err(format!("kind: {name} is none of the kinds of {GROUP}")),
        },
        _ => return Ok(None),
    };
    let metadata = &value["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    if !metadata["name"].is_null() && !metadata["name"].is_string() {
        return Err(format!("metadata.name: {} is no string; put it in quotes", metadata["name"]));
    }
    if name.is_empty() {
        return Err("metadata.name: missing".into());
    }
    let namespace = match kind {
        Kind::Binding | Kind::Recording => metadata["namespace"].as_str().unwrap_or("default"),
        Kind::Namespace | Kind::Profile(_) => "",
    };
    let key = (namespace.into(), name.into());
    let item = match kind {
        Kind::Binding => item::binding(&checked::<ProfileBinding>(value)?),
        Kind::Recording => item::recording(&checked::<ProfileRecording>(value)?),
        Kind::Namespace => {
            let labels = metadata
                .get("labels")
                .cloned()
                .unwrap_or_else(|| Value::Object(serde_json::Map::default()));
            item::namespace(&typed::<std::collections::BTreeMap<String, String>>(labels)?)
        }
        Kind::Profile(kind) => profile(kind, value)?,
    };
    match item {
        Item::Invalid(reason) => Err(reason.into()),
        item => Ok(Some(Document { number, kind, key, item })),
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

/// The typed object, if the API server would take it.
fn checked<T: DeserializeOwned + Validate>(mut value: Value) -> Result<T, String> {
    drop_nulls(&mut value);
    let object: T = typed(value)?;
    let problems: Vec<_> = object.validate().iter().map(ToString::to_string).collect();
    if problems.is_empty() { Ok(object) } else { Err(problems.join("; ")) }
}

/// A field that is null is one that is not there, as it is for the API server.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The typed object, or the path of the field that does not fit and why.
fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { inner.to_string() } else { format!("{path}: {inner}") }
    })
}
