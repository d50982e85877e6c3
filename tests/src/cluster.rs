//! A control plane on loopback: etcd, kube-apiserver, and kube-controller-manager where there is one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    answer::Asker,
    audit::{self, Audit},
    authority::{Authority, Identity, Pair},
    daemon::{Daemon, free_port},
    namespace::unique,
    object,
    programs::{Programs, repository},
    until::until,
};

const START: Duration = Duration::from_secs(90);
/// A free port can be taken between the moment it is found and the moment it is used.
const ATTEMPTS: usize = 3;

/// A running control plane; everything ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: those that ask before those that are asked, the folder last.
    controller_manager: Option<Daemon>,
    _api_server: Daemon,
    _etcd: Daemon,
    authority: Authority,
    url: String,
    asker: Asker,
    audit: Audit,
    folder: TempDir,
}

impl Cluster {
    /// Starts all programs, waits until the API server is ready, and applies our CRDs.
    pub async fn start(programs: &Programs) -> Result<Self> {
        let mut attempt = 1;
        let mut cluster = loop {
            match Self::control_plane(programs).await {
                Ok(cluster) => break cluster,
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        };
        cluster.apply_crds().await?;
        // Last: its garbage collector looks only now and then for kinds that are new.
        if let Some(program) = &programs.controller_manager {
            cluster.controller_manager = Some(cluster.start_controller_manager(program)?);
        }
        Ok(cluster)
    }

    async fn control_plane(programs: &Programs) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cinch-cluster-").tempdir()?;
        let authority = Authority::new()?;
        let (etcd, etcd_url) = start_etcd(&programs.etcd, folder.path())?;
        let port = free_port()?;
        let mut api_server =
            start_api_server(&programs.api_server, folder.path(), &authority, &etcd_url, port)?;
        let url = format!("https://127.0.0.1:{port}");
        let asker = authority.identity(&url, "admin", &["system:masters"])?.asker().await?;
        until("the API server is ready", START, async || {
            api_server.check_alive()?;
            let answer = asker.ask("GET", "/readyz", None).await;
            Ok(answer.ok().filter(|answer| answer.status.is_success()))
        })
        .await
        .with_context(|| api_server.log_tail())?;
        let audit = Audit::new(&folder.path().join("audit.log"));
        Ok(Self {
            controller_manager: None,
            _api_server: api_server,
            _etcd: etcd,
            authority,
            url,
            asker,
            audit,
            folder,
        })
    }

    /// Asks as an administrator.
    pub fn asker(&self) -> &Asker {
        &self.asker
    }

    /// Where the API server listens, as `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
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
        self.authority.identity(&self.url, user, groups)
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
        let folder = self.folder();
        // In its own role it may only take on the roles of its controllers, which takes one more flag and many calls.
        let identity = self.identity("kube-controller-manager", &["system:masters"])?;
        let kubeconfig = self.kubeconfig("kube-controller-manager", &identity)?;
        let mut command = Command::new(program);
        command
            .arg(flag("kubeconfig", &kubeconfig))
            .arg(flag("service-account-private-key-file", &folder.join("accounts.key")))
            .args(["--controllers=deployment-controller,replicaset-controller,garbage-collector-controller"])
            .args(["--leader-elect=false", "--secure-port=0"]);
        Daemon::start("kube-controller-manager", command, folder)
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

fn start_etcd(program: &Path, folder: &Path) -> Result<(Daemon, String)> {
    let url = format!("http://127.0.0.1:{}", free_port()?);
    let peers = format!("http://127.0.0.1:{}", free_port()?);
    let mut command = Command::new(program);
    command
        .arg(flag("data-dir", &folder.join("etcd")))
        .args([format!("--listen-client-urls={url}"), format!("--advertise-client-urls={url}")])
        .args([
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
        ])
        .args([format!("--initial-cluster=default={peers}"), "--log-level=warn".to_owned()]);
    Ok((Daemon::start("etcd", command, folder)?, url))
}

fn start_api_server(
    program: &Path,
    folder: &Path,
    authority: &Authority,
    etcd_url: &str,
    port: u16,
) -> Result<Daemon> {
    let ca = write(folder, "ca.crt", &authority.certificate())?;
    let Pair { certificate, key } = authority.server(&["127.0.0.1", "kubernetes.default.svc"])?;
    let certificate = write(folder, "server.crt", &certificate)?;
    let key = write(folder, "server.key", &key)?;
    let accounts = rcgen::KeyPair::generate()?;
    let public = write(folder, "accounts.pub", &accounts.public_key_pem())?;
    let private = write(folder, "accounts.key", &accounts.serialize_pem())?;
    let policy = write(folder, "audit-policy.yaml", audit::POLICY)?;
    let mut command = Command::new(program);
    command
        .args([format!("--etcd-servers={etcd_url}"), format!("--secure-port={port}")])
        .args(["--bind-address=127.0.0.1", "--endpoint-reconciler-type=none"])
        .args(["--authorization-mode=RBAC", "--allow-privileged=true"])
        .args(["--service-cluster-ip-range=10.0.0.0/24"])
        .args(["--service-account-issuer=https://kubernetes.default.svc"])
        .arg(flag("service-account-key-file", &public))
        .arg(flag("service-account-signing-key-file", &private))
        .arg(flag("client-ca-file", &ca))
        .arg(flag("tls-cert-file", &certificate))
        .arg(flag("tls-private-key-file", &key))
        .arg(flag("audit-policy-file", &policy))
        .arg(flag("audit-log-path", &folder.join("audit.log")));
    Daemon::start("kube-apiserver", command, folder)
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
