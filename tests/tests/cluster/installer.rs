//! What the daemons of nodes do in a cluster.

use anyhow::Result;
use serde_json::{Value, json};
use tests::{cluster::Cluster, installer::Installer, namespace::unique, node::Node};

use crate::write;

#[path = "installer/identity.rs"]
pub(crate) mod identity;
#[path = "installer/status.rs"]
pub(crate) mod status;
#[path = "installer/writes.rs"]
pub(crate) mod writes;

pub(crate) const KIND: &str = "SeccompProfile";

/// A new node and its daemon, which has done what all objects ask for.
async fn installed(cluster: &Cluster) -> Result<(Node<'_>, Installer)> {
    let node = Node::new(cluster).await?;
    let installer =
        Installer::start(&cluster.new_folder()?, &node.name, &node.kubeconfig().await?).await?;
    Ok((node, installer))
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
