//! Takes recordings, the pods of one node and the namespaces that have opted in from a cluster.

use std::{collections::BTreeSet, sync::Arc};

use daemon::{
    contact::Contact,
    watch::{Change, config, follow},
};
use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::core::v1::{self as core, Namespace};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, Object, PartialObjectMeta},
    core::DeserializeGuard,
    runtime::watcher::watcher,
};
use profile::{kinds::ProfileRecording, snapshot::ENABLE_RECORDING};

use super::{
    ToTracker, Told,
    pod::{PodSpec, PodStatus, pod},
    tell,
};
use crate::tracker::{Key, Pod, Recording};

/// The kinds that are watched, as probes and metrics call them.
pub(crate) const KINDS: [&str; 3] = ["ProfileRecording", "Pod", "Namespace"];

/// Tells the tracker for ever what the cluster has.
pub(crate) async fn follow_all(client: Client, contact: Arc<Contact>, node: String, to: ToTracker) {
    tokio::join!(
        tell_recordings(recordings(client.clone(), Arc::clone(&contact)), &to),
        tell_pods(pods(client.clone(), Arc::clone(&contact), &node), &to),
        tell_namespaces(namespaces(client, contact), &to),
    );
}

type Recordings = BoxStream<'static, Change<(Key, Option<Box<Recording>>)>>;

fn recordings(client: Client, contact: Arc<Contact>) -> Recordings {
    let api: Api<DeserializeGuard<ProfileRecording>> = Api::all(client);
    let read = |guard: &DeserializeGuard<ProfileRecording>| {
        let key = Key { namespace: guard.namespace().unwrap_or_default(), name: guard.name_any() };
        let recording = match &guard.0 {
            Ok(object) => Recording::of(object),
            Err(error) => Err(daemon::error::chain(error)),
        };
        let recording = recording.inspect_err(|error| {
            tracing::warn!(recording = %key, error, "a recording cannot be used");
        });
        (key, recording.ok().map(Box::new))
    };
    follow("ProfileRecording", watcher(api, config()), contact, read)
}

async fn tell_recordings(mut changes: Recordings, to: &ToTracker) {
    let mut initial = BTreeSet::new();
    while let Some(change) = changes.next().await {
        let told = match change {
            Change::Restart => {
                initial.clear();
                continue;
            }
            Change::Initial((key, recording)) => {
                initial.insert(key.clone());
                told(key, recording)
            }
            Change::Apply((key, recording)) => told(key, recording),
            Change::Delete((key, _)) => Told::RecordingGone(key),
            Change::Complete => Told::Recordings(std::mem::take(&mut initial)),
        };
        tell(to, told).await;
    }
}

/// A recording that cannot be used records nothing.
fn told(key: Key, recording: Option<Box<Recording>>) -> Told {
    recording.map_or(Told::RecordingGone(key), Told::Recording)
}

fn pods(client: Client, contact: Arc<Contact>, node: &str) -> BoxStream<'static, Change<Pod>> {
    let resource = ApiResource::erase::<core::Pod>(&());
    let api: Api<Object<PodSpec, PodStatus>> = Api::all_with(client, &resource);
    let config = config().fields(&format!("spec.nodeName={node}"));
    let read = |object: &Object<PodSpec, PodStatus>| {
        pod(&object.metadata, &object.spec, object.status.as_ref())
    };
    follow("Pod", watcher(api, config), contact, read)
}

async fn tell_pods(mut changes: BoxStream<'static, Change<Pod>>, to: &ToTracker) {
    let mut initial = BTreeSet::new();
    while let Some(change) = changes.next().await {
        let told = match change {
            Change::Restart => {
                initial.clear();
                continue;
            }
            Change::Initial(pod) => {
                initial.insert(pod.uid.clone());
                Told::Pod(Box::new(pod))
            }
            Change::Apply(pod) => Told::Pod(Box::new(pod)),
            Change::Delete(pod) => {
                // Its last status may have what no earlier one had.
                let uid = pod.uid.clone();
                tell(to, Told::Pod(Box::new(pod))).await;
                Told::PodGone(uid)
            }
            Change::Complete => Told::Pods(std::mem::take(&mut initial)),
        };
        tell(to, told).await;
    }
}

fn namespaces(client: Client, contact: Arc<Contact>) -> BoxStream<'static, Change<String>> {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client);
    let selector = format!("{ENABLE_RECORDING},{ENABLE_RECORDING}!=false");
    let events = watcher(api, config().labels(&selector));
    let read = |object: &PartialObjectMeta<Namespace>| object.name_any();
    follow("Namespace", events, contact, read)
}

async fn tell_namespaces(mut changes: BoxStream<'static, Change<String>>, to: &ToTracker) {
    let (mut enabled, mut initial) = (BTreeSet::new(), BTreeSet::new());
    while let Some(change) = changes.next().await {
        let before = enabled.clone();
        let mut complete = false;
        match change {
            Change::Restart => initial.clear(),
            Change::Initial(name) => drop(initial.insert(name)),
            Change::Apply(name) => drop(enabled.insert(name)),
            Change::Delete(name) => drop(enabled.remove(&name)),
            Change::Complete => {
                enabled = std::mem::take(&mut initial);
                complete = true;
            }
        }
        if complete || enabled != before {
            tell(to, Told::Namespaces(Some(enabled.clone()))).await;
        }
    }
}
