//! The programs of a cluster with one node, as they are installed.

use std::{net::SocketAddr, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use tests::{
    cluster::Cluster,
    daemon::{Daemon, free_port},
    installer::{self, Installer},
    namespace::{BINDING, Namespace},
    node::Node,
    registration::{ONE_PATH, Registration, Scope},
    service::Service,
    settled::{registered, settled},
    webhook::{Source, Webhook},
};

use crate::LIMIT;

/// All of them, killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemons<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) webhook: Webhook,
    controller: Daemon,
    installer: Installer,
    /// None where it may not load programs into the kernel.
    recorder: Option<Daemon>,
    _service: Service,
}

impl<'a> Daemons<'a> {
    /// Starts them, and waits until they know what is there.
    pub(crate) async fn start(cluster: &'a Cluster) -> Result<Self> {
        let identity = cluster.identity("a-daemon", &["system:masters"])?;
        let kubeconfig = cluster.kubeconfig("daemons", &identity)?;
        let folder = cluster.new_folder()?;
        let webhook = Webhook::start(&folder, Source::Cluster(&kubeconfig)).await?;
        let service = Service::start().await?;
        service.add(&webhook).await?;
        let registration = Registration {
            fixture: ONE_PATH,
            name: "cinch",
            address: service.address,
            ca: &webhook.ca()?,
            failure_policy: "Fail",
            scope: Scope::Shared,
        };
        cluster.create(&registration.object()?).await?;
        registered(&Namespace::new(cluster.asker(), &[(BINDING, "")]).await?).await?;

        let node = Node::new(cluster).await?;
        let installer =
            Installer::start(&cluster.new_folder()?, &node.name, &node.kubeconfig().await?).await?;
        let flags = ["controller", "--identity=one", "--lease=default/cinch-controller"];
        let controller =
            start("cinch-webhook", &flags.map(str::to_owned), &kubeconfig, cluster).await?;
        let recorder = if rustix::process::geteuid().is_root() {
            let folder = cluster.new_folder()?;
            let flags = [
                "run".to_owned(),
                format!("--node-name={}", node.name),
                format!("--state={}", folder.join("state").display()),
                "--violations".to_owned(),
            ];
            Some(start("cinch-recorder", &flags, &kubeconfig, cluster).await?)
        } else {
            None
        };
        Ok(Self { node, webhook, controller, installer, recorder, _service: service })
    }

    /// Their processes: webhook, controller, node installer, recorder.
    pub(crate) fn pids(&self) -> [Option<u32>; 4] {
        let Self { webhook, controller, installer, recorder, .. } = self;
        let recorder = recorder.as_ref().map(Daemon::pid);
        [Some(webhook.pid()), Some(controller.pid()), Some(installer.pid()), recorder]
    }

    /// Waits until the webhook has seen all that was created before.
    pub(crate) async fn settled(&self, spaces: &[Namespace]) -> Result<()> {
        let last = spaces.last().context("no namespace")?;
        settled(last, &[&self.webhook]).await
    }
}

/// Starts a daemon whose harness is none of the shared ones, and waits until it is ready.
async fn start(
    program: &str,
    flags: &[String],
    kubeconfig: &Path,
    cluster: &Cluster,
) -> Result<Daemon> {
    let path = installer::program()?.with_file_name(program);
    ensure!(path.is_file(), "no {}: cargo build --release makes it", path.display());
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut command = Command::new(path);
    command.args(flags).arg(format!("--admin={admin}")).arg("--kubeconfig").arg(kubeconfig);
    let mut daemon = Daemon::start(&format!("scale-{program}"), command, &cluster.new_folder()?)?;
    daemon.ready(admin, LIMIT).await?;
    Ok(daemon)
}
