//! Counts the bytes that one watcher is sent.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};
use daemon::{client, contact::Contact};
use http::Request;
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::Value;
use tests::{cluster::Cluster, namespace::unique, object::GROUP};
use tokio::task::AbortHandle;

/// A watch of all objects of a kind, from now on.
#[derive(Debug)]
pub(crate) struct Watched {
    count: Arc<Count>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Count {
    bytes: AtomicU64,
    events: AtomicU64,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) bytes: u64,
    pub(crate) events: u64,
}

/// An administrator's client.
pub(crate) async fn client(cluster: &Cluster) -> Result<Client> {
    let identity = cluster.identity("watcher", &["system:masters"])?;
    let kubeconfig = cluster.kubeconfig(&format!("watcher-{}", unique()), &identity)?;
    client::connect(Some(kubeconfig), &Arc::new(Contact::new([]))).await
}

impl Watched {
    /// Watches a plural.
    pub(crate) async fn start(cluster: &Cluster, plural: &str) -> Result<Self> {
        let client = client(cluster).await?;
        let at = format!("/apis/{GROUP}/v1/{plural}");
        let list = cluster.asker().ask("GET", &format!("{at}?limit=1"), None).await?.granted()?;
        let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        let version = version.context("a list without a version")?;
        let at = format!("{at}?watch=true&resourceVersion={version}");
        let mut body = client.send(Request::get(at).body(Body::empty())?).await?.into_body();
        let count = Arc::new(Count::default());
        let counted = Arc::clone(&count);
        let task = tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                let Some(data) = frame.data_ref() else { continue };
                let lines = data.split(|byte| *byte == b'\n').skip(1).count();
                counted.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                counted.events.fetch_add(lines as u64, Ordering::Relaxed);
            }
        });
        Ok(Self { count, task: task.abort_handle() })
    }

    /// What it was sent so far.
    pub(crate) fn sent(&self) -> Sent {
        let Count { bytes, events } = &*self.count;
        Sent { bytes: bytes.load(Ordering::Relaxed), events: events.load(Ordering::Relaxed) }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::ops::Sub for Sent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { bytes: self.bytes - before.bytes, events: self.events - before.events }
    }
}
