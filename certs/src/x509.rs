//! What a certificate says: read with x509-parser, kept as plain values; pure.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use rustls::pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
    time::ASN1Time,
};

use crate::{
    lifetimes::{Life, SKEW},
    name::Name,
};

/// Not a certificate, or one that says nonsense.
#[derive(Debug, thiserror::Error)]
pub enum X509Error {
    #[error("not an X.509 certificate")]
    Parse(#[from] x509_parser::nom::Err<x509_parser::error::X509Error>),
    #[error("bytes follow the certificate")]
    Trailing,
    #[error("the names of the certificate cannot be read")]
    Names(#[source] x509_parser::error::X509Error),
}

/// What is of interest in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) subject: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) key_id: Option<Vec<u8>>,
    pub(crate) issuer_key_id: Option<Vec<u8>>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) names: BTreeSet<Name>,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Facts {
    pub(crate) fn read(der: &CertificateDer<'_>) -> Result<Self, X509Error> {
        let (rest, certificate) = X509Certificate::from_der(der)?;
        if !rest.is_empty() {
            return Err(X509Error::Trailing);
        }
        let names = certificate.subject_alternative_name().map_err(X509Error::Names)?;
        let general = names.iter().flat_map(|extension| &extension.value.general_names);
        Ok(Self {
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            key_id: key_id(&certificate),
            issuer_key_id: issuer_key_id(&certificate),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
            names: general.filter_map(name).collect(),
            not_before: moment(certificate.validity().not_before),
            not_after: moment(certificate.validity().not_after),
        })
    }

    /// The life of a certificate that was made here.
    pub(crate) fn life(&self) -> Life {
        Life { made: self.not_before + SKEW, end: self.not_after }
    }

    /// Whether `authority` is named as the signer. The signature is not checked: who can write
    /// these files holds the keys.
    pub(crate) fn issued_by(&self, authority: &Self) -> bool {
        let keys = self.issuer_key_id.as_ref().zip(authority.key_id.as_ref());
        self.issuer == authority.subject && keys.is_none_or(|(named, key)| named == key)
    }
}

fn key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn issuer_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            id.key_identifier.as_ref()?.0.to_vec().into()
        }
        _ => None,
    })
}

fn name(general: &GeneralName<'_>) -> Option<Name> {
    match general {
        GeneralName::DNSName(name) => Some(Name::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(octets) => <[u8; 4]>::try_from(*octets)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from))
            .ok()
            .map(Name::Ip),
        _ => None,
    }
}

fn moment(time: ASN1Time) -> SystemTime {
    let since = Duration::from_secs(time.timestamp().unsigned_abs());
    if time.timestamp() < 0 {
        SystemTime::UNIX_EPOCH - since
    } else {
        SystemTime::UNIX_EPOCH + since
    }
}
