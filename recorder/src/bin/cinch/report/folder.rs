//! What a report is made of, from files: `kubectl get -o yaml` of a cluster that nobody can reach from here.

use std::{fmt, path::Path};

use anyhow::bail;
use daemon::manifests::{Header, Manifest, Manifests, drop_nulls, typed};
use kube::api::{Object, ObjectMeta};
use profile::kinds::{GROUP, ProfileKind};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::gather::{Gather, Item};
use crate::profile_head::{Head, HeadSpec, HeadStatus};

/// A document, with what no two may have in common.
#[derive(Clone, Debug)]
struct Document {
    key: Key,
    item: Item,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: String,
    namespace: String,
    name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        match &**namespace {
            "" => write!(f, "{kind} {name}"),
            namespace => write!(f, "{kind} {namespace}/{name}"),
        }
    }
}

/// The metadata of an object, the rest left unread.
#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(default)]
    metadata: ObjectMeta,
}

/// Takes in a folder.
pub(super) fn read(path: &Path, namespaces: &[String], gather: &mut Gather) -> anyhow::Result<()> {
    if !path.is_dir() {
        bail!("{}: there is no such folder", path.display());
    }
    let (mut documents, problems) = Manifests::<Document>::new(path.to_owned()).read();
    for problem in problems {
        gather.note(problem.to_string());
    }
    // Whatever is in no namespace is of use for all.
    documents.retain(|document| {
        let Key { kind, namespace, name } = &document.key;
        let of = if kind == "Namespace" { name } else { namespace };
        namespaces.is_empty() || of.is_empty() || namespaces.contains(of)
    });
    documents.sort_by_key(|document| document.item.turn());
    for document in documents {
        gather.take(document.item);
    }
    Ok(())
}

impl Manifest for Document {
    type Key = Key;

    fn read(mut value: Value) -> Result<Option<Self>, String> {
        drop_nulls(&mut value);
        let (kind, name, namespace) = {
            let Some(header) = Header::of(&value)? else { return Ok(None) };
            let (kind, group) = (header.kind.to_owned(), header.group);
            let known = matches!(
                (group, &*kind),
                ("", "Namespace" | "Pod" | "Event")
                    | ("events.k8s.io", "Event")
                    | ("apps", "ReplicaSet")
                    | ("batch", "Job")
            );
            if !known && group != GROUP {
                return Ok(None);
            }
            (kind, header.name()?.to_owned(), header.namespace().to_owned())
        };
        let item = match &*kind {
            "Namespace" => Item::Namespace(Box::new(typed::<Meta>(value)?.metadata)),
            "ReplicaSet" => Item::Part("ReplicaSet", Box::new(typed::<Meta>(value)?.metadata)),
            "Job" => Item::Part("Job", Box::new(typed::<Meta>(value)?.metadata)),
            "Pod" => Item::Pod(boxed(placed(value, &namespace))?),
            "Event" => Item::Event(boxed(event(value))?),
            "ProfileBinding" => Item::Binding(boxed(placed(value, &namespace))?),
            "ProfileRecording" => Item::Recording(boxed(placed(value, &namespace))?),
            "SeccompProfile" => head(ProfileKind::SeccompProfile, value)?,
            "SelinuxProfile" => head(ProfileKind::SelinuxProfile, value)?,
            "RawSelinuxProfile" => head(ProfileKind::RawSelinuxProfile, value)?,
            "AppArmorProfile" => head(ProfileKind::AppArmorProfile, value)?,
            _ => return Ok(None),
        };
        let whole = matches!(item, Item::Namespace(_) | Item::Profile(_));
        let namespace = if whole { String::new() } else { namespace };
        Ok(Some(Self { key: Key { kind, namespace, name }, item }))
    }

    fn key(&self) -> Key {
        self.key.clone()
    }
}

fn boxed<T: DeserializeOwned>(value: Value) -> Result<Box<T>, String> {
    typed(value).map(Box::new)
}

fn head(kind: ProfileKind, value: Value) -> Result<Item, String> {
    let object: Object<HeadSpec, HeadStatus> = typed(value)?;
    Ok(Item::Profile(Head::of(kind, object)))
}

/// What says no namespace is in that of the header.
fn placed(mut value: Value, namespace: &str) -> Value {
    value["metadata"]["namespace"] = Value::from(namespace);
    value
}

/// `kubectl get events` gives the older form of the same objects.
fn event(mut value: Value) -> Value {
    if value["apiVersion"] == "v1" {
        value["apiVersion"] = Value::from("events.k8s.io/v1");
    }
    for (older, newer) in [
        ("involvedObject", "regarding"),
        ("message", "note"),
        ("reportingComponent", "reportingController"),
    ] {
        if let Some(fields) = value.as_object_mut()
            && !fields.contains_key(newer)
            && let Some(field) = fields.remove(older)
        {
            fields.insert(newer.to_owned(), field);
        }
    }
    value
}
