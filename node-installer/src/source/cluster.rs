//! Takes profiles and the pods of one node from a cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use daemon::{contact::Contact, watch::Change};
use futures::{StreamExt as _, stream::BoxStream};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, Object as Watched},
    core::{DeserializeGuard, ObjectMeta},
    runtime::watcher::watcher,
};
use profile::kinds::{
    AppArmorProfile, ProfileKind, RawSelinuxProfile, SeccompProfile, SelinuxProfile,
};
use serde::de::DeserializeOwned;

use super::{Lanes, Pods};
use crate::{
    key::Key,
    object::{Object, Spec},
    users::{PodSpec, PodStatus, Used, used},
};

/// The kinds that are watched, as probes and metrics call them.
pub const KINDS: [&str; 5] =
    ["SeccompProfile", "SelinuxProfile", "RawSelinuxProfile", "AppArmorProfile", "Pod"];

/// One node of a cluster.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
    pub contact: Arc<Contact>,
    pub node: String,
}

impl Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("node", &self.node).finish_non_exhaustive()
    }
}

/// What a watch tells, reduced to what matters here.
#[derive(Debug)]
enum Heard {
    Profile(ProfileKind, Change<Option<Box<Object>>>),
    Pod(Change<(Box<str>, Used)>),
}

type Pod = Watched<PodSpec, PodStatus>;

impl Cluster {
    /// Tells the lanes for ever what the cluster has.
    pub async fn follow(self, lanes: Lanes) {
        let mut initial = BTreeMap::<ProfileKind, BTreeSet<Key>>::new();
        let (mut pods, mut initial_pods) = (None::<Pods>, Pods::new());
        let mut heard = self.heard();
        while let Some(heard) = heard.next().await {
            match heard {
                Heard::Profile(_, Change::Apply(Some(object))) => lanes.object(*object).await,
                Heard::Profile(_, Change::Delete(Some(object))) => lanes.gone(object.key).await,
                Heard::Profile(kind, Change::Restart) => {
                    initial.insert(kind, BTreeSet::new());
                }
                Heard::Profile(kind, Change::Initial(Some(object))) => {
                    initial.entry(kind).or_default().insert(object.key.clone());
                    lanes.object(*object).await;
                }
                Heard::Profile(kind, Change::Complete) => {
                    lanes.all(kind, initial.remove(&kind).unwrap_or_default()).await;
                }
                // An object whose name the API server would not take.
                Heard::Profile(_, _) => {}
                Heard::Pod(change) => {
                    let before = pods.clone();
                    match change {
                        Change::Apply((name, used)) => {
                            pods.get_or_insert_default().insert(name, used);
                        }
                        Change::Delete((name, _)) => {
                            pods.get_or_insert_default().remove(&name);
                        }
                        Change::Restart => initial_pods.clear(),
                        Change::Initial((name, used)) => drop(initial_pods.insert(name, used)),
                        Change::Complete => pods = Some(std::mem::take(&mut initial_pods)),
                    }
                    // Most changes of a pod are none of what it uses.
                    if let Some(pods) = pods.as_ref().filter(|_| pods != before) {
                        lanes.pods(pods).await;
                    }
                }
            }
        }
    }

    fn heard(&self) -> BoxStream<'static, Heard> {
        let profiles = [
            self.watch::<SeccompProfile>(ProfileKind::SeccompProfile, |object| {
                Spec::Seccomp(object.spec.clone())
            }),
            self.watch::<SelinuxProfile>(ProfileKind::SelinuxProfile, |object| {
                Spec::Selinux(object.spec.clone())
            }),
            self.watch::<RawSelinuxProfile>(ProfileKind::RawSelinuxProfile, |object| {
                Spec::RawSelinux(object.spec.clone())
            }),
            self.watch::<AppArmorProfile>(ProfileKind::AppArmorProfile, |object| {
                Spec::AppArmor(object.spec.clone())
            }),
        ];
        futures::stream::select_all(profiles.into_iter().chain([self.watch_pods()])).boxed()
    }

    fn watch<K>(&self, kind: ProfileKind, spec: fn(&K) -> Spec) -> BoxStream<'static, Heard>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let api: Api<DeserializeGuard<K>> = Api::all(self.client.clone());
        let events = watcher(api, daemon::watch::config());
        let object = move |guard: &DeserializeGuard<K>| match &guard.0 {
            Ok(read) => object(kind, read.meta(), spec(read)),
            Err(error) => object(kind, &error.metadata, Spec::Invalid(daemon::error::chain(error))),
        };
        let changes =
            daemon::watch::follow(kind.as_str(), events, Arc::clone(&self.contact), object);
        changes.map(move |change| Heard::Profile(kind, change)).boxed()
    }

    fn watch_pods(&self) -> BoxStream<'static, Heard> {
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
        let api: Api<Pod> = Api::all_with(self.client.clone(), &resource);
        let config = daemon::watch::config().fields(&format!("spec.nodeName={}", self.node));
        let pod = |pod: &Pod| {
            let metadata = &pod.metadata;
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            let name = format!("{}/{}", text(&metadata.namespace), text(&metadata.name));
            let annotations = metadata.annotations.iter().flatten();
            (name.into(), used(&pod.spec, pod.status.as_ref(), annotations))
        };
        let changes =
            daemon::watch::follow("Pod", watcher(api, config), Arc::clone(&self.contact), pod);
        changes.map(Heard::Pod).boxed()
    }
}

fn object(kind: ProfileKind, metadata: &ObjectMeta, spec: Spec) -> Option<Box<Object>> {
    let key = Key::new(kind, metadata.name.as_deref().unwrap_or_default()).ok()?;
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0.to_string());
    Some(Box::new(Object { key, generation: metadata.generation, created, spec }))
}
