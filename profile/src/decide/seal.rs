//! How a mark of ours is told from one that came with the pod.

/// Makes and checks the nonce in a recording's mark.
///
/// A review may come twice for one pod, to different replicas, and the second must keep what the first wrote; but a mark
/// that the pod's author wrote must not stand. Since nothing is remembered between reviews, the mark itself has to show
/// who made it.
pub trait Seal {
    /// A fresh nonce and the time it was made, in seconds since 1970.
    fn stamp(&self, subject: &Subject<'_>) -> (String, u64);

    /// Whether a nonce was made by us, for this subject, just now.
    fn holds(&self, subject: &Subject<'_>, nonce: &str, unix_seconds: u64) -> bool;
}

/// What a mark says, and of which pod.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub namespace: &'a str,
    /// The pod's name, or what its name will begin with.
    pub pod: &'a str,
    /// The annotation's key, which ends in the container's name.
    pub key: &'a str,
    pub recording: &'a str,
}

impl Subject<'_> {
    /// `<recording>_<container>_<nonce>_<unix seconds>`
    pub(super) fn value(&self, container: &str, seal: &dyn Seal) -> String {
        let (nonce, seconds) = seal.stamp(self);
        format!("{}_{container}_{nonce}_{seconds}", self.recording)
    }

    /// Whether a value is one that [`Self::value`] made.
    pub(super) fn holds(&self, container: &str, value: &str, seal: &dyn Seal) -> bool {
        let parse = || {
            let rest = value.strip_prefix(self.recording)?.strip_prefix('_')?;
            let (nonce, seconds) =
                rest.strip_prefix(container)?.strip_prefix('_')?.split_once('_')?;
            Some(seal.holds(self, nonce, seconds.parse().ok()?))
        };
        parse().unwrap_or(false)
    }
}
