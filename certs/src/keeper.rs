//! Opens the certificates and keeps them good: reloads what changes, renews what gets old.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    ops::Range,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use kube::Client;
use tokio::time::sleep;

use crate::{
    care::{Care, CertsError, Outcome},
    date::Date,
    folder::Folder,
    lifetimes::Lifetimes,
    name::Name,
    secret::Secret,
    serving::{Active, Serving},
    store::{Store, Version},
};

/// How often to look without being told to: watches can go deaf, and clocks are set.
/// Not below the first, so that a clock set wrong keeps no processor busy.
const RECHECK: Range<Duration> = Duration::from_millis(50)..Duration::from_secs(30);

/// Between two tries of what fails, at first and at most.
const RETRY: Range<Duration> = Duration::from_millis(500)..Duration::from_mins(1);

/// Where the certificates are kept.
#[derive(Clone)]
pub enum Source {
    /// A folder with `ca.crt`, `tls.crt`, `tls.key`: ours, with `ca.key`, or a mounted Secret.
    Folder(PathBuf),
    /// A Secret that all replicas share: to `get`, `list`, `watch`, `create` and `patch`.
    Secret { client: Client, namespace: String, name: String },
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "Folder({})", path.display()),
            Self::Secret { client: _, namespace, name } => write!(f, "Secret({namespace}/{name})"),
        }
    }
}

/// Keeps the certificates good while it runs.
#[derive(Debug)]
#[must_use = "certificates get old when nobody runs their keeper"]
pub struct Keeper {
    store: Store,
    serving: Serving,
    care: Care,
    /// The state last looked at, good or bad.
    seen: Version,
    /// When something has to be made, where that is our work.
    next: Option<SystemTime>,
}

/// Opens the certificates, and makes them when there are none.
///
/// They are good when this returns; they stay good while [`Keeper::run`] is polled.
pub async fn open(
    source: Source,
    names: impl IntoIterator<Item = Name>,
    lifetimes: Lifetimes,
) -> Result<(Serving, Keeper), CertsError> {
    let mut store = match source {
        Source::Folder(path) => Store::Folder(Folder::new(path)),
        Source::Secret { client, namespace, name } => {
            Store::Secret(Box::new(Secret::new(client, &namespace, name)))
        }
    };
    let loaded = store.load().await?;
    let mut care = Care::new(names.into_iter().collect(), lifetimes);
    let Outcome { version, active, made, next } = care.look(&mut store, loaded).await?;
    warn_of_end(&active);
    let serving = Serving::new(active, made);
    let keeper = Keeper { store, serving: serving.clone(), care, seen: version, next };
    Ok((serving, keeper))
}

impl Keeper {
    /// Reloads and renews, for ever. Dropped at any point, it leaves a good state behind.
    pub async fn run(mut self) -> Infallible {
        let mut retry = RETRY.start;
        loop {
            self.wait().await;
            while let Err(error) = self.tend().await {
                self.serving.count_failure();
                warn_of_failure(&error);
                if error.waits_for_a_change() {
                    break;
                }
                // Not interrupted by changes: our own failed tries may be what changes.
                sleep(retry).await;
                retry = (retry * 2).min(RETRY.end);
            }
            retry = RETRY.start;
        }
    }

    async fn wait(&mut self) {
        let left = self.next.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
        let pause = left.map_or(RECHECK.end, |left| left.clamp(RECHECK.start, RECHECK.end));
        tokio::select! {
            () = sleep(pause) => {}
            () = self.store.changed() => {}
        }
    }

    async fn tend(&mut self) -> Result<(), CertsError> {
        let loaded = self.store.load().await?;
        let due = self.next.is_some_and(|at| at <= SystemTime::now());
        if loaded.version == self.seen && !due {
            return Ok(());
        }
        self.seen = loaded.version.clone();
        let outcome = self.care.look(&mut self.store, loaded).await?;
        self.seen = outcome.version;
        self.next = outcome.next;
        warn_of_end(&outcome.active);
        if self.serving.replace(outcome.active, outcome.made) {
            let not_after = Date(self.serving.not_after());
            tracing::info!(%not_after, "certificate changed");
        }
        Ok(())
    }
}

fn warn_of_failure(error: &CertsError) {
    let error = error as &dyn Error;
    tracing::warn!(error, "certificates not changed, the old ones stay");
}

fn warn_of_end(active: &Active) {
    let not_after = active.pair.facts.not_after;
    if not_after <= SystemTime::now() {
        tracing::warn!(not_after = %Date(not_after), "the certificate is too old: clients will refuse it");
    }
}
