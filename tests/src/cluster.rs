//! A control plane on loopback: etcd, kube-apiserver, and kube-controller-manager where there is one; kube-scheduler too
//! where pods are to run.

mod servers;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    answer::Asker,
    audit::Audit,
    authority::{Authority, Identity},
    cluster::servers::{Servers, write},
    daemon::Daemon,
    namespace::unique,
    object,
    programs::{Programs, repository},
    until::until,
};

const START: Duration = Duration::from_secs(90);
/// A free port can be taken between the moment it is found and the moment it is used.
const ATTEMPTS: usize = 3;

/// What a control plane is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Objects and reviews: no pod ever runs.
    Objects,
    /// Pods run, on nodes that join.
    Pods,
}

/// A running control plane; everything ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: those that ask before those that are asked, the folder last.
    controller_manager: Option<Daemon>,
    _scheduler: Option<Daemon>,
    api_server: Daemon,
    _etcd: Daemon,
    programs: Programs,
    servers: Servers,
    authority: Authority,
    asker: Asker,
    audit: Audit,
    folder: TempDir,
}

impl Cluster {
    /// Starts all programs, waits until the API server is ready, and applies our CRDs.
    pub async fn start(programs: &Programs) -> Result<Self> {
        let mut cluster = Self::ready(programs, Purpose::Objects).await?;
        cluster.apply_crds().await?;
        // Last: its garbage collector looks only now and then for kinds that are new.
        if let Some(program) = &programs.controller_manager {
            cluster.controller_manager = Some(cluster.start_controller_manager(program)?);
        }
        Ok(cluster)
    }

    /// Starts all programs that it takes to run pods, and waits until the API server is ready. Our CRDs are not there yet.
    pub async fn start_for_pods(
        programs: &Programs,
        controller_manager: &Path,
        scheduler: &Path,
    ) -> Result<Self> {
        let mut cluster = Self::ready(programs, Purpose::Pods).await?;
        cluster.controller_manager = Some(cluster.start_controller_manager(controller_manager)?);
        let kubeconfig = cluster.master("kube-scheduler")?;
        let command = servers::scheduler(scheduler, &kubeconfig);
        let scheduler = Daemon::start("kube-scheduler", command, cluster.folder())?;
        Ok(Self { _scheduler: Some(scheduler), ..cluster })
    }

    async fn ready(programs: &Programs, purpose: Purpose) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::control_plane(programs, purpose).await {
                Ok(cluster) => return Ok(cluster),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    async fn control_plane(programs: &Programs, purpose: Purpose) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cinch-cluster-").tempdir()?;
        let authority = Authority::new()?;
        let servers = Servers::new(folder.path(), &authority, purpose)?;
        let etcd = Daemon::start("etcd", servers.etcd(&programs.etcd), folder.path())?;
        let command = servers.api_server(&programs.api_server);
        let api_server = Daemon::start("kube-apiserver", command, folder.path())?;
        let url = servers.url();
        let asker = authority.identity(&url, "admin", &["system:masters"])?.asker().await?;
        let audit = Audit::new(&folder.path().join("audit.log"));
        let mut cluster = Self {
            controller_manager: None,
            _scheduler: None,
            api_server,
            _etcd: etcd,
            programs: programs.clone(),
            servers,
            authority,
            asker,
            audit,
            folder,
        };
        cluster.until_ready().await?;
        Ok(cluster)
    }

    async fn until_ready(&mut self) -> Result<()> {
        let Self { api_server, asker, .. } = self;
        until("the API server is ready", START, async || {
            api_server.check_alive()?;
            let answer = asker.ask("GET", "/readyz", None).await;
            Ok(answer.ok().filter(|answer| answer.status.is_success()))
        })
        .await
        .with_context(|| api_server.log_tail())?;
        Ok(())
    }

    /// Kills the API server and starts it again, at the same address; waits until it is ready.
    pub async fn restart_api_server(&mut self) -> Result<()> {
        self.api_server.kill()?;
        let command = self.servers.api_server(&self.programs.api_server);
        self.api_server = Daemon::start("kube-apiserver", command, self.folder.path())?;
        self.until_ready().await
    }

    /// Asks as an administrator.
    pub fn asker(&self) -> &Asker {
        &self.asker
    }

    /// Where the API server listens, as `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.servers.url()
    }

    /// Where the port of the API server is, on loopback.
    pub fn port(&self) -> u16 {
        self.servers.port()
    }

    /// Who vouches for everybody.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// For files that may go when the cluster goes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new folder in it.
    pub fn new_folder(&self) -> Result<PathBuf> {
        let path = self.folder().join(format!("part-{}", unique()));
        fs::create_dir(&path)?;
        Ok(path)
    }

    pub fn has_controller_manager(&self) -> bool {
        self.controller_manager.is_some()
    }

    /// Somebody without any rights but those that a binding gives.
    pub fn identity(&self, user: &str, groups: &[&str]) -> Result<Identity> {
        self.authority.identity(&self.url(), user, groups)
    }

    /// A kubeconfig file for an identity.
    pub fn kubeconfig(&self, name: &str, identity: &Identity) -> Result<PathBuf> {
        write(self.folder(), &format!("{name}.kubeconfig"), &identity.kubeconfig())
    }

    /// Creates an object outside of any namespace.
    pub async fn create(&self, object: &Value) -> Result<Value> {
        let path = object::collection(object, "")?;
        self.asker.ask("POST", &path, Some(object)).await?.granted()
    }

    /// Deletes an object outside of any namespace.
    pub async fn delete(&self, object: &Value) -> Result<()> {
        let path = object::location(object, "")?;
        self.asker.ask("DELETE", &path, None).await?.granted()?;
        Ok(())
    }

    fn start_controller_manager(&self, program: &Path) -> Result<Daemon> {
        // In its own role it may only take on the roles of its controllers, which takes one more flag and many calls.
        let kubeconfig = self.master("kube-controller-manager")?;
        let command = self.servers.controller_manager(program, &kubeconfig);
        Daemon::start("kube-controller-manager", command, self.folder())
    }

    /// A kubeconfig file for somebody who may do everything.
    fn master(&self, name: &str) -> Result<PathBuf> {
        self.kubeconfig(name, &self.identity(name, &["system:masters"])?)
    }

    /// Applies what `charts/cinch/crds` holds and waits until each kind is served.
    async fn apply_crds(&self) -> Result<()> {
        let folder = repository().join("charts/cinch/crds");
        let files = fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))?;
        let mut paths = Vec::new();
        for file in files {
            let path = file?.path();
            let text = fs::read_to_string(&path)?;
            for crd in object::parse(&text).with_context(|| path.display().to_string())? {
                self.create(&crd).await.with_context(|| format!("{}", path.display()))?;
                paths.push(object::location(&crd, "")?);
            }
        }
        for path in paths {
            until(&format!("{path} is established"), START, async || {
                let crd = self.asker.ask("GET", &path, None).await?.granted()?;
                Ok(is_established(&crd).then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

fn is_established(crd: &Value) -> bool {
    let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition["type"] == json!("Established") && condition["status"] == json!("True")
    })
}
