//! One thing of ours that blocks an object, and how it is taken away.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, Object, Patch, PatchParams},
    core::ObjectMeta,
};
use profile::{
    kinds::{GROUP, ProfileKind},
    pod::Gates,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{controller::profile::IN_USE, opening::opening};

/// A pod of which only the gates are read.
pub(super) type Gated = Object<Spec, Nothing>;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(default)]
    scheduling_gates: Gates,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Nothing {}

/// An object that is blocked, and the patch that frees it.
#[derive(Debug)]
pub(super) struct Block {
    namespace: Option<String>,
    name: String,
    resource: ApiResource,
    patch: Patch<Value>,
}

impl Block {
    /// The gate of a pod, if it is there.
    pub(super) fn of_pod(pod: &Gated) -> Option<Self> {
        (pod.spec.scheduling_gates == Gates::Ours).then(|| Self {
            namespace: pod.namespace(),
            name: pod.name_any(),
            resource: ApiResource::erase::<Pod>(&()),
            patch: Patch::Strategic(opening(pod.metadata.uid.as_deref().unwrap_or_default())),
        })
    }

    /// The finalizer of a profile, if it is there.
    pub(super) fn of_profile(kind: ProfileKind, metadata: &ObjectMeta) -> Option<Self> {
        let finalizers = metadata.finalizers.as_ref()?;
        if !finalizers.iter().any(|finalizer| finalizer == IN_USE) {
            return None;
        }
        let others: Vec<_> = finalizers.iter().filter(|finalizer| *finalizer != IN_USE).collect();
        // With its version: a list is replaced as a whole, and others may be about to write theirs.
        Some(Self {
            namespace: None,
            name: metadata.name.clone().unwrap_or_default(),
            resource: resource(kind),
            patch: Patch::Merge(json!({ "metadata": {
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
                "finalizers": others,
            }})),
        })
    }

    pub(super) async fn remove(&self, client: &Client) -> kube::Result<()> {
        let client = client.clone();
        let api: Api<DynamicObject> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &self.resource),
            None => Api::all_with(client, &self.resource),
        };
        let manager = Some(super::MANAGER.to_owned());
        let options = PatchParams { field_manager: manager, ..PatchParams::default() };
        api.patch_metadata(&self.name, &options, &self.patch).await.map(drop)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, resource, .. } = self;
        match namespace {
            Some(namespace) => write!(f, "{} {namespace}/{name}: gate opened", resource.kind),
            None => write!(f, "{} {name}: finalizer taken off", resource.kind),
        }
    }
}

/// The resource of a kind of profile.
pub(super) fn resource(kind: ProfileKind) -> ApiResource {
    ApiResource {
        group: GROUP.into(),
        version: "v1".into(),
        api_version: format!("{GROUP}/v1"),
        kind: kind.as_str().into(),
        plural: kind.as_str().to_ascii_lowercase() + "s",
    }
}
