//! The way to a cluster.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::contact::{Contact, ContactLayer};

/// A watch is ended by the API server after a minute: one that says nothing for longer is dead.
const SILENCE: Duration = Duration::from_secs(90);

/// A client that tells `contact` of every answer that it gets. Without a kubeconfig it is the pod's service account or
/// `$KUBECONFIG` that says where the cluster is.
pub async fn connect(
    kubeconfig: Option<PathBuf>,
    contact: &Arc<Contact>,
) -> anyhow::Result<Client> {
    let mut config = match kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("{} leads to no cluster", path.display()))?
        }
        None => Config::infer()
            .await
            .context("no cluster: neither a service account nor a kubeconfig; see --manifests")?,
    };
    config.read_timeout = Some(SILENCE);
    let builder = ClientBuilder::try_from(config).context("no client for the cluster")?;
    Ok(builder.with_layer(&ContactLayer(Arc::clone(contact))).build())
}
