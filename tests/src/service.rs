//! Stands in for a Kubernetes Service: new connections go to replicas that are ready, in turn.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, ToSocketAddrs},
    task::{AbortHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

use crate::{plain_http, until::until, webhook::Webhook};

/// A Service learns of a change a moment after the replica's probe does.
const PROBE: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(20);

/// One address before many replicas. Open connections stay where they are, as with kube-proxy.
#[derive(Debug)]
pub struct Service {
    pub address: SocketAddr,
    endpoints: Endpoints,
    connections: Connections,
    tasks: [AbortHandle; 2],
}

type Connections = Arc<Mutex<JoinSet<()>>>;

#[derive(Debug)]
struct Endpoint {
    target: SocketAddr,
    /// Where `/readyz` is asked; without one the target always counts as ready.
    admin: Option<SocketAddr>,
    ready: bool,
}

#[derive(Debug, Clone, Default)]
struct Endpoints(Arc<Mutex<(usize, Vec<Endpoint>)>>);

impl Service {
    pub async fn start() -> Result<Self> {
        Self::at("127.0.0.1:0").await
    }

    /// One at this address.
    pub async fn at(address: impl ToSocketAddrs) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let endpoints = Endpoints::default();
        let connections = Connections::default();
        let accept = tokio::spawn(accept(listener, endpoints.clone(), Arc::clone(&connections)));
        let accept = accept.abort_handle();
        let probe = tokio::spawn(probe(endpoints.clone())).abort_handle();
        Ok(Self { address, endpoints, connections, tasks: [accept, probe] })
    }

    /// Lets a replica take part, and waits until it does.
    pub async fn add(&self, webhook: &Webhook) -> Result<()> {
        let endpoint =
            Endpoint { target: webhook.reviews, admin: Some(webhook.admin), ready: false };
        self.endpoints.with(|all| all.push(endpoint));
        until("the Service sends to the replica", LIMIT, async || {
            Ok(self.endpoints.ready().contains(&webhook.reviews).then_some(()))
        })
        .await
    }

    /// Waits until new connections go elsewhere.
    pub async fn until_left_out(&self, webhook: &Webhook) -> Result<()> {
        until("the Service sends to others only", LIMIT, async || {
            Ok((!self.endpoints.ready().contains(&webhook.reviews)).then_some(()))
        })
        .await
    }

    /// Forwards to an address whatever its state.
    pub fn add_address(&self, target: SocketAddr) {
        self.endpoints.with(|all| all.push(Endpoint { target, admin: None, ready: true }));
    }

    /// Breaks all connections, and lets no new one through until an address is added.
    pub fn cut(&self) {
        self.endpoints.with(Vec::clear);
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Forgets a replica or address.
    pub fn remove(&self, target: SocketAddr) {
        self.endpoints.with(|all| all.retain(|endpoint| endpoint.target != target));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Endpoints {
    fn with<T>(&self, change: impl FnOnce(&mut Vec<Endpoint>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).1)
    }

    fn ready(&self) -> Vec<SocketAddr> {
        self.with(|all| all.iter().filter(|one| one.ready).map(|one| one.target).collect())
    }

    fn next(&self) -> Option<SocketAddr> {
        let ready = self.ready();
        let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turn.0 = turn.0.wrapping_add(1);
        ready.get(turn.0 % ready.len().max(1)).copied()
    }
}

async fn accept(listener: TcpListener, endpoints: Endpoints, connections: Connections) {
    while let Ok((client, _)) = listener.accept().await {
        let target = endpoints.next();
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.spawn(async move {
            // A connection that cannot be forwarded is closed, which is what the client sees.
            drop(forward(client, target).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(mut client: TcpStream, target: Option<SocketAddr>) -> io::Result<()> {
    let Some(target) = target else { return Ok(()) };
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn probe(endpoints: Endpoints) {
    let mut tick = interval(PROBE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let probed: Vec<SocketAddr> =
            endpoints.with(|all| all.iter().filter_map(|endpoint| endpoint.admin).collect());
        for admin in probed {
            let ready = matches!(plain_http::get(admin, "/readyz").await, Ok((200, _)));
            endpoints.with(|all| {
                for endpoint in all.iter_mut().filter(|endpoint| endpoint.admin == Some(admin)) {
                    endpoint.ready = ready;
                }
            });
        }
    }
}
