//! One look at the certificates: what is there, what is due, and both made true in the store.

use std::{collections::BTreeSet, error::Error, sync::Arc, time::SystemTime};

use crate::{
    authority::IssueError,
    files::{CA_CRT, Files, Origin},
    lifetimes::Lifetimes,
    material::{Material, MaterialError},
    name::Name,
    pair::{Pair, PairError},
    pem::{self, PemError},
    serving::Active,
    store::{Loaded, Saved, Store, StoreError, Version},
    x509::{Facts, X509Error},
};

/// Times to start over because someone else was faster. Each time, someone got a step further.
const ATTEMPTS: usize = 20;

/// Certificates that cannot be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    #[error("cannot reach the certificates")]
    Store(#[from] StoreError),
    #[error("cannot use the certificate that was given")]
    Given(#[from] PairError),
    #[error("cannot read {CA_CRT}, which came with the certificate")]
    GivenPem(#[source] PemError),
    #[error("cannot read a certificate of {CA_CRT}, which came with the certificate")]
    GivenAuthority(#[source] X509Error),
    #[error("cannot use the certificates that were made before")]
    Own(#[from] MaterialError),
    #[error("cannot make a certificate")]
    Issue(#[from] IssueError),
    #[error("others change the certificates again and again")]
    Contended,
}

impl CertsError {
    /// Whether only a change of the files can help.
    pub(crate) fn waits_for_a_change(&self) -> bool {
        match self {
            Self::Given(_) | Self::GivenPem(_) | Self::GivenAuthority(_) | Self::Own(_) => true,
            Self::Store(_) | Self::Issue(_) | Self::Contended => false,
        }
    }
}

/// What it takes to bring certificates up to date.
#[derive(Debug)]
pub(crate) struct Care {
    origin: Origin,
    names: BTreeSet<Name>,
    lifetimes: Lifetimes,
}

/// How things stand after a look.
pub(crate) struct Outcome {
    pub(crate) version: Version,
    pub(crate) active: Active,
    /// How many certificates were made.
    pub(crate) made: u64,
    /// When something has to be made, where that is our work.
    pub(crate) next: Option<SystemTime>,
}

impl Care {
    pub(crate) fn new(names: BTreeSet<Name>, lifetimes: Lifetimes) -> Self {
        Self { origin: Origin::Own, names, lifetimes: lifetimes.within_reason() }
    }

    pub(crate) async fn look(
        &mut self,
        store: &mut Store,
        mut loaded: Loaded,
    ) -> Result<Outcome, CertsError> {
        for _ in 0..ATTEMPTS {
            // Never back from given to own: files that are gone for a moment are not ours to make.
            if self.origin == Origin::Own {
                self.origin = loaded.files.origin();
            }
            let outcome = match self.origin {
                Origin::Given => Some(given(loaded)?),
                Origin::Own => self.own(store, loaded).await?,
            };
            match outcome {
                Some(outcome) => return Ok(outcome),
                None => loaded = store.load().await?,
            }
        }
        Err(CertsError::Contended)
    }

    /// `None` when someone else was faster.
    async fn own(&self, store: &mut Store, loaded: Loaded) -> Result<Option<Outcome>, CertsError> {
        let (mut material, broken) = Material::read(&loaded.files)?;
        if let Some(error) = broken {
            let error = &error as &dyn Error;
            tracing::warn!(error, "the certificate made before cannot be used, making another");
        }
        let advanced = material.advance(&self.names, &self.lifetimes, SystemTime::now())?;
        let version = if advanced.done.is_empty() {
            loaded.version
        } else {
            match store.save(material.files(), loaded.version).await? {
                Saved::Done(version) => version,
                Saved::Conflict => return Ok(None),
            }
        };
        for reason in &advanced.done {
            tracing::info!(?reason, "certificates renewed");
        }
        let authorities = material.authorities.iter();
        let pair = material.pair.clone().ok_or(IssueError::NoKey)?;
        let active = Active {
            origin: Origin::Own,
            root: material
                .issuer(&pair)
                .and_then(|issuer| issuer.key.clone())
                .unwrap_or_else(|| Arc::clone(&pair.key)),
            pair,
            authority_not_after: authorities.map(|a| a.facts.not_after).max(),
            trust_bundle: Some(material.trust_bundle().into()),
        };
        Ok(Some(Outcome { version, active, made: advanced.made, next: Some(advanced.next.at) }))
    }
}

fn given(loaded: Loaded) -> Result<Outcome, CertsError> {
    let pair = Pair::read(&loaded.files)?;
    let (trust_bundle, authority_not_after) = given_authorities(&loaded.files)?.unzip();
    let root = Arc::clone(&pair.key);
    let active = Active { origin: Origin::Given, pair, root, authority_not_after, trust_bundle };
    Ok(Outcome { version: loaded.version, active, made: 0, next: None })
}

/// What clients should trust, and until when. Written anew: a key that strayed into the file is
/// not handed on.
fn given_authorities(files: &Files) -> Result<Option<(Arc<str>, SystemTime)>, CertsError> {
    if files.ca_crt.is_empty() {
        return Ok(None);
    }
    let certificates = pem::certificates(&files.ca_crt).map_err(CertsError::GivenPem)?;
    let facts: Result<Vec<_>, _> = certificates.iter().map(Facts::read).collect();
    let facts = facts.map_err(CertsError::GivenAuthority)?;
    let end = facts.iter().map(|facts| facts.not_after).max();
    Ok(end.map(|end| (pem::of_certificates(&certificates).into(), end)))
}
