//! Certificates and keys from PEM and back. Errors never quote what was read: it may be a key.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};

/// Text that should be PEM and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error("a section does not end")]
    Unfinished,
    #[error("a section does not start as PEM does")]
    BadStart,
    #[error("a section is not base64")]
    NotBase64,
    #[error("nothing of the kind in it")]
    Empty,
    #[error("not readable as PEM")]
    Other,
}

impl From<pem::Error> for PemError {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::MissingSectionEnd { .. } => Self::Unfinished,
            pem::Error::IllegalSectionStart { .. } => Self::BadStart,
            pem::Error::Base64Decode(_) => Self::NotBase64,
            pem::Error::NoItemsFound => Self::Empty,
            _ => Self::Other,
        }
    }
}

/// All certificates of a file, at least one.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>()?;
    if all.is_empty() { Err(PemError::Empty) } else { Ok(all) }
}

/// All private keys of a file, at least one.
pub(crate) fn keys(text: &[u8]) -> Result<Vec<PrivateKeyDer<'static>>, PemError> {
    let all: Vec<_> = PrivateKeyDer::pem_slice_iter(text).collect::<Result<_, _>>()?;
    if all.is_empty() { Err(PemError::Empty) } else { Ok(all) }
}

/// Certificates as PEM.
pub(crate) fn of_certificates<'a>(
    certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> String {
    certificates.into_iter().map(|der| section("CERTIFICATE", der)).collect()
}

/// Private keys as PEM.
pub(crate) fn of_keys<'a>(keys: impl IntoIterator<Item = &'a PrivateKeyDer<'static>>) -> String {
    keys.into_iter().map(|key| section(label(key), key.secret_der())).collect()
}

fn label(key: &PrivateKeyDer<'_>) -> &'static str {
    match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    }
}

fn section(label: &str, der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let der: Vec<_> = (0..=255u8).collect();
        let all = vec![CertificateDer::from(der.clone()), CertificateDer::from(der[..48].to_vec())];
        assert_eq!(certificates(of_certificates(&all).as_bytes()).unwrap(), all);
    }

    #[test]
    fn an_error_never_quotes_a_key() {
        let one_line = "-----BEGIN PRIVATE KEY-----c2VjcmV0c2VjcmV0-----END PRIVATE KEY-----\n";
        let unclosed = "-----BEGIN PRIVATE KEY----- c2VjcmV0\nc2VjcmV0";
        for text in [one_line, unclosed] {
            let error = keys(text.as_bytes()).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(!said.contains("c2Vj") && !said.contains("99, 50"), "{said}");
        }
    }
}
