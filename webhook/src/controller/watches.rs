//! Watches the cluster for the controller; what is not needed of an object is dropped as it comes.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use daemon::{
    contact::Contact,
    watch::{Change, config, follow},
};
use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{ApiResource, Object},
    core::{DeserializeGuard, ObjectMeta, PartialObjectMeta},
    runtime::watcher::watcher,
};
use profile::{
    kinds::{GROUP, NodeSecurityProfiles, ProfileBinding, ProfileKind, ProfileRecording},
    snapshot::Switches,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    key::{Named, ProfileKey},
    place::{Place, Taint},
    pod::{Pod, PodSpec, PodStatus},
    profile::{Profile, Spec, Status},
    told::{Binding, Kind, Node, Recording, Told},
};

/// So many objects come at once: a page is held in memory as a whole.
const PAGE: u32 = 100;
/// An object of a node may list a thousand profiles.
const PAGE_OF_REPORTS: u32 = 10;

/// News of all kinds.
pub(super) fn all(client: &Client, contact: &Arc<Contact>) -> BoxStream<'static, Told> {
    let watches = Watches { client, contact };
    let mut streams = vec![
        watches.pods(),
        watches.nodes(),
        watches.reports(),
        watches.namespaces(),
        watches.bindings(),
        watches.recordings(),
    ];
    streams.extend(ProfileKind::ALL.iter().map(|kind| watches.profiles(*kind)));
    futures::stream::select_all(streams).boxed()
}

struct Watches<'a> {
    client: &'a Client,
    contact: &'a Arc<Contact>,
}

/// An object that was reduced; none where it cannot be used, which is as if it were not there.
type Reduced<K, T> = (K, Option<T>);

impl Watches<'_> {
    fn pods(&self) -> BoxStream<'static, Told> {
        let resource = ApiResource::erase::<core::Pod>(&());
        let read = |object: &Object<PodSpec, PodStatus>| {
            Box::new(Pod::of(&object.metadata, &object.spec, object.status.as_ref()))
        };
        let changes =
            self.watch(Kind::Pod, Api::all_with(self.client.clone(), &resource), PAGE, named, read);
        told(changes, Told::Pod, |all| Told::AllNamed(Kind::Pod, all))
    }

    fn nodes(&self) -> BoxStream<'static, Told> {
        let resource = ApiResource::erase::<core::Node>(&());
        let read = |object: &Object<NodeSpec, NodeStatus>| {
            let labels = object.metadata.labels.iter().flatten();
            let place = Place {
                labels: labels.map(|(key, value)| ((**key).into(), (**value).into())).collect(),
                taints: object.spec.taints.clone().unwrap_or_default(),
                unschedulable: object.spec.unschedulable.unwrap_or_default(),
            };
            Node { ready: object.status.as_ref().is_some_and(NodeStatus::is_ready), place }
        };
        let changes = self.watch(
            Kind::Node,
            Api::all_with(self.client.clone(), &resource),
            PAGE,
            of_cluster,
            read,
        );
        told(changes, Told::Node, |all| Told::AllOfCluster(Kind::Node, all))
    }

    fn reports(&self) -> BoxStream<'static, Told> {
        let read = |object: &NodeSecurityProfiles| {
            object.status.as_ref().map(|status| status.profiles.clone()).unwrap_or_default()
        };
        let api = Api::all(self.client.clone());
        let changes = self.watch(Kind::Report, api, PAGE_OF_REPORTS, of_cluster, read);
        told(changes, Told::Report, |all| Told::AllOfCluster(Kind::Report, all))
    }

    fn namespaces(&self) -> BoxStream<'static, Told> {
        let api: Api<PartialObjectMeta<core::Namespace>> = Api::all(self.client.clone());
        let events = watcher(api, config().page_size(PAGE));
        let read = |object: &PartialObjectMeta<core::Namespace>| {
            (of_cluster(&object.metadata), Some(Switches::from_labels(object.labels())))
        };
        let kind = Kind::Namespace;
        let changes = follow(kind.as_str(), events, Arc::clone(self.contact), read);
        told(changes, Told::Namespace, |all| Told::AllOfCluster(Kind::Namespace, all))
    }

    fn bindings(&self) -> BoxStream<'static, Told> {
        let read = |object: &ProfileBinding| {
            Box::new(Binding {
                uid: text(object.metadata.uid.as_ref()).into(),
                // What cannot be used is told to whoever makes a pod.
                rule: profile::bindings::Binding::new(object).ok().map(Arc::new),
                status: object.status.clone().unwrap_or_default(),
            })
        };
        let changes = self.watch(Kind::Binding, Api::all(self.client.clone()), PAGE, named, read);
        told(changes, Told::Binding, |all| Told::AllNamed(Kind::Binding, all))
    }

    fn recordings(&self) -> BoxStream<'static, Told> {
        let read = |object: &ProfileRecording| {
            Box::new(Recording {
                uid: text(object.metadata.uid.as_ref()).into(),
                version: text(object.metadata.resource_version.as_ref()).into(),
                status: object.status.clone().unwrap_or_default(),
            })
        };
        let changes = self.watch(Kind::Recording, Api::all(self.client.clone()), PAGE, named, read);
        told(changes, Told::Recording, |all| Told::AllNamed(Kind::Recording, all))
    }

    fn profiles(&self, kind: ProfileKind) -> BoxStream<'static, Told> {
        let resource = ApiResource {
            group: GROUP.into(),
            version: "v1".into(),
            api_version: format!("{GROUP}/v1"),
            kind: kind.as_str().into(),
            plural: kind.as_str().to_ascii_lowercase() + "s",
        };
        let read = move |object: &Object<Spec, Status>| {
            Box::new(Profile::of(kind, &object.metadata, &object.spec, object.status.as_ref()))
        };
        let api = Api::all_with(self.client.clone(), &resource);
        let changes = self.watch(Kind::Profile(kind), api, PAGE, of_cluster, read);
        let one = move |name, profile| Told::Profile(ProfileKey { kind, name }, profile);
        told(changes, one, move |all| Told::AllOfCluster(Kind::Profile(kind), all))
    }

    fn watch<K, N, T>(
        &self,
        kind: Kind,
        api: Api<DeserializeGuard<K>>,
        page: u32,
        key: fn(&ObjectMeta) -> N,
        read: impl Fn(&K) -> T + Send + 'static,
    ) -> BoxStream<'static, Change<Reduced<N, T>>>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        K::DynamicType: Clone,
        N: Send + 'static,
        T: Send + 'static,
    {
        let events = watcher(api, config().page_size(page));
        let reduce = move |guard: &DeserializeGuard<K>| match &guard.0 {
            Ok(object) => (key(object.meta()), Some(read(object))),
            Err(error) => {
                let name = error.metadata.name.as_deref().unwrap_or_default();
                let problem = daemon::error::chain(error);
                tracing::warn!(
                    kind = kind.as_str(),
                    name,
                    error = problem,
                    "an object cannot be used"
                );
                (key(&error.metadata), None)
            }
        };
        follow(kind.as_str(), events, Arc::clone(self.contact), reduce)
    }
}

