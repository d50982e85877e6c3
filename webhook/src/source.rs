//! Where bindings, recordings, namespaces and profiles come from: a cluster or a folder of manifests.

use std::sync::Arc;

use arc_swap::ArcSwap;
use daemon::contact::Health;
use profile::snapshot::Snapshot;
use tokio::sync::watch;

pub mod cluster;
pub mod folder;
pub mod item;

/// Keeps the snapshot equal to what is there.
pub trait Source: Send {
    /// Runs for ever. The snapshot is first published when everything is known that there is at the start.
    fn run(self: Box<Self>, to: Published) -> futures::future::BoxFuture<'static, ()>;

    /// How it is doing.
    fn health(&self) -> Arc<dyn Health>;
}

/// Where snapshots are read and published.
#[derive(Clone, Debug)]
pub struct Published {
    snapshot: Arc<ArcSwap<Snapshot>>,
    loaded: watch::Sender<bool>,
    counts: Arc<ArcSwap<Vec<Count>>>,
}

/// How many objects of a kind there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub kind: &'static str,
    pub objects: usize,
    pub invalid: usize,
}

impl Default for Published {
    fn default() -> Self {
        Self { snapshot: Arc::default(), loaded: watch::Sender::new(false), counts: Arc::default() }
    }
}

impl Published {
    /// The newest snapshot.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// How many objects the newest snapshot is made of.
    pub fn counts(&self) -> Arc<Vec<Count>> {
        self.counts.load_full()
    }

    /// Whether there is a snapshot yet.
    pub fn is_loaded(&self) -> bool {
        *self.loaded.borrow()
    }

    /// Waits until there is a snapshot.
    pub async fn loaded(&self) {
        // The sender is this object's own, so waiting cannot fail.
        drop(self.loaded.subscribe().wait_for(|loaded| *loaded).await);
    }

    /// Publishes what the world is like now.
    pub fn publish(&self, world: &mut crate::world::World) {
        self.snapshot.store(world.snapshot());
        let count = |kind: crate::world::Kind| Count {
            kind: kind.as_str(),
            objects: world.count(kind),
            invalid: world.count_invalid(kind),
        };
        self.counts.store(Arc::new(crate::world::Kind::ALL.map(count).to_vec()));
        self.loaded.send_if_modified(|loaded| !std::mem::replace(loaded, true));
    }
}
