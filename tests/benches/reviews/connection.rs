//! One kept TLS connection that sends bytes made beforehand and reads as little of an answer as it can.

use std::{
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

/// A connection with at most one request on its way.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    tls: ClientConnection,
    /// What has come of the answer.
    answer: Vec<u8>,
    filled: usize,
}

/// Trusts the authority in a folder.
pub(crate) fn config(certs: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certs.join("ca.crt"))?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl Connection {
    /// Connects and shakes hands.
    pub(crate) fn open(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<Self> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let mut tls = ClientConnection::new(Arc::clone(config), name)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        Ok(Self { stream, tls, answer: vec![0; 64 << 10], filled: 0 })
    }

    /// Sends a request; the one before must have been answered.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.filled = 0;
        self.tls.writer().write_all(request)?;
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        Ok(())
    }

    /// Reads what is there; the answer when it is whole.
    pub(crate) fn receive(&mut self) -> Result<Option<&[u8]>> {
        loop {
            match self.tls.read_tls(&mut self.stream) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(_) => self.tls.process_new_packets().map(|_state| ())?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).context("cannot receive"),
            }
            match self.tls.reader().read(&mut self.answer[self.filled..]) {
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("cannot read"),
            }
            if is_whole(&self.answer[..self.filled])? {
                return Ok(Some(&self.answer[..self.filled]));
            }
        }
    }
}

fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(false);
    };
    let (head, body) = (&answer[..head], answer.len() - head - 4);
    if !head.starts_with(b"HTTP/1.1 200 ") {
        bail!("unexpected answer: {}", String::from_utf8_lossy(answer));
    }
    let text = std::str::from_utf8(head)?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer without its length")?.parse()?;
    Ok(body >= length)
}
