//! What the questions are asked on: one cluster with one node, made when the first of them is asked.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use futures::future::LocalBoxFuture;
use tests::{
    cluster::Cluster,
    machine::{self, Machine},
    service::Service,
    worker::{Worker, parts::Parts},
};
use tokio::runtime::Runtime;

/// The port of the API server as pods know it.
const HTTPS: u16 = 443;

/// A cluster that runs pods.
pub(crate) struct Ground {
    // Dropped in this order: who asks before who is asked.
    pub(crate) worker: Worker,
    pub(crate) cluster: Cluster,
    /// The way of pods to the API server, in the place of a kube-proxy.
    _service: Service,
    pub(crate) machine: Machine,
    pub(crate) parts: Parts,
}

/// Makes it once.
#[derive(Clone)]
pub(crate) struct Lazy(Arc<Mutex<State>>);

struct State {
    machine: Machine,
    parts: Parts,
    // It stands in the runtime, which therefore goes last.
    ground: Option<Ground>,
    /// Why there is none, after a first try.
    failed: Option<String>,
    runtime: Runtime,
}

impl Lazy {
    pub(crate) fn new(machine: Machine, parts: Parts) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let state = State { machine, parts, ground: None, failed: None, runtime };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Asks one question; all others wait.
    pub(crate) fn with(
        &self,
        ask: impl for<'a> FnOnce(&'a mut Ground) -> LocalBoxFuture<'a, Result<()>>,
    ) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).with(ask)
    }
}

impl State {
    fn with(
        &mut self,
        ask: impl for<'a> FnOnce(&'a mut Ground) -> LocalBoxFuture<'a, Result<()>>,
    ) -> Result<()> {
        let Self { machine, parts, ground, failed, runtime } = self;
        if let Some(reason) = failed {
            bail!("there is no cluster: {reason}");
        }
        if ground.is_none() {
            match runtime.block_on(Ground::new(machine, parts)) {
                Ok(new) => *ground = Some(new),
                Err(error) => {
                    *failed = format!("{error:#}").lines().next().map(str::to_owned);
                    return Err(error);
                }
            }
        }
        runtime.block_on(ask(ground.as_mut().context("it was just made")?))
    }
}

impl Ground {
    async fn new(machine: &Machine, parts: &Parts) -> Result<Self> {
        let cluster =
            Cluster::start_for_pods(&parts.programs, &parts.controller_manager, &parts.scheduler)
                .await?;
        let service = Service::at((machine::API, HTTPS)).await?;
        service.add_address(([127, 0, 0, 1], cluster.port()).into());
        let worker = Worker::start(machine, parts, &cluster).await?;
        Ok(Self {
            worker,
            cluster,
            _service: service,
            machine: machine.clone(),
            parts: parts.clone(),
        })
    }
}
