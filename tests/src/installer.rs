//! The real `cinch-node-installer run` as a process that can be killed, stopped and started again.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Result;

use crate::{
    built, chart,
    daemon::{Daemon, told::greatest},
    namespace::unique,
    plain_http,
};

const READY: Duration = Duration::from_mins(1);

/// The daemon of one node, with a folder as the node's root; killed when dropped.
#[derive(Debug)]
pub struct Installer {
    daemon: Daemon,
    flags: Vec<OsString>,
    folder: PathBuf,
    pub admin: SocketAddr,
}

impl Installer {
    /// Starts the daemon of a node, and waits until it has done what all objects ask for.
    pub async fn start(folder: &Path, node: &str, kubeconfig: &Path) -> Result<Self> {
        let mut installer = Self::start_unready(folder, node, kubeconfig).await?;
        installer.ready().await?;
        Ok(installer)
    }

    /// The same without waiting, which is in vain when it cannot learn of all objects.
    pub async fn start_unready(folder: &Path, node: &str, kubeconfig: &Path) -> Result<Self> {
        // What a kernel has to have is shown where there is such a kernel.
        let mut flags: Vec<OsString> = vec!["--mechanisms=seccomp".into()];
        flags.extend(["--node-name".into(), node.into()]);
        flags.extend(["--kubeconfig".into(), kubeconfig.into()]);
        flags.extend(["--root".into(), folder.join("root").into_os_string()]);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (daemon, admin) = run(folder, &flags, any).await?;
        Ok(Self { daemon, flags, folder: folder.to_owned(), admin })
    }

    /// Starts it again on the same port after it has ended.
    pub async fn start_again(&mut self) -> Result<()> {
        (self.daemon, self.admin) = run(&self.folder, &self.flags, self.admin).await?;
        Ok(())
    }

    /// Waits until it has done what all objects ask for.
    pub async fn ready(&mut self) -> Result<()> {
        self.daemon.ready(self.admin, READY).await
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

    /// Where its root and its log are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the node has a seccomp profile.
    pub fn seccomp(&self, name: &str) -> PathBuf {
        self.folder.join("root/var/lib/kubelet/seccomp/operator").join(format!("{name}.json"))
    }

    /// The status and body of `/readyz`.
    pub async fn readyz(&self) -> Result<(u16, String)> {
        plain_http::get(self.admin, "/readyz").await
    }

    /// The greatest sample of the metric whose name ends so; none where there is no sample yet.
    pub async fn gauge(&self, ending: &str) -> Result<Option<f64>> {
        let (_, text) = plain_http::get(self.admin, "/metrics").await?;
        Ok(greatest(&text, ending))
    }
}

async fn run(folder: &Path, flags: &[OsString], admin: SocketAddr) -> Result<(Daemon, SocketAddr)> {
    // The chart gives it no capability for seccomp alone. Who is not root has none.
    let mut command = if rustix::process::geteuid().is_root() {
        let [setpriv, flags @ ..] = chart::with_capabilities(&[]);
        let mut command = Command::new(setpriv);
        command.args(flags).arg(program()?);
        command
    } else {
        Command::new(program()?)
    };
    command.args(["run".to_owned(), format!("--admin={admin}")]).args(flags);
    let mut daemon = Daemon::start(&format!("cinch-node-installer-{}", unique()), command, folder)?;
    let [admin] = daemon.addresses(["admin"], READY).await?;
    Ok((daemon, admin))
}

/// `CINCH_NODE_INSTALLER_BIN`, or what cargo built beside the folder of this test.
pub fn program() -> Result<PathBuf> {
    built::program("cinch-node-installer", "CINCH_NODE_INSTALLER_BIN")
}
