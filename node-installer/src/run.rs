//! Runs the daemon from its flags to its end.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use daemon::{client, contact::Contact, manifests::Manifests, signals};
use futures::future::BoxFuture;
use node_installer::{
    admin::{self, Admin},
    backend::{Backend, apparmor::Apparmor, seccomp::Seccomp, selinux::Selinux},
    board::Board,
    drift, folders,
    lane::{self, Lane},
    metrics::Metrics,
    source::{
        Lanes,
        cluster::{self, Cluster},
        folder,
    },
    status,
};
use profile::mechanism::Mechanism;
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use crate::args::{Node, Objects, Run};

/// So many messages wait for a lane: it bounds what is held in memory.
const WAITING: usize = 64;

/// The backends of a node.
pub(crate) fn backends(node: &Node) -> Vec<Box<dyn Backend>> {
    let backend = |mechanism: &Mechanism| -> Box<dyn Backend> {
        match mechanism {
            Mechanism::Seccomp => Box::new(Seccomp::new(&node.layout)),
            Mechanism::Selinux => Box::new(Selinux::new(&node.layout)),
            Mechanism::Apparmor => Box::new(Apparmor::new(&node.layout)),
        }
    };
    node.mechanisms.iter().map(backend).collect()
}

/// Makes the folders that are missing on the node.
pub(crate) fn prepare(node: &Node) -> anyhow::Result<()> {
    let folders: Vec<PathBuf> =
        backends(node).iter().flat_map(|backend| backend.needed()).collect();
    folders::make(&node.layout, &folders).context("the node cannot be prepared")
}

/// Keeps profiles installed until a signal.
pub(crate) async fn run(flags: Run, handle: Handle) -> anyhow::Result<()> {
    let Run { node, objects, once: _, admin, permitted, log } = flags;
    daemon::logs::start(&log)?;
    let (stop, mut stopping) = watch::channel(false);
    let signals = signals::listen(stop)?;
    if let Err(error) = prepare(&node) {
        // It may pass, and until then what can be done is done.
        tracing::error!(error = format!("{error:#}"), "going on");
    }
    let metrics = Arc::new(Metrics::default());
    let board = Arc::new(Board::new(&node.mechanisms, Arc::clone(&metrics)));
    let mut lanes = Lanes::default();
    let mut background: Vec<BoxFuture<'_, ()>> = Vec::new();
    let mut watched = Vec::new();
    for backend in backends(&node) {
        let mechanism = backend.mechanism();
        watched.extend(backend.watched().into_iter().map(|folder| (mechanism, folder)));
        let lane = Lane::open(backend, &node.layout, permitted.clone(), Arc::clone(&metrics))
            .with_context(|| format!("cannot care for {mechanism}"))?;
        let (to, told) = mpsc::channel(WAITING);
        lanes.insert(mechanism, to);
        let (board, handle) = (Arc::clone(&board), handle.clone());
        let (alive, ended) = oneshot::channel::<()>();
        background.push(Box::pin(async move { drop(ended.await) }));
        std::thread::Builder::new()
            .name(mechanism.to_string())
            .spawn(move || {
                // Dropped when the lane ends, however it does.
                let _alive = alive;
                let say = |reports, complete| board.say(mechanism, reports, complete);
                lane::thread::run(lane, told, &handle, &say);
            })
            .context("cannot start a thread")?;
    }
    for (mechanism, folder) in watched {
        background.push(Box::pin(drift::watch(mechanism, folder, lanes.clone())));
    }
    let kinds: Vec<_> = cluster::kinds(&node.mechanisms).collect();
    let health = match objects {
        Objects::Folder(path) => {
            let folder = Manifests::new(path);
            let health = folder.health();
            background.push(Box::pin(folder::follow(folder, lanes)));
            health
        }
        Objects::Cluster { node, kubeconfig } => {
            let contact = Arc::new(Contact::new(kinds));
            let client = client::connect(kubeconfig, &contact).await?;
            let keep = status::keep(
                client.clone(),
                node.clone(),
                Arc::clone(&board),
                Arc::clone(&metrics),
            );
            background.push(Box::pin(keep));
            let source = Cluster { client, contact: Arc::clone(&contact), node };
            background.push(Box::pin(source.follow(lanes)));
            contact
        }
    };
    let listener =
        TcpListener::bind(admin).await.with_context(|| format!("cannot listen on {admin}"))?;
    tracing::info!(admin = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "listening");
    let admin = admin::router(Admin { board, health, metrics });
    tokio::select! {
        ended = axum::serve(listener, admin).into_future() => ended.context("probes cannot be answered")?,
        _ = futures::future::select_all(background) => bail!("a part of it broke off"),
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = signals => {}
    }
    tracing::info!("stopped");
    Ok(())
}
