//! Takes profiles and pods from a folder of manifests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use daemon::manifests::{Header, Manifest, Manifests, drop_nulls, typed};
use profile::kinds::ProfileKind;
use serde_json::Value;

use super::{Lanes, Pods};
use crate::{
    key::Key,
    object::Object,
    users::{PodSpec, Used, used},
};

/// A document that matters to a node.
#[derive(Clone, Debug)]
pub enum Document {
    Profile(Box<Object>),
    Pod(Box<str>, Used),
}

/// What tells documents apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    Profile(Key),
    Pod(Box<str>),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(key) => key.fmt(f),
            Self::Pod(name) => write!(f, "Pod {name}"),
        }
    }
}

impl Manifest for Document {
    type Key = Identity;

    fn key(&self) -> Identity {
        match self {
            Self::Profile(object) => Identity::Profile(object.key.clone()),
            Self::Pod(name, _) => Identity::Pod(name.clone()),
        }
    }

    fn read(mut value: Value) -> Result<Option<Self>, String> {
        drop_nulls(&mut value);
        let Some(header) = Header::of(&value)? else { return Ok(None) };
        if header.kind != "Pod" || !header.group.is_empty() {
            return Ok(Object::read(value)?.map(|object| Self::Profile(Box::new(object))));
        }
        let name = format!("{}/{}", header.namespace(), header.name()?);
        let annotations: BTreeMap<String, String> = typed(
            value["metadata"].get("annotations").cloned().unwrap_or_else(|| serde_json::json!({})),
        )?;
        let spec: PodSpec = typed(value["spec"].clone())?;
        Ok(Some(Self::Pod(name.into(), used(&spec, None, &annotations))))
    }
}

/// All that a folder holds.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    pub objects: Vec<Object>,
    pub pods: Pods,
}

impl Contents {
    /// Sorts documents.
    pub fn of(documents: Vec<Document>) -> Self {
        let mut contents = Self::default();
        for document in documents {
            match document {
                Document::Profile(object) => contents.objects.push(*object),
                Document::Pod(name, used) => drop(contents.pods.insert(name, used)),
            }
        }
        contents
    }

    /// The keys of all objects of a kind.
    pub fn keys(&self, kind: ProfileKind) -> BTreeSet<Key> {
        let keys = self.objects.iter().map(|object| &object.key);
        keys.filter(|key| key.kind == kind).cloned().collect()
    }
}

/// Tells the lanes for ever what the folder holds.
pub async fn follow(folder: Manifests<Document>, lanes: Lanes) {
    folder
        .follow(|documents, all_good| {
            let lanes = lanes.clone();
            async move {
                let contents = Contents::of(documents);
                let keys = ProfileKind::ALL.iter().map(|kind| (*kind, contents.keys(*kind)));
                let keys: Vec<_> = keys.collect();
                lanes.pods(&contents.pods).await;
                for object in contents.objects {
                    lanes.object(object).await;
                }
                // A document that cannot be read may be that of a profile which is on the node.
                if all_good {
                    for (kind, keys) in keys {
                        lanes.all(kind, keys).await;
                    }
                }
            }
        })
        .await;
}
