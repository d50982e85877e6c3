//! A real node: containerd and a kubelet on a machine of its own, in a cluster that runs pods.

mod configuration;
pub mod parts;
mod processes;
mod reboot;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use recorder::cri::Cri;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command as Waited;

use crate::{
    cluster::Cluster,
    daemon::{self, Daemon},
    image::Image,
    machine::Machine,
    until::until,
    worker::{configuration::Folders, parts::Parts, processes::Process},
};

/// What the node is called.
pub const NAME: &str = "worker";
/// What holds the namespaces of a pod.
const PAUSE: &str = "pause:1";
const LIMIT: Duration = Duration::from_mins(2);
const SOCKET: &str = "/run/containerd/containerd.sock";
/// How many lines of each log an error shows.
const TAIL: usize = 12;
/// What lines have that say nothing of why pods do not run.
const IDLE: &[&str] = &["eviction_manager.go", "cri_stats_provider.go", "level=info"];

/// Runs pods. What it has started ends with the machine.
#[derive(Debug)]
pub struct Worker {
    // Dropped in this order: who asks before who is asked.
    kubelet: Daemon,
    containerd: Daemon,
    parts: Parts,
    folders: Folders,
}

impl Worker {
    /// Joins the cluster, and waits until pods can be sent here.
    pub async fn start(machine: &Machine, parts: &Parts, cluster: &Cluster) -> Result<Self> {
        let folders = Folders::new(machine.folder());
        let identity = cluster.identity(&format!("system:node:{NAME}"), &["system:nodes"])?;
        folders.configure(parts, &identity.kubeconfig(), &cluster.authority().certificate())?;
        let containerd = start_containerd(parts, &folders).await?;
        let pause = Image::new(PAUSE)?
            .file("/bin/busybox", &parts.busybox())?
            .command(&["/bin/busybox", "sleep", "2147483647"])
            .write(&folders.all)?;
        import(parts, &pause).await?;
        let kubelet = start_kubelet(parts, &folders)?;
        let mut worker = Self { kubelet, containerd, parts: parts.clone(), folders };
        worker.until_ready(cluster).await?;
        Ok(worker)
    }

    /// Lets pods use an image.
    pub async fn import(&self, archive: &Path) -> Result<()> {
        import(&self.parts, archive).await
    }

    /// Fails, with the end of a log, when one of its programs has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.containerd.check_alive()?;
        self.kubelet.check_alive()
    }

    /// Kills all processes on the node that were started with these words; tells how many.
    pub fn kill(&self, words: &[&str]) -> usize {
        signal(words, Signal::KILL)
    }

    /// Stops them where they are, without their knowing.
    pub fn pause(&self, words: &[&str]) -> usize {
        signal(words, Signal::STOP)
    }

    /// Lets them go on.
    pub fn resume(&self, words: &[&str]) -> usize {
        signal(words, Signal::CONT)
    }

    /// How many KiB each process that was started with these words has in memory.
    pub fn memory(&self, words: &[&str]) -> Vec<u64> {
        let all = Process::all().into_iter().filter(|process| process.begins_with(words));
        all.filter_map(|process| process.memory()).collect()
    }

    /// Switches the node off without a warning, and on again. What it has on disk stays but for this folder.
    pub async fn reboot(&mut self, cluster: &Cluster, lost: &Path) -> Result<()> {
        self.kubelet.kill()?;
        self.containerd.kill()?;
        reboot::forget(&self.parts.busybox()).await?;
        if lost.exists() {
            fs::remove_dir_all(lost)?;
        }
        self.containerd = start_containerd(&self.parts, &self.folders).await?;
        self.kubelet = start_kubelet(&self.parts, &self.folders)?;
        self.until_ready(cluster).await
    }

    /// What its programs said last.
    pub fn log_tail(&self) -> String {
        let tail = |daemon: &Daemon| {
            let log = daemon.log().unwrap_or_default();
            // Of what happens again and again there is much, and little to learn.
            let is_told = |line: &&str| !IDLE.iter().any(|idle| line.contains(idle));
            let lines: Vec<&str> = log.lines().filter(is_told).collect();
            format!("--- {}\n{}", daemon.name(), daemon::tail(&lines.join("\n"), TAIL))
        };
        [&self.kubelet, &self.containerd].map(tail).join("\n")
    }

    async fn until_ready(&mut self, cluster: &Cluster) -> Result<()> {
        let asker = cluster.asker().clone();
        let ready = until("the node is ready", LIMIT, async || {
            self.check_alive()?;
            let node = asker.ask("GET", &format!("/api/v1/nodes/{NAME}"), None).await?.body;
            Ok(is_ready(&node).then_some(()))
        })
        .await;
        ready.with_context(|| self.log_tail())
    }
}

fn signal(words: &[&str], signal: Signal) -> usize {
    let all = Process::all().into_iter().filter(|process| process.begins_with(words));
    all.map(|process| process.send(signal)).count()
}

fn is_ready(node: &Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let is = |one: &Value| one["type"] == json!("Ready") && one["status"] == json!("True");
    // It has to be known as well that pods may go there.
    conditions.into_iter().flatten().any(is) && node.pointer("/spec/taints").is_none()
}

async fn start_containerd(parts: &Parts, folders: &Folders) -> Result<Daemon> {
    let mut command = Command::new(parts.program("containerd"));
    command.arg("--config").arg(&folders.containerd).env("PATH", parts.path());
    // For runc, which is started by what is started by it.
    command.env("LD_LIBRARY_PATH", parts.libraries());
    let mut daemon = Daemon::start("containerd", command, &folders.all)?;
    // It can be reached before it knows its containers.
    until("containerd answers kubelets", LIMIT, async || {
        daemon.check_alive()?;
        Ok(Cri::new(Path::new(SOCKET))?.pods().await.ok())
    })
    .await
    .with_context(|| daemon.log_tail())?;
    Ok(daemon)
}

fn start_kubelet(parts: &Parts, folders: &Folders) -> Result<Daemon> {
    let mut command = Command::new(&parts.kubelet);
    command
        .arg(format!("--config={}", folders.kubelet.display()))
        .arg(format!("--kubeconfig={}", folders.kubeconfig.display()))
        .args([
            format!("--hostname-override={NAME}"),
            format!("--node-ip={}", crate::machine::NODE),
        ])
        .env("PATH", parts.path());
    Daemon::start("kubelet", command, &folders.all)
}

async fn import(parts: &Parts, archive: &Path) -> Result<()> {
    let mut command = ctr(parts, &["images", "import"]);
    let output = command.arg(archive).output().await?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot import {}: {error}", archive.display());
    Ok(())
}

fn ctr(parts: &Parts, arguments: &[&str]) -> Waited {
    let mut command = Waited::new(parts.program("ctr"));
    command.args(["--namespace", "k8s.io"]).args(arguments).stdin(Stdio::null());
    command
}
