//! The part of a pod's object that a recorder reads. Pure.

use kube::core::ObjectMeta;
use profile::recordings::Mark;
use serde::Deserialize;

use crate::tracker::{Object, Pod};

/// What a static pod's object carries: the uid that its cgroup has.
const STATIC_UID: &str = "kubernetes.io/config.hash";

/// Names of containers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpec {
    init_containers: Vec<Container>,
    containers: Vec<Container>,
    ephemeral_containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
}

/// Ids of containers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodStatus {
    phase: Option<String>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
    state: State,
    last_state: State,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Terminated {
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

/// A pod, as the tracker knows it.
pub(crate) fn pod(metadata: &ObjectMeta, spec: &PodSpec, status: Option<&PodStatus>) -> Pod {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let names = |containers: &[Container]| -> Vec<_> {
        containers.iter().map(|container| container.name.clone()).collect()
    };
    let annotations = metadata.annotations.iter().flatten();
    let mut pod = Pod {
        uid: text(&metadata.uid),
        static_uid: annotations
            .clone()
            .find(|(key, _)| *key == STATIC_UID)
            .map(|(_, uid)| uid.clone()),
        namespace: text(&metadata.namespace),
        name: text(&metadata.name),
        generate_name: metadata.generate_name.clone(),
        labels: metadata.labels.clone().unwrap_or_default(),
        marks: annotations
            .filter(|(key, _)| Mark::owns(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        containers: [names(&spec.init_containers), names(&spec.containers)].concat(),
        ephemeral: names(&spec.ephemeral_containers),
        owner: owner(metadata),
        ..Pod::default()
    };
    let Some(status) = status else { return pod };
    pod.done = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    for list in [
        &status.init_container_statuses,
        &status.container_statuses,
        &status.ephemeral_container_statuses,
    ] {
        for container in list {
            let ended = [&container.state, &container.last_state];
            let ended =
                ended.iter().filter_map(|state| state.terminated.as_ref()?.container_id.as_ref());
            for id in ended.chain(&container.container_id).filter(|id| !id.is_empty()) {
                pod.ids.insert(Pod::bare_id(id).to_owned(), container.name.clone());
            }
        }
    }
    pod
}

/// The controller that has made a pod. A node, which static pods have in its place, is in no namespace.
fn owner(metadata: &ObjectMeta) -> Option<Object> {
    let mut owners = metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true) && owner.kind != "Node")?;
    Some(Object {
        api_version: owner.api_version.clone(),
        kind: owner.kind.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_id_that_a_status_has_leads_to_a_name() {
        let metadata = serde_json::from_value(json!({
            "name": "web-x7k2p", "namespace": "shop", "uid": "u", "generateName": "web-",
            "labels": { "app": "web" },
            "ownerReferences": [
                { "apiVersion": "v1", "kind": "Node", "name": "n", "uid": "1", "controller": true },
                { "apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "2" },
                { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "3", "controller": true },
            ],
            "annotations": {
                "kubernetes.io/config.hash": "h",
                "io.containers.trace-bpf/main": "r_main_1_2",
                "io.kubernetes.cri.x": "y",
            },
        }))
        .unwrap();
        let spec = serde_json::from_value(json!({
            "nodeName": "n",
            "initContainers": [{ "name": "setup", "image": "i" }],
            "containers": [{ "name": "main", "image": "i" }],
            "ephemeralContainers": [{ "name": "debugger" }],
        }))
        .unwrap();
        let status = serde_json::from_value(json!({
            "phase": "Running",
            "initContainerStatuses": [{ "name": "setup", "state": { "terminated": { "exitCode": 0, "containerID": "containerd://1" } } }],
            "containerStatuses": [{
                "name": "main", "containerID": "cri-o://3", "state": { "running": {} },
                "lastState": { "terminated": { "containerID": "cri-o://2" } },
            }],
            "ephemeralContainerStatuses": [{ "name": "debugger", "containerID": "containerd://4" }],
        })).unwrap();
        let pod = pod(&metadata, &spec, Some(&status));
        let ids: Vec<_> = pod.ids.iter().map(|(id, name)| (&**id, &**name)).collect();
        assert_eq!(ids, [("1", "setup"), ("2", "main"), ("3", "main"), ("4", "debugger")]);
        assert_eq!((pod.suffix(), pod.static_uid.as_deref()), (Some("x7k2p"), Some("h")));
        assert_eq!(pod.containers, ["setup", "main"]);
        assert_eq!(pod.marks.len(), 1);
        assert_eq!(pod.owner.unwrap().name, "web-1");
        assert!(!pod.done);
    }
}
