//! An authority: its certificate, its key where we have it, and the certificates it signs.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use ring::digest;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use crate::{
    lifetimes::{Life, SKEW},
    name::Name,
    pair::{Pair, PairError},
    plan::Id,
    x509::{Facts, X509Error},
};

/// A certificate that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("cannot make a key")]
    Key(#[source] rcgen::Error),
    #[error("cannot make the certificate of an authority")]
    Authority(#[source] rcgen::Error),
    #[error("cannot sign a certificate")]
    Sign(#[source] rcgen::Error),
    #[error("cannot put the name {name} into a certificate")]
    Name { name: Name, source: rcgen::Error },
    #[error("cannot read the certificate just made")]
    Read(#[from] X509Error),
    #[error("cannot use the pair just made")]
    Pair(#[from] PairError),
    #[error("the key of the authority is not there")]
    NoKey,
}

/// An authority.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) id: Id,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) facts: Facts,
    pub(crate) key: Option<Arc<PrivateKeyDer<'static>>>,
}

impl Authority {
    /// A new one, self-signed.
    pub(crate) fn make(life: Life) -> Result<Self, IssueError> {
        let key = new_key()?;
        let mut params = params(life);
        // A name of its own, so that a client never tries the wrong one of two.
        let public = digest::digest(&digest::SHA256, key.public_key_raw());
        let mark = public.as_ref().first_chunk().copied().map_or(0, u32::from_be_bytes);
        name(&mut params, format!("cinch authority {mark:08x}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(IssueError::Authority)?;
        let mut authority = Self::read(certificate.der().clone())?;
        authority.key = Some(Arc::new(pkcs8(&key)));
        Ok(authority)
    }

    /// One whose key is not known.
    pub(crate) fn read(certificate: CertificateDer<'static>) -> Result<Self, X509Error> {
        let facts = Facts::read(&certificate)?;
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, &certificate).as_ref());
        Ok(Self { id: Id(id), certificate, facts, key: None })
    }

    /// A new serving pair, which ends with this authority at the latest.
    pub(crate) fn issue<'a>(
        &self,
        names: impl IntoIterator<Item = &'a Name>,
        life: Life,
    ) -> Result<Pair, IssueError> {
        let signing = self.key.as_deref().ok_or(IssueError::NoKey)?;
        let signing = KeyPair::try_from(signing).map_err(IssueError::Key)?;
        let issuer =
            Issuer::from_ca_cert_der(&self.certificate, signing).map_err(IssueError::Sign)?;
        let key = new_key()?;
        let end = life.end.min(self.facts.not_after);
        let mut params = params(Life { end, ..life });
        name(&mut params, "cinch".to_owned());
        params.subject_alt_names = names.into_iter().map(san).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer).map_err(IssueError::Sign)?;
        Ok(Pair::new(vec![certificate.der().clone()], pkcs8(&key))?)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, certificate: _, facts, key } = self;
        let mut shown = f.debug_struct("Authority");
        shown.field("id", id).field("facts", facts).field("signs", &key.is_some()).finish()
    }
}

/// The public half of a key, to find the certificate it belongs to.
pub(crate) fn public_key(key: &PrivateKeyDer<'_>) -> Option<Vec<u8>> {
    Some(KeyPair::try_from(key).ok()?.public_key_raw().to_vec())
}

fn new_key() -> Result<KeyPair, IssueError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IssueError::Key)
}

fn pkcs8(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

fn name(params: &mut CertificateParams, common_name: String) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
}

fn params(life: Life) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from(life.made - SKEW);
    params.not_after = OffsetDateTime::from(life.end);
    params
}

fn san(name: &Name) -> Result<SanType, IssueError> {
    Ok(match name {
        Name::Ip(address) => SanType::IpAddress(*address),
        Name::Dns(dns) => SanType::DnsName(
            dns.as_str()
                .try_into()
                .map_err(|source| IssueError::Name { name: name.clone(), source })?,
        ),
    })
}

/// The next full second: certificates know no smaller unit, and one that claimed to be older than
/// it is would cut an overlap short.
pub(crate) fn next_second(now: SystemTime) -> SystemTime {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let whole = Duration::from_secs(since.as_secs());
    let up = if whole == since { whole } else { whole + Duration::from_secs(1) };
    SystemTime::UNIX_EPOCH + up
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_life_reads_back_as_it_was_made() {
        let life = Life { made: moment(0.0), end: moment(100.0) };
        let authority = Authority::make(life).unwrap();
        assert_eq!(authority.facts.life(), life);
        let life = Life { made: moment(1.0), end: moment(99.0) };
        assert_eq!(authority.issue([], life).unwrap().facts.life(), life);
    }

    #[test]
    fn a_leaf_ends_with_its_authority_at_the_latest() {
        let authority = Life { made: moment(0.0), end: moment(100.0) };
        let longer = Life { made: moment(1.0), end: moment(101.0) };
        let pair = Authority::make(authority).unwrap().issue([], longer).unwrap();
        assert_eq!(pair.facts.life(), Life { end: authority.end, ..longer });
    }

    #[test]
    fn a_certificate_is_never_older_than_it_claims() {
        assert_eq!(next_second(moment(1.0)), moment(1.0));
        assert_eq!(next_second(moment(1.001)), moment(2.0));
    }
}
