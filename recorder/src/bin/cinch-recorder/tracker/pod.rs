//! What of a pod matters to a recorder. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// A pod of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    /// The uid that its cgroup carries, where that is another one: a static pod is started before the API knows of it.
    pub(crate) static_uid: Option<String>,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) generate_name: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations by which a webhook has marked containers for a recording.
    pub(crate) marks: BTreeMap<String, String>,
    /// Names of containers, those that run before the others included.
    pub(crate) containers: Vec<String>,
    /// Names of containers that somebody added to look at the others.
    pub(crate) ephemeral: Vec<String>,
    /// Ids that its status has told, each with the container's name.
    pub(crate) ids: BTreeMap<String, String>,
    /// Whether all of its containers have ended for good.
    pub(crate) done: bool,
    /// What has made it, and others like it, in its namespace.
    pub(crate) owner: Option<Object>,
}

/// An object of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Pod {
    /// `namespace/name`.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The random end of a name that was generated.
    pub(crate) fn suffix(&self) -> Option<&str> {
        let stem = self.generate_name.as_deref()?;
        self.name.strip_prefix(stem).filter(|suffix| !suffix.is_empty() && !stem.is_empty())
    }

    /// The only container that the pod can have, where it is one.
    pub(crate) fn only_container(&self) -> Option<&str> {
        match (&self.containers[..], &self.ephemeral[..]) {
            ([only], []) => Some(only),
            _ => None,
        }
    }

    /// The id of a container as runtimes call it: `containerd://<id>` in a status.
    pub(crate) fn bare_id(id: &str) -> &str {
        id.split_once("://").map_or(id, |(_, bare)| bare)
    }

    /// The uids that a cgroup of it may carry.
    pub(crate) fn uids(&self) -> BTreeSet<&str> {
        [Some(&*self.uid), self.static_uid.as_deref()].into_iter().flatten().collect()
    }
}
