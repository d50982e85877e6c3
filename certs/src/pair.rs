//! A certificate chain and the key that fits it: what a TLS server shows.

use std::{fmt, sync::Arc};

use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};

use crate::{
    files::{Files, TLS_CRT, TLS_KEY},
    pem::{self, PemError},
    x509::{Facts, X509Error},
};

/// A pair that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("cannot read {file}")]
    Pem { file: &'static str, source: PemError },
    #[error("cannot read the first certificate of {TLS_CRT}")]
    Certificate(#[source] X509Error),
    #[error("the key in {TLS_KEY} is of no kind that can sign")]
    Key,
    #[error("the key in {TLS_KEY} does not fit the certificate in {TLS_CRT}")]
    Mismatch,
}

/// A pair that fits.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Arc<PrivateKeyDer<'static>>,
    pub(crate) facts: Facts,
    pub(crate) certified: Arc<CertifiedKey>,
}

impl Pair {
    pub(crate) fn read(files: &Files) -> Result<Self, PairError> {
        let chain = section(TLS_CRT, &files.tls_crt, pem::certificates)?;
        let key = section(TLS_KEY, &files.tls_key, pem::keys)?.swap_remove(0);
        Self::new(chain, key)
    }

    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, PairError> {
        let first = chain.first().ok_or(PairError::Missing(TLS_CRT))?;
        let facts = Facts::read(first).map_err(PairError::Certificate)?;
        // What rustls says of a key it refuses is dropped: it may quote it.
        let signing = any_supported_type(&key).ok().ok_or(PairError::Key)?;
        let certified = CertifiedKey::new(chain.clone(), signing);
        certified.keys_match().ok().ok_or(PairError::Mismatch)?;
        Ok(Self { chain, key: Arc::new(key), facts, certified: Arc::new(certified) })
    }

    /// The server's own certificate.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        self.chain.first().expect("there is no pair without one")
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("facts", &self.facts).finish_non_exhaustive()
    }
}

fn section<T>(
    file: &'static str,
    text: &[u8],
    read: impl Fn(&[u8]) -> Result<T, PemError>,
) -> Result<T, PairError> {
    if text.is_empty() {
        return Err(PairError::Missing(file));
    }
    read(text).map_err(|source| PairError::Pem { file, source })
}
