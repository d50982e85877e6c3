//! The real `cinch-recorder run` as a process that can be killed, stopped and started again, with the rights that the
//! chart gives it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tests::{
    built,
    chart::{self, NAMESPACE},
    cluster::Cluster,
    daemon::Daemon,
    namespace::unique,
    node::{self, Node},
    plain_http,
    until::until,
};

const RIGHTS: &str = include_str!("../../../../charts/cinch/templates/recorder-rbac.yaml");
const ACCOUNT: &str = "cinch-recorder";
const READY: Duration = Duration::from_mins(1);

/// The recorder of one node.
pub(crate) struct Recorder {
    // Ended before what it needs.
    daemon: Daemon,
    mounts: Daemon,
    flags: Vec<String>,
    folder: PathBuf,
    pub(crate) admin: SocketAddr,
}

/// A kubeconfig for the recorder of a node; `at` is where it finds the API server.
pub(crate) async fn kubeconfig(node: &Node<'_>, at: Option<&str>) -> Result<PathBuf> {
    let cluster = node.cluster;
    node::grant(cluster).await?;
    chart::apply(cluster, RIGHTS).await?;
    let token = node::token(cluster, NAMESPACE, ACCOUNT, Some(&node.reference())).await?;
    let token = match at {
        Some(url) => token.at(url),
        None => token,
    };
    cluster.kubeconfig(&format!("{}-recorder", node.name), &token)
}

impl Recorder {
    /// Starts the recorder of a node, and waits until it knows what is to be recorded.
    pub(crate) async fn start(node: &Node<'_>) -> Result<Self> {
        Self::start_with(node.cluster, &node.name, &kubeconfig(node, None).await?, &[]).await
    }

    pub(crate) async fn start_with(
        cluster: &Cluster,
        node: &str,
        kubeconfig: &Path,
        more: &[&str],
    ) -> Result<Self> {
        let folder = cluster.new_folder()?;
        let bpf = folder.join("bpf");
        let mounts = mounts(&folder, &bpf).await?;
        let mut flags = vec![
            format!("--node-name={node}"),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--state={}", folder.join("state").display()),
            format!("--bpf={}", bpf.join("recorder").display()),
            "--base=none".to_owned(),
            "--pace=1".to_owned(),
        ];
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (daemon, admin) = run(&mounts, &folder, &flags, any).await?;
        let mut recorder = Self { daemon, mounts, flags, folder, admin };
        recorder.ready().await?;
        Ok(recorder)
    }

    /// Starts it again after it has ended.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        (self.daemon, self.admin) =
            run(&self.mounts, &self.folder, &self.flags, self.admin).await?;
        self.ready().await
    }

    pub(crate) async fn ready(&mut self) -> Result<()> {
        self.daemon.ready(self.admin, READY).await
    }

    /// Waits until it says that it is not ready, and gives what it says.
    pub(crate) async fn not_ready(&self) -> Result<String> {
        let said = until("the recorder is not ready", READY, async || {
            let (status, text) = plain_http::get(self.admin, "/readyz").await?;
            Ok((status != 200).then_some(text))
        });
        said.await.with_context(|| self.daemon.log_tail())
    }

    /// Waits until programs in the kernel watch for this, such as `calls`.
    pub(crate) async fn watches(&self, what: &str) -> Result<()> {
        let line = format!("cinch_recorder_watching{{of=\"{what}\"}} 1");
        let said = format!("the recorder watches {what}");
        let watches = until(&said, READY, async || {
            let (_, text) = plain_http::get(self.admin, "/metrics").await?;
            Ok(text.lines().any(|it| it == line).then_some(()))
        });
        watches.await.with_context(|| self.daemon.log_tail())
    }

    /// Ends it without a chance to do anything.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.daemon.kill()
    }

    /// Programs of the recorder that run: links that its process holds, and those that are pinned.
    pub(crate) fn running(&self) -> Result<Vec<String>> {
        let mut found = self.in_kernel()?;
        found.retain(|it| it.contains("link"));
        Ok(found)
    }

    /// What the recorder has in the kernel: programs, maps and links that its process holds, and what is pinned.
    pub(crate) fn in_kernel(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.daemon.pid()))? {
            // One that was closed meanwhile is none.
            let link = fs::read_link(entry?.path()).unwrap_or_default();
            let link = link.to_string_lossy();
            found.extend(link.contains("bpf").then(|| link.to_string()));
        }
        let pins = self.folder.join("bpf/recorder");
        let pins = format!("/proc/{}/root{}", self.mounts.pid(), pins.display());
        // The folder itself goes when nothing is pinned.
        for entry in fs::read_dir(pins).into_iter().flatten() {
            found.push(entry?.path().display().to_string());
        }
        Ok(found)
    }
}

/// A BPF file system that only those see who are told of it, and that is there for as long as this runs.
async fn mounts(folder: &Path, bpf: &Path) -> Result<Daemon> {
    fs::create_dir(bpf)?;
    let mut command = Command::new("unshare");
    let script = "mount -t bpf bpf \"$0\" && exec sleep infinity";
    command.args(["--mount", "sh", "-c", script]).arg(bpf);
    let mut mounts = Daemon::start(&format!("mounts-{}", unique()), command, folder)?;
    let line = format!(" {} bpf ", bpf.display());
    until("a BPF file system is mounted", READY, async || {
        mounts.check_alive()?;
        let text = fs::read_to_string(format!("/proc/{}/mounts", mounts.pid()))?;
        Ok(text.contains(&line).then_some(()))
    })
    .await?;
    Ok(mounts)
}

async fn run(
    mounts: &Daemon,
    folder: &Path,
    flags: &[String],
    admin: SocketAddr,
) -> Result<(Daemon, SocketAddr)> {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--mount=/proc/{}/ns/mnt", mounts.pid()))
        .args(chart::with_capabilities(&chart::RECORDER))
        .arg(built::program("cinch-recorder", "CINCH_RECORDER_BIN")?);
    command.args(["run".to_owned(), format!("--admin={admin}")]).args(flags);
    let mut daemon = Daemon::start(&format!("cinch-recorder-{}", unique()), command, folder)?;
    let [admin] = daemon.addresses(["admin"], READY).await?;
    Ok((daemon, admin))
}
