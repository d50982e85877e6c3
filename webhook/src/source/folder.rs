//! Takes objects from a folder of manifests.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use daemon::{
    contact::Health,
    manifests::{Manifests, Problem},
};
use futures::future::BoxFuture;
use profile::snapshot::Switches;

pub use document::{Document, Identity};

use super::{Published, Source};
use crate::world::{Item, Key, Kind, World};

mod document;

/// One folder.
#[derive(Debug)]
pub struct Folder(Manifests<Document>);

impl Folder {
    /// A folder, not yet read.
    pub fn new(path: PathBuf) -> Self {
        Self(Manifests::new(path))
    }

    /// Reads it once. The objects are those of all good documents.
    pub fn read(&mut self) -> (World, Vec<Problem>) {
        let (documents, problems) = self.0.read();
        (world(documents), problems)
    }
}

impl Source for Folder {
    fn run(self: Box<Self>, to: Published) -> BoxFuture<'static, ()> {
        Box::pin(self.0.follow(move |documents, _all_good| {
            to.publish(&mut world(documents));
            std::future::ready(())
        }))
    }

    fn health(&self) -> Arc<dyn Health> {
        self.0.health()
    }
}

fn world(documents: Vec<Document>) -> World {
    let mut objects = BTreeMap::<Kind, BTreeMap<Key, Item>>::new();
    for Document { kind, key, item } in documents {
        objects.entry(kind).or_default().insert(key, item);
    }
    let mut world = World::new(Switches::ON);
    for (kind, items) in objects {
        world.replace(kind, items);
    }
    world
}

#[cfg(test)]
mod tests;
