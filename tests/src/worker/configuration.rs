//! What containerd and the kubelet are told.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::worker::{PAUSE, parts::Parts};

/// Where the daemons of a node find what they are told.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) all: PathBuf,
    pub(super) containerd: PathBuf,
    pub(super) kubelet: PathBuf,
    pub(super) kubeconfig: PathBuf,
}

impl Folders {
    pub(super) fn new(all: &Path) -> Self {
        Self {
            all: all.to_owned(),
            containerd: all.join("containerd.toml"),
            kubelet: all.join("kubelet.json"),
            kubeconfig: all.join("kubelet.kubeconfig"),
        }
    }

    /// Writes it all down.
    pub(super) fn configure(&self, parts: &Parts, kubeconfig: &str, authority: &str) -> Result<()> {
        let ca = self.all.join("kubelet-ca.crt");
        let network = self.all.join("network");
        fs::create_dir_all(&network)?;
        write(&ca, authority)?;
        write(&self.kubeconfig, kubeconfig)?;
        write(&self.kubelet, &kubelet(&ca))?;
        write(&network.join("10-pods.conflist"), &pods_network())?;
        write(&self.containerd, &containerd(parts, &network))
    }
}

fn kubelet(ca: &Path) -> String {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": { "x509": { "clientCAFile": ca }, "anonymous": { "enabled": false } },
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "failSwapOn": false,
        "makeIPTablesUtilChains": false,
        "resolvConf": "",
        // Nobody is there: everything here is asked for by address.
        "clusterDNS": ["10.0.0.10"],
        // How full the disk of this machine is, is not what is tested.
        "evictionHard": { "memory.available": "1%", "nodefs.available": "0%", "imagefs.available": "0%" },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "localStorageCapacityIsolation": false,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "maxPods": 250,
        "readOnlyPort": 0,
        "healthzPort": 0,
        "enableServer": true,
    })
    .to_string()
}

/// A bridge that all pods are on; the node is there too, and the way to everything else.
fn pods_network() -> String {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "pods",
            "isGateway": true,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/pods",
                "ranges": [[{ "subnet": "10.2.0.0/16" }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    })
    .to_string()
}

fn containerd(parts: &Parts, network: &Path) -> String {
    let cni = parts.cni();
    let runc = parts.program("runc");
    let plugin = "plugins.\"io.containerd.grpc.v1.cri\"";
    // Nobody here may lower the score of a process, which is how runc fails otherwise; and its own AppArmor profile would
    // stay in the kernel of whoever has that.
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "/run/containerd/containerd.sock"
[{plugin}]
sandbox_image = "localhost/{PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
[{plugin}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{plugin}.containerd.runtimes.runc.options]
BinaryName = "{}"
[{plugin}.cni]
bin_dir = "{}"
conf_dir = "{}"
"#,
        runc.display(),
        cni.display(),
        network.display()
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
