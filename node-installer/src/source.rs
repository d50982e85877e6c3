//! Where profiles and pods come from: a cluster or a folder of manifests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use profile::{kinds::ProfileKind, mechanism::Mechanism};
use tokio::sync::mpsc;

use crate::{
    key::Key,
    lane::thread::Told,
    object::Object,
    users::{Used, Users},
};

pub mod cluster;
pub mod folder;

/// The ways to the lanes. A mechanism that is switched off has none.
#[derive(Clone, Debug, Default)]
pub struct Lanes(BTreeMap<Mechanism, mpsc::Sender<Told>>);

/// What pods use, by `NAMESPACE/NAME`.
pub type Pods = BTreeMap<Box<str>, Used>;

impl Lanes {
    /// Adds a lane.
    pub fn insert(&mut self, mechanism: Mechanism, to: mpsc::Sender<Told>) {
        self.0.insert(mechanism, to);
    }

    /// Whether somebody cares for this mechanism.
    pub fn has(&self, mechanism: Mechanism) -> bool {
        self.0.contains_key(&mechanism)
    }

    /// An object is there, or has changed.
    pub async fn object(&self, object: Object) {
        self.tell(object.key.mechanism(), Told::Object(Box::new(object))).await;
    }

    /// An object is gone.
    pub async fn gone(&self, key: Key) {
        self.tell(key.mechanism(), Told::Gone(key)).await;
    }

    /// These are all the objects of a kind.
    pub async fn all(&self, kind: ProfileKind, keys: BTreeSet<Key>) {
        self.tell(Mechanism::of(kind), Told::All(kind, keys)).await;
    }

    /// These are all pods.
    pub async fn pods(&self, pods: &Pods) {
        let users = Arc::new(Users::of(pods.iter().map(|(name, used)| (&**name, used))));
        for mechanism in self.0.keys() {
            self.tell(*mechanism, Told::Users(Arc::clone(&users))).await;
        }
    }

    /// Something on the node may have changed. A lane that has much to do looks anyway.
    pub fn look(&self, mechanism: Mechanism) {
        if let Some(lane) = self.0.get(&mechanism) {
            lane.try_send(Told::Look).unwrap_or_default();
        }
    }

    async fn tell(&self, mechanism: Mechanism, told: Told) {
        if let Some(lane) = self.0.get(&mechanism) {
            // A lane ends only when the process does.
            drop(lane.send(told).await);
        }
    }
}
