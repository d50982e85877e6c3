//! One file of manifests: its documents, or what is wrong with which of them.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use profile::kinds::Validate;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Manifest;

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

/// What a document is, by its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The group of its `apiVersion`, empty for the core one.
    pub group: &'a str,
    pub kind: &'a str,
    metadata: &'a Value,
}

impl<'a> Header<'a> {
    /// The header; none for an empty document.
    pub fn of(value: &'a Value) -> Result<Option<Self>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        let (group, _version) = text("apiVersion").split_once('/').unwrap_or_default();
        match text("kind") {
            "" => Err("kind: missing, and so is what the document is".into()),
            kind => Ok(Some(Self { group, kind, metadata: &value["metadata"] })),
        }
    }

    /// The name of the object.
    pub fn name(&self) -> Result<&'a str, String> {
        match &self.metadata["name"] {
            Value::String(name) if !name.is_empty() => Ok(name),
            Value::Null | Value::String(_) => Err("metadata.name: missing".into()),
            name => Err(format!("metadata.name: {name} is no string; put it in quotes")),
        }
    }

    /// The namespace of an object that is in one.
    pub fn namespace(&self) -> &'a str {
        self.metadata["namespace"].as_str().unwrap_or("default")
    }
}

/// Reads a file; documents of kinds that do not matter are passed over.
pub(super) fn read_file<T: Manifest>(
    path: &Path,
    max: u64,
    problems: &mut Vec<Problem>,
) -> Vec<(usize, T)> {
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
            match T::read(value) {
                Ok(document) => documents.extend(document.map(|document| (number, document))),
                Err(message) => problems.push(Problem::new(path, Some(number), message)),
            }
        }
    }
    documents
}

/// The documents of a YAML text; JSON is YAML too.
pub fn parse(text: &str) -> Result<Vec<Value>, String> {
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

/// The typed object, if the API server would take it.
pub fn checked<T: DeserializeOwned + Validate>(mut value: Value) -> Result<T, String> {
    drop_nulls(&mut value);
    let object: T = typed(value)?;
    let problems: Vec<_> = object.validate().iter().map(ToString::to_string).collect();
    if problems.is_empty() { Ok(object) } else { Err(problems.join("; ")) }
}

/// A field that is null is one that is not there, as it is for the API server.
pub fn drop_nulls(value: &mut Value) {
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
pub fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { inner.to_string() } else { format!("{path}: {inner}") }
    })
}
