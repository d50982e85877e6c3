//! How the programs of a control plane are started: their certificates, keys and flags.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    audit,
    authority::{Authority, Pair},
    cluster::Purpose,
    daemon::free_port,
    machine,
};

/// Files and addresses of one control plane.
#[derive(Debug)]
pub(super) struct Servers {
    folder: PathBuf,
    purpose: Purpose,
    etcd: String,
    peers: String,
    port: u16,
}

impl Servers {
    /// Finds free ports, and writes what the programs read.
    pub(super) fn new(folder: &Path, authority: &Authority, purpose: Purpose) -> Result<Self> {
        let pair = |name: &str, pair: Pair| {
            write(folder, &format!("{name}.crt"), &pair.certificate)?;
            write(folder, &format!("{name}.key"), &pair.key)
        };
        write(folder, "ca.crt", &authority.certificate())?;
        let names = ["127.0.0.1", machine::API, "kubernetes.default.svc"];
        pair("server", authority.server(&names)?)?;
        pair("kubelets", authority.client("kube-apiserver", &["system:masters"])?)?;
        let accounts = rcgen::KeyPair::generate()?;
        write(folder, "accounts.pub", &accounts.public_key_pem())?;
        write(folder, "accounts.key", &accounts.serialize_pem())?;
        write(folder, "audit-policy.yaml", audit::POLICY)?;
        let address = || anyhow::Ok(format!("http://127.0.0.1:{}", free_port()?));
        let (etcd, peers, port) = (address()?, address()?, free_port()?);
        Ok(Self { folder: folder.to_owned(), purpose, etcd, peers, port })
    }

    /// Where the API server listens.
    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn etcd(&self, program: &Path) -> Command {
        let Self { etcd, peers, .. } = self;
        let mut command = Command::new(program);
        command
            .arg(self.flag("data-dir", "etcd"))
            .args([
                format!("--listen-client-urls={etcd}"),
                format!("--advertise-client-urls={etcd}"),
            ])
            .args([
                format!("--listen-peer-urls={peers}"),
                format!("--initial-advertise-peer-urls={peers}"),
            ])
            .args([format!("--initial-cluster=default={peers}"), "--log-level=warn".to_owned()]);
        command
    }

    pub(super) fn api_server(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args([format!("--etcd-servers={}", self.etcd), format!("--secure-port={}", self.port)])
            .args(["--bind-address=127.0.0.1", "--endpoint-reconciler-type=none"])
            .arg("--allow-privileged=true")
            .args(["--service-cluster-ip-range=10.0.0.0/24"])
            .args(["--service-account-issuer=https://kubernetes.default.svc"])
            .arg(self.flag("service-account-key-file", "accounts.pub"))
            .arg(self.flag("service-account-signing-key-file", "accounts.key"))
            .arg(self.flag("client-ca-file", "ca.crt"))
            .arg(self.flag("tls-cert-file", "server.crt"))
            .arg(self.flag("tls-private-key-file", "server.key"))
            .arg(self.flag("audit-policy-file", "audit-policy.yaml"))
            .arg(self.flag("audit-log-path", "audit.log"));
        match self.purpose {
            Purpose::Objects => command.arg("--authorization-mode=RBAC"),
            Purpose::Pods => command
                .args([
                    "--authorization-mode=Node,RBAC",
                    "--enable-admission-plugins=NodeRestriction",
                ])
                .arg(self.flag("kubelet-client-certificate", "kubelets.crt"))
                .arg(self.flag("kubelet-client-key", "kubelets.key"))
                .arg("--kubelet-preferred-address-types=InternalIP")
                // It looks for one itself where there is a way out, which a machine of tests has not.
                .arg(format!("--advertise-address={}", machine::NODE))
                // There is no kube-proxy: it asks the pods behind a Service.
                .arg("--enable-aggregator-routing=true"),
        };
        command
    }

    pub(super) fn controller_manager(&self, program: &Path, kubeconfig: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(self.flag("service-account-private-key-file", "accounts.key"))
            .args(["--leader-elect=false", "--secure-port=0"]);
        match self.purpose {
            Purpose::Objects => command.arg(
                "--controllers=deployment-controller,replicaset-controller,garbage-collector-controller",
            ),
            // All; and pods are told whom to trust.
            Purpose::Pods => command.arg(self.flag("root-ca-file", "ca.crt")),
        };
        command
    }

    fn flag(&self, name: &str, file: &str) -> String {
        format!("--{name}={}", self.folder.join(file).display())
    }
}

pub(super) fn scheduler(program: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .args(["--leader-elect=false", "--secure-port=0"]);
    command
}

/// Writes a file; tells its path.
pub(super) fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
