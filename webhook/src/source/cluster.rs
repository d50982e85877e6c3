//! Watches a cluster: resumes after any failure, and meanwhile what was last seen goes on being served.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
    time::Duration,
};

use daemon::{
    contact::{Contact, Health},
    watch::Change,
};
use futures::{StreamExt as _, future::BoxFuture, stream::BoxStream};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{ApiResource, Object},
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::watcher,
};
use profile::{
    kinds::{GROUP, ProfileBinding, ProfileKind, ProfileRecording},
    snapshot::Switches,
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{
    Published, Source,
    item::{self, ProfileSpec, ProfileStatus},
};
use crate::world::{Item, Key, Kind, World};

/// After the first of several changes, how long to wait for the others before a snapshot is made.
const GATHER: Duration = Duration::from_millis(20);

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

impl Cluster {
    /// Watches through a client that tells `contact` of its responses.
    pub fn new(client: Client, contact: Arc<Contact>) -> Self {
        Self { client, contact }
    }

    fn changes(&self) -> BoxStream<'static, (Kind, Change<(Key, Item)>)> {
        let client = &self.client;
        let mut streams = vec![
            self.watch::<ProfileBinding>(Kind::Binding, Api::all(client.clone()), item::binding),
            self.watch::<ProfileRecording>(
                Kind::Recording,
                Api::all(client.clone()),
                item::recording,
            ),
            self.watch_namespaces(),
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
            streams.push(self.watch::<Profile>(
                Kind::Profile(*kind),
                Api::all_with(client.clone(), &resource),
                |object| item::profile(&object.spec, object.status.as_ref()),
            ));
        }
        futures::stream::select_all(streams).boxed()
    }

    /// Watches one kind. An object that does not parse is an invalid one, not the end of the watch.
    fn watch<K>(
        &self,
        kind: Kind,
        api: Api<DeserializeGuard<K>>,
        reduce: fn(&K) -> Item,
    ) -> BoxStream<'static, (Kind, Change<(Key, Item)>)>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        K::DynamicType: Clone,
    {
        let events = watcher(api, daemon::watch::config());
        let item = move |guard: &DeserializeGuard<K>| match &guard.0 {
            Ok(object) => (key(object.meta()), reduce(object)),
            Err(error) => (key(&error.metadata), item::invalid(error)),
        };
        let changes = daemon::watch::follow(kind.as_str(), events, Arc::clone(&self.contact), item);
        changes.map(move |change| (kind, change)).boxed()
    }

    fn watch_namespaces(&self) -> BoxStream<'static, (Kind, Change<(Key, Item)>)> {
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(self.client.clone());
        let events = watcher(api, daemon::watch::config());
        let item = |namespace: &PartialObjectMeta<Namespace>| {
            (key(&namespace.metadata), item::namespace(namespace.labels()))
        };
        let kind = Kind::Namespace;
        let changes = daemon::watch::follow(kind.as_str(), events, Arc::clone(&self.contact), item);
        changes.map(move |change| (kind, change)).boxed()
    }
}

fn key(metadata: &ObjectMeta) -> Key {
    let text = |field: &Option<String>| field.as_deref().unwrap_or_default().into();
    (text(&metadata.namespace), text(&metadata.name))
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
                        Change::Apply((key, item)) => world.apply(kind, key, item),
                        Change::Delete((key, _)) => world.delete(kind, &key),
                        Change::Restart => drop(initial.insert(kind, BTreeMap::new())),
                        Change::Initial((key, item)) => {
                            initial.entry(kind).or_default().insert(key, item);
                        }
                        Change::Complete => {
                            world.replace(kind, initial.remove(&kind).unwrap_or_default());
                            waiting.remove(&kind);
                        }
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
