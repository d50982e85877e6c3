//! How the port speaks TLS: 1.3 and 1.2, sessions resumed, client certificates where they are asked for.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use certs::Serving;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read certificates from {path}")]
    ClientCa { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("no certificate in {path}")]
    NoClientCa { path: PathBuf },
    #[error("{path} cannot be used to check client certificates")]
    Verifier { path: PathBuf, source: rustls::server::VerifierBuilderError },
    #[error("a certificate of {path} cannot be trusted")]
    Root { path: PathBuf, source: rustls::Error },
    #[error("TLS 1.2 and 1.3 cannot be set up")]
    Versions(#[source] rustls::Error),
    #[error("session tickets cannot be set up")]
    Tickets(#[source] rustls::Error),
}

/// The configuration; the certificate may change while it is in use.
pub fn config(serving: &Serving, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let path = || path.to_owned();
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots(&path())?),
                Arc::new(ring::default_provider()),
            )
            .build()
            .map_err(|source| TlsError::Verifier { path: path(), source })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(serving.resolver());
    config.ticketer = ring::Ticketer::new().map_err(TlsError::Tickets)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let read = |source| TlsError::ClientCa { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        roots
            .add(certificate.map_err(read)?)
            .map_err(|source| TlsError::Root { path: path.to_owned(), source })?;
    }
    if roots.is_empty() { Err(TlsError::NoClientCa { path: path.to_owned() }) } else { Ok(roots) }
}
