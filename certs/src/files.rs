//! The four files that make up a folder or a Secret, as read, and whose they are; pure.

use std::fmt;

pub(crate) const CA_CRT: &str = "ca.crt";
pub(crate) const CA_KEY: &str = "ca.key";
pub(crate) const TLS_CRT: &str = "tls.crt";
pub(crate) const TLS_KEY: &str = "tls.key";
pub(crate) const NAMES: [&str; 4] = [CA_CRT, CA_KEY, TLS_CRT, TLS_KEY];

/// Who makes and renews the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This program: the authority's key is there, or nothing at all.
    Own,
    /// Someone else, cert-manager for example: it is read and never written.
    Given,
}

/// What the files hold. One that is missing is empty: a Secret of the type `kubernetes.io/tls`
/// must have its keys, so they are made empty by whoever has no certificate yet.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) ca_crt: Vec<u8>,
    pub(crate) ca_key: Vec<u8>,
    pub(crate) tls_crt: Vec<u8>,
    pub(crate) tls_key: Vec<u8>,
}

impl Files {
    pub(crate) fn is_empty(&self) -> bool {
        self.iter().all(|(_, content)| content.is_empty())
    }

    pub(crate) fn origin(&self) -> Origin {
        if self.ca_key.is_empty() && !self.is_empty() { Origin::Given } else { Origin::Own }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let Self { ca_crt, ca_key, tls_crt, tls_key } = self;
        NAMES.into_iter().zip([&**ca_crt, ca_key, tls_crt, tls_key])
    }

    /// Reads each file through `read`.
    pub(crate) fn try_of<E>(mut read: impl FnMut(&str) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        Ok(Self {
            ca_crt: read(CA_CRT)?,
            ca_key: read(CA_KEY)?,
            tls_crt: read(TLS_CRT)?,
            tls_key: read(TLS_KEY)?,
        })
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, content)| (name, content.len()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_without_the_authoritys_key_is_someone_elses() {
        let given = Files { tls_crt: b"c".into(), tls_key: b"k".into(), ..Files::default() };
        assert_eq!(given.origin(), Origin::Given);
        assert_eq!(Files { ca_key: b"k".into(), ..given }.origin(), Origin::Own);
        assert_eq!(Files::default().origin(), Origin::Own);
    }

    #[test]
    fn debug_shows_no_content() {
        let files = Files { tls_key: b"secret".into(), ..Files::default() };
        assert_eq!(
            format!("{files:?}"),
            r#"{"ca.crt": 0, "ca.key": 0, "tls.crt": 0, "tls.key": 6}"#
        );
    }
}
