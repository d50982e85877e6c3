//! Copies of the objects, from which a node goes on while the API server is away, and which need not be held in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use profile::kinds::ProfileKind;

use crate::{
    disk::{DiskError, Folder},
    key::Key,
    object::Object,
};

/// The copies, a folder for each kind.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Copies below this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Keeps copies of objects, but writes none that is there already. Tells which were not there.
    #[expect(clippy::missing_panics_doc, reason = "an object always serializes")]
    pub fn put<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Object>,
    ) -> Result<BTreeSet<Key>, DiskError> {
        let mut by_kind = BTreeMap::<ProfileKind, Vec<&Object>>::new();
        for object in objects {
            by_kind.entry(object.key.kind).or_default().push(object);
        }
        let mut written = BTreeSet::new();
        for (kind, objects) in by_kind {
            let folder = Folder::make(&self.of(kind))?;
            let mut files = Vec::new();
            for object in objects {
                let text = serde_json::to_vec(object).expect("an object has string keys alone");
                if folder.read(&object.key.name).is_ok_and(|there| there == text) {
                    continue;
                }
                files.push((&*object.key.name, text));
                written.insert(object.key.clone());
            }
            if !files.is_empty() {
                let files: Vec<_> = files.iter().map(|(name, text)| (*name, &**text)).collect();
                folder.replace(&files).into_iter().collect::<Result<(), _>>()?;
            }
        }
        Ok(written)
    }

    /// The copy of an object. One that cannot be read is no copy.
    pub fn get(&self, key: &Key) -> Option<Object> {
        let folder = Folder::open(&self.of(key.kind)).ok()??;
        let text = folder.read(&key.name).ok()?;
        serde_json::from_slice(&text).ok().filter(|object: &Object| object.key == *key)
    }

    /// The keys of all copies of a kind.
    pub fn keys(&self, kind: ProfileKind) -> Vec<Key> {
        let folder = Folder::open(&self.of(kind)).ok().flatten();
        let names = folder.and_then(|folder| folder.names().ok()).unwrap_or_default();
        names.iter().filter_map(|name| Key::new(kind, name).ok()).collect()
    }

    /// Forgets an object.
    pub fn remove(&self, key: &Key) -> Result<(), DiskError> {
        Folder::open(&self.of(key.kind))?.map_or(Ok(()), |folder| folder.remove(&key.name))
    }

    fn of(&self, kind: ProfileKind) -> PathBuf {
        self.folder.join(kind.as_str())
    }
}