/// What a change means: news of one object, and when all were told, which they were.
fn told<N, T>(
    changes: BoxStream<'static, Change<Reduced<N, T>>>,
    one: impl Fn(N, Option<T>) -> Told + Send + 'static,
    all: impl Fn(BTreeSet<N>) -> Told + Send + 'static,
) -> BoxStream<'static, Told>
where
    N: Clone + Ord + Send + 'static,
    T: Send + 'static,
{
    let mut initial = BTreeSet::new();
    let told = changes.filter_map(move |change| {
        let told = match change {
            Change::Apply((key, object)) => Some(one(key, object)),
            Change::Delete((key, _)) => Some(one(key, None)),
            Change::Restart => {
                initial.clear();
                None
            }
            Change::Initial((key, object)) => {
                initial.insert(key.clone());
                Some(one(key, object))
            }
            Change::Complete => Some(all(std::mem::take(&mut initial))),
        };
        std::future::ready(told)
    });
    told.boxed()
}

fn named(metadata: &ObjectMeta) -> Named {
    Named::new(text(metadata.namespace.as_ref()), text(metadata.name.as_ref()))
}

fn of_cluster(metadata: &ObjectMeta) -> Arc<str> {
    text(metadata.name.as_ref()).into()
}

fn text(field: Option<&String>) -> &str {
    field.map(String::as_str).unwrap_or_default()
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    taints: Option<Vec<Taint>>,
    unschedulable: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    conditions: Option<Vec<NodeCondition>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeCondition {
    r#type: String,
    status: String,
}

impl NodeStatus {
    fn is_ready(&self) -> bool {
        let mut conditions = self.conditions.iter().flatten();
        conditions.any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }
}
