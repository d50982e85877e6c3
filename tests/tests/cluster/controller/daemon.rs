//! The real `cinch-webhook controller` as a process that can be killed, stopped and started again.

use std::{net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use tests::{
    chart::{self, NAMESPACE},
    cluster::Cluster,
    daemon::Daemon,
    namespace::unique,
    node, plain_http,
    until::until,
    webhook::program,
};

const RIGHTS: &str = include_str!("../../../../charts/cinch/templates/controller-rbac.yaml");
/// What narrows them down.
const POLICY: &str = include_str!("../../../../charts/cinch/templates/profile-holds.yaml");
pub(super) const ACCOUNT: &str = "cinch-controller";
/// As the API server knows it.
pub(super) const USER: &str = "system:serviceaccount:security-profiles-operator:cinch-controller";
const READY: Duration = Duration::from_mins(1);

/// A replica; killed when dropped.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) daemon: Daemon,
    pub(super) admin: SocketAddr,
    pub(super) identity: String,
}

impl Controller {
    /// Starts a replica, and waits until it knows all objects.
    pub(super) async fn start(cluster: &Cluster, identity: &str) -> Result<Self> {
        node::grant(cluster).await?;
        chart::apply(cluster, RIGHTS).await?;
        chart::apply(cluster, POLICY).await?;
        let token = node::token(cluster, NAMESPACE, ACCOUNT, None).await?;
        let kubeconfig = cluster.kubeconfig(&format!("controller-{}", unique()), &token)?;
        Self::start_as(cluster.new_folder()?, &kubeconfig, identity).await
    }

    async fn start_as(
        folder: PathBuf,
        kubeconfig: &std::path::Path,
        identity: &str,
    ) -> Result<Self> {
        let mut command = Command::new(program()?);
        command.args(["controller", "--admin=127.0.0.1:0", "--log=info,webhook=debug"]);
        command.arg(format!("--kubeconfig={}", kubeconfig.display()));
        command.arg(format!("--identity={identity}"));
        let mut daemon = Daemon::start(&format!("controller-{}", unique()), command, &folder)?;
        let [admin] = daemon.addresses(["admin"], READY).await?;
        daemon.ready(admin, READY).await?;
        Ok(Self { daemon, admin, identity: identity.to_owned() })
    }

    /// Whether it says that it leads.
    pub(super) async fn leads(&self) -> Result<bool> {
        let (_, text) = plain_http::get(self.admin, "/metrics").await?;
        Ok(text.lines().any(|line| line == "cinch_controller_leader 1"))
    }

    /// Waits until it leads.
    pub(super) async fn until_leads(&self) -> Result<()> {
        let what = format!("{} leads", self.identity);
        let leads = until(&what, READY, async || Ok(self.leads().await?.then_some(())));
        leads.await.with_context(|| self.daemon.log_tail())
    }
}
