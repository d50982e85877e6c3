//! The accept loop: TLS, time limits, a bound on connections, and a stop that loses no review.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use http::{HeaderValue, Request, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use rustls::ServerConfig;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use self::pace::Pace;

mod pace;

/// Limits of a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections: usize,
    /// For the TLS handshake, and for the head of a request from its first byte.
    pub head: Duration,
    /// How long to go on accepting after the stop: API servers still have the old endpoint.
    pub linger: Duration,
    /// How long to wait for what is being answered after that.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head: Duration::from_secs(5),
            linger: Duration::from_secs(5),
            drain: Duration::from_secs(10),
        }
    }
}

/// API servers close a connection that is idle for 90 s. If this side were the first, a review could be lost in between.
const IDLE: Duration = Duration::from_mins(3);

/// What every TLS connection begins with.
const TLS_HANDSHAKE: u8 = 0x16;

const PLAIN_HTTP: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\
    Content-Length: 53\r\n\r\nthis port speaks TLS: send the review to it by https\n";

/// Serves until `stop` turns true and the last connection is done.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let tls = TlsAcceptor::from(tls);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let stopping = stop.clone();
    let mut end = pin!(async {
        // An error means that nobody can ask for a stop any more: then it is time to stop.
        drop(stop.wait_for(|stop| *stop).await);
        sleep(limits.linger).await;
    });
    loop {
        // A connection too many waits in the kernel's queue.
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, accept(&listener).await)
        };
        let (slot, (stream, peer)) = tokio::select! {
            () = &mut end => break,
            accepted = accepted => accepted,
        };
        let watcher = graceful.watcher();
        let connection = Connection {
            tls: tls.clone(),
            router: router.clone(),
            head: limits.head,
            stopping: stopping.clone(),
        };
        tokio::spawn(async move {
            let _slot = slot;
            if let Err(error) = connection.run(stream, watcher).await {
                tracing::debug!(%peer, error = daemon::error::chain(&*error), "connection ended");
            }
        });
    }
    drop(listener);
    // What was idle all the time is closed now; what is being answered is waited for.
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still open at the end of the drain time");
    }
}

/// Accepts one connection, whatever goes wrong with others.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Out of file descriptors: wait until some are closed.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

struct Connection {
    tls: TlsAcceptor,
    router: Router,
    head: Duration,
    stopping: watch::Receiver<bool>,
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

impl Connection {
    async fn run(
        self,
        mut stream: TcpStream,
        watcher: hyper_util::server::graceful::Watcher,
    ) -> Result<(), ConnectionError> {
        stream.set_nodelay(true)?;
        let deadline = Instant::now() + self.head;
        let mut first = [0; 1];
        let peeked = tokio::time::timeout_at(deadline, stream.peek(&mut first)).await??;
        if peeked == 0 {
            return Ok(());
        }
        if first[0] != TLS_HANDSHAKE {
            stream.write_all(PLAIN_HTTP).await?;
            return Ok(());
        }
        let stream = tokio::time::timeout_at(deadline, self.tls.accept(stream)).await??;
        let (paced, pace) = Pace::new(stream, self.head);
        let Self { router, stopping, .. } = self;
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (router, stopping, pace) = (router.clone(), stopping.clone(), pace.clone());
            async move {
                pace.head_is_read();
                let mut response = answer(router, request).await?;
                if *stopping.borrow() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                pace.is_answered();
                Ok::<_, io::Error>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // A client that has said all it had to say still gets its answer.
            .half_close(true)
            .header_read_timeout(IDLE)
            .max_headers(64)
            .max_buf_size(64 << 10)
            .serve_connection(TokioIo::new(paced), service);
        watcher.watch(connection).await?;
        Ok(())
    }
}

/// A router is ready always.
async fn answer(
    mut router: Router,
    request: Request<Incoming>,
) -> io::Result<axum::response::Response> {
    match router.call(request.map(axum::body::Body::new)).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}
