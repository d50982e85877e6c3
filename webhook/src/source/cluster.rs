//! Watches a cluster: resumes after any failure, and meanwhile what was last seen goes on being served.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, future::BoxFuture, stream::BoxStream};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{ApiResource, Object},
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use profile::{
    kinds::{GROUP, ProfileBinding, ProfileKind, ProfileRecording},
    snapshot::Switches,
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

pub use contact::{Contact, ContactLayer, Heard};

use super::{
    Health, Published, Source,
    item::{self, ProfileSpec, ProfileStatus},
};
use crate::world::{Item, Key, Kind, World};

mod contact;

/// After the first of several changes, how long to wait for the others before a snapshot is made.
const GATHER: Duration = Duration::from_millis(20);

/// The API server ends a watch after this, so that one that has silently died is noticed soon.
const WATCH_SECONDS: u32 = 60;

type Profile = Object<ProfileSpec, ProfileStatus>;

/// One cluster.
pub struct Cluster {
    client: Client,
    contact: Arc<Contact>,
}

impl Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("contact", &self.contact).finish_non_exhaustive()
    }
}

/// What a watch tells.
enum Change {
    Apply(Key, Item),
    Delete(Key),
    Restart,
    Initial(Key, Item),
    Complete,
    Lost,
}

impl Cluster {
    /// Watches through a client that tells `contact` of its responses.
    pub fn new(client: Client, contact: Arc<Contact>) -> Self {
        Self { client, contact }
    }

    fn changes(&self) -> BoxStream<'static, (Kind, Change)> {
        let client = &self.client;
        let mut streams = vec![
            watch::<ProfileBinding>(Kind::Binding, Api::all(client.clone()), |object| {
                item::binding(object)
            }),
            watch::<ProfileRecording>(Kind::Recording, Api::all(client.clone()), |object| {
                item::recording(object)
            }),
            watch_namespaces(client.clone()),
        ];
        for kind in ProfileKind::ALL {
            let plural = kind.as_str().to_ascii_lowercase() + "s";
            let resource = ApiResource {
                group: GROUP.into(),
                version: "v1".into(),
                api_version: format!("{GROUP}/v1"),
                kind: kind.as_str().into(),
                plural,
            };
            streams.push(watch::<Profile>(
                Kind::Profile(*kind),
                Api::all_with(client.clone(), &resource),
                |object| item::profile(&object.spec, object.status.as_ref()),
            ));
        }
        futures::stream::select_all(streams).boxed()
    }
}

impl Source for Cluster {
    fn run(self: Box<Self>, to: Published) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // The API server sends what has opted in; whether an unknown namespace records is not assumed.
            let mut world = World::new(Switches { binding: true, recording: false });
            let mut waiting: BTreeSet<_> = Kind::ALL.into();
            let mut initial: BTreeMap<Kind, BTreeMap<Key, Item>> = BTreeMap::new();
            let mut changes = self.changes();
            while let Some(first) = changes.next().await {
                let deadline = Instant::now() + GATHER;
                let mut next = Some(first);
                while let Some((kind, change)) = next {
                    match change {
                        Change::Apply(key, item) => world.apply(kind, key, item),
                        Change::Delete(key) => world.delete(kind, &key),
                        Change::Restart => drop(initial.insert(kind, BTreeMap::new())),
                        Change::Initial(key, item) => {
                            initial.entry(kind).or_default().insert(key, item);
                        }
                        Change::Complete => {
                            world.replace(kind, initial.remove(&kind).unwrap_or_default());
                            waiting.remove(&kind);
                        }
                        Change::Lost => self.contact.lost(kind),
                    }
                    next = timeout_at(deadline, changes.next()).await.ok().flatten();
                }
                if waiting.is_empty() {
                    to.publish(&mut world);
                }
            }
        })
    }

    fn health(&self) -> Arc<dyn Health> {
        Arc::clone(&self.contact) as Arc<dyn Health>
    }
}

/// Watches one kind. An object that does not parse is an invalid one, not the end of the watch.
fn watch<K>(
    kind: Kind,
    api: Api<DeserializeGuard<K>>,
    reduce: impl Fn(&K) -> Item + Send + 'static,
) -> BoxStream<'static, (Kind, Change)>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Clone,
{
    let objects = watcher::watcher(api, watcher::Config::default().timeout(WATCH_SECONDS));
    follow(kind, objects, move |guard: &DeserializeGuard<K>| match &guard.0 {
        Ok(object) => reduce(object),
        Err(error) => item::invalid(error),
    })
}

fn watch_namespaces(client: Client) -> BoxStream<'static, (Kind, Change)> {
    use k8s_openapi::api::core::v1::Namespace;
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client);
    let objects = watcher::watcher(api, watcher::Config::default().timeout(WATCH_SECONDS));
    follow(Kind::Namespace, objects, |namespace: &PartialObjectMeta<Namespace>| {
        item::namespace(namespace.labels())
    })
}

fn follow<K: Resource + Send + 'static>(
    kind: Kind,
    objects: impl futures::Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    reduce: impl Fn(&K) -> Item + Send + 'static,
) -> BoxStream<'static, (Kind, Change)> {
    let key = |object: &K| -> Key {
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        (namespace.into(), object.meta().name.as_deref().unwrap_or_default().into())
    };
    objects
        .default_backoff()
        .map(move |event| {
            let change = match event {
                Ok(Event::Apply(object)) => Change::Apply(key(&object), reduce(&object)),
                Ok(Event::InitApply(object)) => Change::Initial(key(&object), reduce(&object)),
                Ok(Event::Delete(object)) => Change::Delete(key(&object)),
                Ok(Event::Init) => Change::Restart,
                Ok(Event::InitDone) => Change::Complete,
                Err(error) => {
                    let error = super::chain(&error);
                    tracing::warn!(
                        kind = kind.as_str(),
                        error,
                        "watch lost, serving what was last seen"
                    );
                    Change::Lost
                }
            };
            (kind, change)
        })
        .boxed()
}
