//! A server that gives back what it gets: what TLS and HTTP alone cost, beside which the webhook is measured.
//!
//! `echo FOLDER` serves with the pair in a folder on a free loopback port, which it prints.

use std::{env, io::Write as _, net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use axum::{Router, body::Bytes, routing::post};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).context("a folder with tls.crt and tls.key is needed")?;
    // As the webhook with --threads 1.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build()?.block_on(serve(folder.into()))
}

async fn serve(folder: PathBuf) -> Result<()> {
    let tls = TlsAcceptor::from(Arc::new(config(&folder)?));
    let router = Router::new().route("/", post(async |body: Bytes| body));
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    let accepting = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(answer(stream, tls.clone(), router.clone()));
        }
    });
    accepting.await?
}

async fn answer(stream: TcpStream, tls: TlsAcceptor, router: Router) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(tls.accept(stream).await?);
    http1::Builder::new().serve_connection(stream, TowerToHyperService::new(router)).await?;
    Ok(())
}

/// As the webhook's.
fn config(folder: &std::path::Path) -> Result<ServerConfig> {
    let certificates = CertificateDer::pem_file_iter(folder.join("tls.crt"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates.collect::<Result<_, _>>()?, key)?;
    config.ticketer = ring::Ticketer::new()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
