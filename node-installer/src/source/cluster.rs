//! Takes profiles and the pods of one node from a cluster.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use daemon::{contact::Contact, watch::Change};
use futures::{StreamExt as _, future::join_all, stream::BoxStream};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, Object as Watched},
    core::{DeserializeGuard, ObjectMeta},
    runtime::watcher::watcher,
};
use profile::{
    kinds::{AppArmorProfile, ProfileKind, RawSelinuxProfile, SeccompProfile, SelinuxProfile},
    mechanism::Mechanism,
};
use serde::de::DeserializeOwned;

use super::{Lanes, Pods};
use crate::{
    key::Key,
    object::{Object, Spec},
    users::{PodSpec, PodStatus, Used, used},
};

/// The kinds that are watched for these mechanisms, as probes and metrics call them.
pub fn kinds(mechanisms: &[Mechanism]) -> impl Iterator<Item = &'static str> {
    let profiles = mechanisms.iter().flat_map(|mechanism| crate::lane::kinds(*mechanism));
    profiles.map(ProfileKind::as_str).chain(["Pod"])
}

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

/// What a watch tells of profiles. None is an object whose name the API server would not take.
type Changes = BoxStream<'static, Change<Option<Box<Object>>>>;

type Pod = Watched<PodSpec, PodStatus>;

impl Cluster {
    /// Tells the lanes for ever what the cluster has. Each watch has a loop of its own: a lane that has much to do holds up
    /// no other.
    pub async fn follow(self, lanes: Lanes) {
        // What no lane cares for is not even watched: a watch that nobody asks for news sends nothing.
        let profiles = self.profiles().into_iter();
        let profiles = profiles.filter(|(kind, _)| lanes.has(Mechanism::of(*kind)));
        let profiles = profiles.map(|(kind, changes)| tell(kind, changes, &lanes));
        tokio::join!(join_all(profiles), tell_pods(self.pods(), &lanes));
    }

    fn profiles(&self) -> [(ProfileKind, Changes); 4] {
        [
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
        ]
    }

    fn watch<K>(&self, kind: ProfileKind, spec: fn(&K) -> Spec) -> (ProfileKind, Changes)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let api: Api<DeserializeGuard<K>> = Api::all(self.client.clone());
        let events = watcher(api, daemon::watch::config());
        let object = move |guard: &DeserializeGuard<K>| match &guard.0 {
            Ok(read) => object(kind, read.meta(), spec(read)),
            Err(error) => object(kind, &error.metadata, Spec::Invalid(daemon::error::chain(error))),
        };
        let contact = Arc::clone(&self.contact);
        (kind, daemon::watch::follow(kind.as_str(), events, contact, object))
    }

    fn pods(&self) -> BoxStream<'static, Change<(Box<str>, Used)>> {
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
        daemon::watch::follow("Pod", watcher(api, config), Arc::clone(&self.contact), pod)
    }
}

async fn tell(kind: ProfileKind, mut changes: Changes, lanes: &Lanes) {
    let mut initial = BTreeSet::new();
    while let Some(change) = changes.next().await {
        match change {
            Change::Apply(Some(object)) => lanes.object(*object).await,
            Change::Delete(Some(object)) => lanes.gone(object.key).await,
            Change::Restart => initial.clear(),
            Change::Initial(Some(object)) => {
                initial.insert(object.key.clone());
                lanes.object(*object).await;
            }
            Change::Complete => lanes.all(kind, std::mem::take(&mut initial)).await,
            Change::Apply(None) | Change::Delete(None) | Change::Initial(None) => {}
        }
    }
}

async fn tell_pods(mut changes: BoxStream<'static, Change<(Box<str>, Used)>>, lanes: &Lanes) {
    let (mut pods, mut initial) = (None::<Pods>, Pods::new());
    while let Some(change) = changes.next().await {
        let before = pods.clone();
        match change {
            Change::Apply((name, used)) => drop(pods.get_or_insert_default().insert(name, used)),
            Change::Delete((name, _)) => drop(pods.get_or_insert_default().remove(&name)),
            Change::Restart => initial.clear(),
            Change::Initial((name, used)) => drop(initial.insert(name, used)),
            Change::Complete => pods = Some(std::mem::take(&mut initial)),
        }
        // Most changes of a pod are none of what it uses.
        if let Some(pods) = pods.as_ref().filter(|_| pods != before) {
            lanes.pods(pods).await;
        }
    }
}

fn object(kind: ProfileKind, metadata: &ObjectMeta, spec: Spec) -> Option<Box<Object>> {
    let key = Key::new(kind, metadata.name.as_deref().unwrap_or_default()).ok()?;
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0.to_string());
    Some(Box::new(Object { key, generation: metadata.generation, created, spec }))
}
