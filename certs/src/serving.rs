//! What a TLS server uses: the pair of the moment, changed under its feet without a restart.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use ring::hkdf;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::watch;

use crate::{files::Origin, pair::Pair};

/// The certificate in use. Cheap to clone; all clones change together.
#[derive(Clone)]
pub struct Serving {
    resolver: Arc<Resolver>,
    status: Arc<watch::Sender<Status>>,
}

/// What there is to tell of the certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub origin: Origin,
    /// When the certificate ends.
    pub not_after: SystemTime,
    /// When the last authority that clients are told to trust ends, where they are known.
    pub authority_not_after: Option<SystemTime>,
    /// What clients should trust, as PEM. Not known for a pair that came without `ca.crt`.
    pub trust_bundle: Option<Arc<str>>,
    /// Certificates made here since the start, those of authorities counted too.
    pub renewals: u64,
    /// Pairs taken into use since the start, by whomever they were made.
    pub reloads: u64,
    /// Times that a change could not be read or made.
    pub failures: u64,
}

/// All that changes at once.
pub(crate) struct Active {
    pub(crate) origin: Origin,
    pub(crate) pair: Pair,
    /// What secrets are derived from.
    pub(crate) root: Arc<PrivateKeyDer<'static>>,
    pub(crate) authority_not_after: Option<SystemTime>,
    pub(crate) trust_bundle: Option<Arc<str>>,
}

struct Resolver(ArcSwap<Active>);

impl Serving {
    pub(crate) fn new(active: Active, made: u64) -> Self {
        let status = Status {
            origin: active.origin,
            not_after: active.pair.facts.not_after,
            authority_not_after: active.authority_not_after,
            trust_bundle: active.trust_bundle.clone(),
            renewals: made,
            reloads: 0,
            failures: 0,
        };
        Self {
            resolver: Arc::new(Resolver(ArcSwap::from_pointee(active))),
            status: Arc::new(watch::Sender::new(status)),
        }
    }

    /// For `rustls::ServerConfig::cert_resolver`: new connections get the pair of the moment.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::<Resolver>::clone(&self.resolver)
    }

    /// When the certificate in use ends.
    pub fn not_after(&self) -> SystemTime {
        self.resolver.0.load().pair.facts.not_after
    }

    /// How long the certificate in use is still good for.
    pub fn remaining(&self) -> Duration {
        self.not_after().duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// What clients should trust, as PEM.
    pub fn trust_bundle(&self) -> Option<Arc<str>> {
        self.resolver.0.load().trust_bundle.clone()
    }

    /// Follows every change.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The certificate in use, as DER.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.resolver.0.load().pair.certificate().clone()
    }

    /// A secret for one purpose, equal in all replicas that share the certificates.
    ///
    /// With certificates made here it lasts as long as the authority, so that what was sealed with
    /// it outlives the renewal of a leaf. With a given pair it is new with each new key.
    pub fn derive_key(&self, purpose: &str) -> [u8; 32] {
        derive_key(&self.resolver.0.load().root, purpose)
    }

    /// Takes `active` into use. Says whether that was a change.
    pub(crate) fn replace(&self, active: Active, made: u64) -> bool {
        let changed = active != **self.resolver.0.load();
        let active = Arc::new(active);
        if changed {
            // First, so that who hears of the change finds it in use.
            self.resolver.0.store(Arc::clone(&active));
        }
        self.status.send_if_modified(|status| {
            status.origin = active.origin;
            status.not_after = active.pair.facts.not_after;
            status.authority_not_after = active.authority_not_after;
            status.trust_bundle.clone_from(&active.trust_bundle);
            status.renewals += made;
            status.reloads += u64::from(changed);
            changed || made > 0
        });
        changed
    }

    pub(crate) fn count_failure(&self) {
        self.status.send_modify(|status| status.failures += 1);
    }
}

impl PartialEq for Active {
    fn eq(&self, other: &Self) -> bool {
        let Self { origin, pair, root, authority_not_after: _, trust_bundle } = self;
        *origin == other.origin
            && pair.chain == other.pair.chain
            && pair.key == other.pair.key
            && *root == other.root
            && *trust_bundle == other.trust_bundle
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Serving").field(&*self.status.borrow()).finish()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolver").field(&self.0.load().pair).finish()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().pair.certified))
    }
}

fn derive_key(key: &PrivateKeyDer<'_>, purpose: &str) -> [u8; 32] {
    let info = [purpose.as_bytes()];
    let mut derived = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"cinch derived key")
        .extract(key.secret_der())
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(&mut derived))
        .expect("32 bytes are what HKDF-SHA256 gives at once");
    derived
}
