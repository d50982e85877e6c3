//! The real `cinch-webhook serve` as a process that can be killed, stopped and started again.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use kube::{Client, Config};
use serde_json::Value;

use crate::{
    answer::Asker,
    built,
    daemon::{Daemon, told::greatest},
    namespace::unique,
    plain_http,
    review::{Review, Verdict},
};

const READY: Duration = Duration::from_secs(30);

/// Where a webhook learns of bindings and recordings.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A kubeconfig file.
    Cluster(&'a Path),
    /// A folder of YAML files.
    Manifests(&'a Path),
}

/// A replica; killed when dropped.
#[derive(Debug)]
pub struct Webhook {
    daemon: Daemon,
    flags: Vec<OsString>,
    folder: PathBuf,
    pub reviews: SocketAddr,
    pub admin: SocketAddr,
}

impl Webhook {
    /// Starts a replica and waits until it is ready.
    ///
    /// Replicas with the same `folder` share their certificates, as they do in a cluster.
    pub async fn start(folder: &Path, source: Source<'_>) -> Result<Self> {
        Self::start_with(folder, source, &[]).await
    }

    /// The same with more flags; with `--certs-secret` nothing is kept in the folder.
    pub async fn start_with(folder: &Path, source: Source<'_>, more: &[&str]) -> Result<Self> {
        let mut flags = Vec::new();
        if !more.iter().any(|flag| flag.starts_with("--certs-secret")) {
            flags.extend(["--certs".into(), folder.join("certs").into_os_string()]);
        }
        flags.extend(match source {
            Source::Cluster(kubeconfig) => ["--kubeconfig".into(), kubeconfig.into()],
            Source::Manifests(manifests) => ["--manifests".into(), manifests.into()],
        });
        flags.extend(more.iter().map(OsString::from));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (daemon, reviews, admin) = serve(folder, &flags, any, any).await?;
        let mut webhook = Self { daemon, flags, folder: folder.to_owned(), reviews, admin };
        webhook.ready().await?;
        Ok(webhook)
    }

    /// Starts it again on the same ports after it has ended, and waits until it is ready.
    pub async fn start_again(&mut self) -> Result<()> {
        (self.daemon, self.reviews, self.admin) =
            serve(&self.folder, &self.flags, self.reviews, self.admin).await?;
        self.ready().await
    }

    /// Ends it without a chance to do anything.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon.kill()
    }

    /// Asks it to end, as an orchestrator does, and waits until it has done so in good order.
    pub async fn stop(&mut self, limit: Duration) -> Result<()> {
        self.daemon.stop(limit).await
    }

    pub fn log(&self) -> Result<String> {
        self.daemon.log()
    }

    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Where its certificates and logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate authority that an API server has to trust, as PEM.
    pub fn ca(&self) -> Result<String> {
        fs::read_to_string(self.ca_path()).context("no ca.crt")
    }

    /// Has one review answered, without an API server in between.
    pub async fn review(&self, path: &str, review: &Review<'_>) -> Result<Verdict> {
        let asker = self.asker()?;
        let body: Value = asker.ask("POST", path, Some(&review.body())).await?.granted()?;
        Verdict::read(&body)
    }

    /// The status and body of `/readyz`.
    pub async fn readyz(&self) -> Result<(u16, String)> {
        plain_http::get(self.admin, "/readyz").await
    }

    /// The greatest sample of the metric whose name ends so.
    pub async fn gauge(&self, ending: &str) -> Result<f64> {
        let (_, text) = plain_http::get(self.admin, "/metrics").await?;
        greatest(&text, ending).with_context(|| format!("no metric ...{ending} in:\n{text}"))
    }

    /// Talks to the replica over TLS, trusting its own authority.
    pub fn asker(&self) -> Result<Asker> {
        let mut config = Config::new(format!("https://{}", self.reviews).parse()?);
        config.root_cert_file = Some(self.ca_path());
        config.default_retry = false;
        Ok(Asker::new(Client::try_from(config)?))
    }

    fn ca_path(&self) -> PathBuf {
        self.folder.join("certs/ca.crt")
    }

    async fn ready(&mut self) -> Result<()> {
        self.daemon.ready(self.admin, READY).await
    }
}

async fn serve(
    folder: &Path,
    flags: &[OsString],
    reviews: SocketAddr,
    admin: SocketAddr,
) -> Result<(Daemon, SocketAddr, SocketAddr)> {
    let mut command = Command::new(program()?);
    command
        .args(["serve".to_owned(), format!("--listen={reviews}"), format!("--admin={admin}")])
        .args(flags);
    let mut daemon = Daemon::start(&format!("cinch-webhook-{}", unique()), command, folder)?;
    let [reviews, admin] = daemon.addresses(["reviews", "admin"], READY).await?;
    Ok((daemon, reviews, admin))
}

/// `CINCH_WEBHOOK_BIN`, or what cargo built beside the folder of this test.
pub fn program() -> Result<PathBuf> {
    built::program("cinch-webhook", "CINCH_WEBHOOK_BIN")
}
