//! Everything we keep: the authorities and the pair in use. Carries out what the plan says.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use rustls::pki_types::PrivateKeyDer;

use crate::{
    authority::{self, Authority, IssueError, next_second},
    files::{CA_CRT, CA_KEY, Files},
    lifetimes::{Life, Lifetimes},
    name::Name,
    pair::{Pair, PairError},
    pem::{self, PemError},
    plan::{self, Due, Reason, Step},
    x509::X509Error,
};

/// More changes than any state needs: from nothing to all there is takes two.
const MOST_STEPS: usize = 16;

/// Files that are ours and cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    #[error("cannot read {file}")]
    Pem { file: &'static str, source: PemError },
    #[error("cannot read a certificate of {CA_CRT}")]
    Certificate(#[source] X509Error),
    #[error("{CA_KEY} has no key for any certificate of {CA_CRT}")]
    NoKeyFits,
}

/// What we keep.
#[derive(Clone, Debug, Default)]
pub(crate) struct Material {
    pub(crate) authorities: Vec<Authority>,
    pub(crate) pair: Option<Pair>,
}

/// What was done to get up to date.
#[derive(Debug)]
pub(crate) struct Advanced {
    pub(crate) done: Vec<Reason>,
    /// How many certificates were made.
    pub(crate) made: u64,
    pub(crate) next: Due,
}

impl Material {
    /// Reads our own files. Second, why the pair cannot be used, when it cannot: a new one will be
    /// made in its place.
    pub(crate) fn read(files: &Files) -> Result<(Self, Option<PairError>), MaterialError> {
        if files.is_empty() {
            return Ok((Self::default(), None));
        }
        let authorities = authorities(files)?;
        Ok(match Pair::read(files) {
            Ok(pair) => (Self { authorities, pair: Some(pair) }, None),
            Err(error) => (Self { authorities, pair: None }, Some(error)),
        })
    }

    /// The files that hold it.
    pub(crate) fn files(&self) -> Files {
        let (tls_crt, tls_key) = self.pair.as_ref().map_or_else(Default::default, |pair| {
            (pem::of_certificates(&pair.chain), pem::of_keys([&*pair.key]))
        });
        Files {
            ca_crt: self.trust_bundle().into(),
            ca_key: pem::of_keys(self.authorities.iter().filter_map(|a| a.key.as_deref())).into(),
            tls_crt: tls_crt.into(),
            tls_key: tls_key.into(),
        }
    }

    /// What clients should trust, as PEM.
    pub(crate) fn trust_bundle(&self) -> String {
        pem::of_certificates(self.authorities.iter().map(|authority| &authority.certificate))
    }

    /// Makes every change that is due.
    pub(crate) fn advance(
        &mut self,
        wanted: &BTreeSet<Name>,
        lifetimes: &Lifetimes,
        now: SystemTime,
    ) -> Result<Advanced, IssueError> {
        let (mut done, mut made) = (Vec::new(), 0);
        loop {
            let next = plan::next(&self.current(), wanted, lifetimes, now);
            if next.at > now || done.len() == MOST_STEPS {
                return Ok(Advanced { done, made, next });
            }
            self.apply(&next.step, lifetimes, now)?;
            made += u64::from(!matches!(next.step, Step::DropAuthority(_)));
            done.push(next.reason);
        }
    }

    fn apply(
        &mut self,
        step: &Step,
        lifetimes: &Lifetimes,
        now: SystemTime,
    ) -> Result<(), IssueError> {
        let made = next_second(now);
        match step {
            Step::MakeAuthority => {
                let life = Life { made, end: made + lifetimes.authority };
                self.authorities.push(Authority::make(life)?);
            }
            Step::IssueLeaf { issuer, names } => {
                let life = Life { made, end: made + lifetimes.leaf };
                let issuer = self.authorities.iter().find(|authority| authority.id == *issuer);
                self.pair = Some(issuer.ok_or(IssueError::NoKey)?.issue(names, life)?);
            }
            Step::DropAuthority(id) => self.authorities.retain(|authority| authority.id != *id),
        }
        Ok(())
    }

    /// What the plan needs to know of it.
    pub(crate) fn current(&self) -> plan::Current {
        let authorities = self.authorities.iter().map(|authority| plan::Authority {
            id: authority.id,
            life: authority.facts.life(),
            signs: authority.key.is_some(),
        });
        plan::Current {
            authorities: authorities.collect(),
            leaf: self.pair.as_ref().map(|pair| plan::Leaf {
                issuer: self.issuer(pair).map(|issuer| issuer.id),
                names: pair.facts.names.clone(),
                life: pair.facts.life(),
            }),
        }
    }

    pub(crate) fn issuer(&self, pair: &Pair) -> Option<&Authority> {
        self.authorities.iter().find(|authority| pair.facts.issued_by(&authority.facts))
    }
}

fn authorities(files: &Files) -> Result<Vec<Authority>, MaterialError> {
    let pem = |file| move |source| MaterialError::Pem { file, source };
    let certificates = pem::certificates(&files.ca_crt).map_err(pem(CA_CRT))?;
    let keys = pem::keys(&files.ca_key).map_err(pem(CA_KEY))?;
    let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
    let read = |certificate| {
        let authority = Authority::read(certificate).map_err(MaterialError::Certificate)?;
        let key = keys.iter().find(|key| fits(key, &authority)).cloned();
        Ok(Authority { key, ..authority })
    };
    let all: Vec<_> = certificates.into_iter().map(read).collect::<Result<_, _>>()?;
    // A key that is never used again would be lost with the next change: someone's mistake.
    if all.iter().all(|authority| authority.key.is_none()) {
        return Err(MaterialError::NoKeyFits);
    }
    Ok(all)
}

fn fits(key: &PrivateKeyDer<'_>, authority: &Authority) -> bool {
    authority::public_key(key).is_some_and(|public| public == authority.facts.public_key)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
        crypto::ring,
        pki_types::{ServerName, UnixTime},
    };

    use super::*;
    use crate::lifetimes::SKEW;

    fn accepts(bundle: &Material, served: &Material, name: &str, now: SystemTime) -> bool {
        let mut roots = RootCertStore::empty();
        for authority in &bundle.authorities {
            roots.add(authority.certificate.clone()).unwrap();
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let leaf = served.pair.as_ref().unwrap().certificate();
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        verifier.build().unwrap().verify_server_cert(leaf, &[], &name, &[], now).is_ok()
    }

    /// What [`crate::plan`] shows with plain values, here with certificates and webpki's eyes.
    #[test]
    fn for_a_human_life_every_client_accepts_every_leaf_through_a_store_and_back() {
        let wanted = ["localhost", "::1"].iter().map(|name| name.parse().unwrap()).collect();
        let lifetimes = Lifetimes { leaf: Duration::from_hours(24 * 300), ..Lifetimes::default() };
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 50);
        let (mut now, mut material) = (start, Material::default());
        let (mut before, mut reasons) = (None::<Material>, Vec::new());
        while now < start + Duration::from_hours(24 * 365 * 30) {
            let advanced = material.advance(&wanted, &lifetimes, now).unwrap();
            reasons.extend(advanced.done);
            let (read, broken) = Material::read(&material.files()).unwrap();
            assert!(broken.is_none());
            assert_eq!(read.current(), material.current());
            // The next change is a moment away: a client that missed the last one is still good.
            let until = advanced.next.at;
            for name in ["localhost", "::1"] {
                for client in before.iter().chain([&read]) {
                    assert!(accepts(client, &read, name, now - SKEW + Duration::from_secs(1)));
                    assert!(accepts(client, &read, name, until));
                }
            }
            assert!(!accepts(&read, &read, "other", now));
            (before, material, now) = (Some(read.clone()), read, until);
        }
        let authorities = reasons.iter().filter(|reason| **reason == Reason::AuthorityAge).count();
        assert_eq!(authorities, 4);
        assert_eq!(reasons.iter().filter(|reason| **reason == Reason::Unused).count(), 4);
    }
}
