//! What the daemons of nodes do in a cluster.

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use tests::{
    cluster::Cluster, installer::Installer, namespace::unique, node::Node, programs::Programs,
};

use crate::write;

#[path = "installer/away.rs"]
pub(crate) mod away;
#[path = "installer/identity.rs"]
pub(crate) mod identity;
#[path = "installer/lanes.rs"]
pub(crate) mod lanes;
#[path = "installer/removal.rs"]
pub(crate) mod removal;
#[path = "installer/status.rs"]
pub(crate) mod status;
#[path = "installer/writes.rs"]
pub(crate) mod writes;
#[path = "installer/wrong.rs"]
pub(crate) mod wrong;

pub(crate) const KIND: &str = "SeccompProfile";

/// A control plane of one's own: in a shared one there is always something that changes.
async fn quiet_cluster() -> Result<Cluster> {
    Cluster::start(&Programs::find().map_err(|missing| anyhow!("{missing}"))?).await
}

/// A new node and its daemon, which has done what all objects ask for.
async fn installed(cluster: &Cluster) -> Result<(Node<'_>, Installer)> {
    let node = Node::new(cluster).await?;
    let installer = start(&node).await?;
    Ok((node, installer))
}

/// The daemon of a node, which has done what all objects ask for.
async fn start(node: &Node<'_>) -> Result<Installer> {
    Installer::start(&node.cluster.new_folder()?, &node.name, &node.kubeconfig().await?).await
}

/// A seccomp profile of a name that no other test uses.
fn profile() -> (String, Value) {
    let name = format!("installed-{}", unique());
    let object = write::profile(KIND, &name);
    (name, object)
}

/// Changes what a profile asks for.
async fn change(cluster: &Cluster, name: &str, spec: &Value) -> Result<()> {
    let object = write::profile(KIND, name);
    let at = tests::object::location(&object, "")?;
    cluster.asker().ask("PATCH", &at, Some(&json!({ "spec": spec }))).await?.granted()?;
    Ok(())
}
