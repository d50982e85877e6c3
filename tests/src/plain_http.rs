//! One plain HTTP request on a connection of its own, for the admin address of a daemon.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(2);

/// The status and the body of the answer to `GET path`.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    timeout(LIMIT, exchange(address, path))
        .await
        .with_context(|| format!("no answer from {address}{path} in {LIMIT:?}"))?
}

async fn exchange(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0 forbids chunks: what follows the head is the body as it is.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    let status = head.split(' ').nth(1).context("an answer without a status")?.parse()?;
    Ok((status, body.to_owned()))
}
