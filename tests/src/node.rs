//! A node as the API server knows it: the Node, the tokens that are bound to it, and what it says of itself.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    authority::Identity,
    chart::{self, NAMESPACE},
    cluster::Cluster,
    namespace::unique,
    object::{self, GROUP},
    until::until,
};

/// As whom the daemons of all nodes ask.
pub const ACCOUNT: &str = "cinch-node-installer";

/// What the daemon of a node may do.
pub const RIGHTS: &str = include_str!("../../charts/cinch/templates/node-installer-rbac.yaml");
/// What narrows it down to the node's own object.
pub const POLICY: &str = include_str!("../../charts/cinch/templates/node-identity.yaml");

const LIMIT: Duration = Duration::from_mins(1);

/// A node that has no kubelet.
#[derive(Debug)]
pub struct Node<'a> {
    pub cluster: &'a Cluster,
    pub name: String,
    uid: String,
}

/// Gives the daemons of all nodes their rights, unless they have them.
pub async fn grant(cluster: &Cluster) -> Result<()> {
    chart::apply(cluster, RIGHTS).await?;
    chart::apply(cluster, POLICY).await
}

/// Creates all objects of a YAML text, or of a plain template of the chart, that are not there yet.
pub async fn apply(cluster: &Cluster, yaml: &str) -> Result<()> {
    for object in object::parse(&chart::plain(yaml)?)? {
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
        let at = object::collection(&object, namespace.unwrap_or_default())?;
        let answer = cluster.asker().ask("POST", &at, Some(&object)).await?;
        if answer.status != StatusCode::CONFLICT {
            answer.granted().with_context(|| format!("cannot create {object}"))?;
        }
    }
    Ok(())
}

/// A token of a service account; `bound` names the object that it is bound to.
pub async fn token(
    cluster: &Cluster,
    namespace: &str,
    account: &str,
    bound: Option<&Value>,
) -> Result<Identity> {
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": { "expirationSeconds": 3600, "boundObjectRef": bound },
    });
    let at = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let answer = cluster.asker().ask("POST", &at, Some(&request)).await?.granted()?;
    let token = object::text(&answer, "/status/token")?;
    Ok(cluster.identity("nobody", &[])?.with_token(token.to_owned()))
}

impl<'a> Node<'a> {
    /// A new node of a cluster in which daemons have their rights.
    pub async fn new(cluster: &'a Cluster) -> Result<Self> {
        grant(cluster).await?;
        let name = format!("node-{}", unique());
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } });
        let node = cluster.create(&node).await?;
        let uid = object::text(&node, "/metadata/uid")?.to_owned();
        Ok(Self { cluster, name, uid })
    }

    /// What says which object a token is bound to.
    pub fn reference(&self) -> Value {
        json!({ "apiVersion": "v1", "kind": "Node", "name": self.name, "uid": self.uid })
    }

    /// The daemon of this node.
    pub async fn identity(&self) -> Result<Identity> {
        token(self.cluster, NAMESPACE, ACCOUNT, Some(&self.reference())).await
    }

    /// A kubeconfig file for it.
    pub async fn kubeconfig(&self) -> Result<PathBuf> {
        self.cluster.kubeconfig(&self.name, &self.identity().await?)
    }

    /// What the node says that it has installed.
    pub fn own_object(&self) -> Value {
        let metadata = json!({ "name": self.name });
        json!({ "apiVersion": format!("{GROUP}/v1"), "kind": "NodeSecurityProfiles", "metadata": metadata })
    }

    /// The same as it is in the cluster.
    pub async fn object(&self) -> Result<Option<Value>> {
        let at = object::location(&self.own_object(), "")?;
        let answer = self.cluster.asker().ask("GET", &at, None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => answer.granted().map(Some),
        }
    }

    /// What the node says of one profile.
    pub async fn says(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        let object = self.object().await?.unwrap_or_default();
        let profiles = object.pointer("/status/profiles").and_then(Value::as_array);
        let is = |said: &&Value| said["kind"] == *kind && said["name"] == *name;
        Ok(profiles.into_iter().flatten().find(is).cloned())
    }

    /// Waits until the node says this of a profile; returns what it says in full.
    pub async fn until_state(&self, kind: &str, name: &str, state: &str) -> Result<Value> {
        self.until_says(kind, name, state, |said| said["state"] == *state).await
    }

    /// Waits until what the node says of a profile is as it should be.
    pub async fn until_says(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = Value::Null;
        let found = until(&format!("{} says of {name}: {what}", self.name), LIMIT, async || {
            last = self.says(kind, name).await?.unwrap_or_default();
            Ok(is(&last).then(|| last.clone()))
        })
        .await;
        found.with_context(|| format!("it says {last}"))
    }

    /// Waits until the node says nothing of a profile.
    pub async fn until_silent(&self, kind: &str, name: &str) -> Result<()> {
        self.until_says(kind, name, "nothing", Value::is_null).await.map(drop)
    }

    /// Takes the node out of the cluster.
    pub async fn delete(&self) -> Result<()> {
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": self.name } });
        self.cluster.delete(&node).await
    }
}
