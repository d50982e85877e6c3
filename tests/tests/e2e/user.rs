//! What a user types: kubectl and helm, as an administrator of the cluster.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::{Context as _, Result, bail};
use tests::{chart::Helm, cluster::Cluster, worker::parts::Parts};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// Somebody at a terminal.
#[derive(Debug, Clone)]
pub(crate) struct User {
    kubectl: PathBuf,
    helm: Helm,
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl User {
    pub(crate) fn new(parts: &Parts, cluster: &Cluster, home: &Path) -> Result<Self> {
        let admin = cluster.identity("admin", &["system:masters"])?;
        Ok(Self {
            kubectl: parts.kubectl.clone(),
            helm: parts.helm.clone(),
            kubeconfig: cluster.kubeconfig("user", &admin)?,
            home: home.to_owned(),
        })
    }

    /// Runs kubectl with these words, which fit on a line; tells what it printed.
    pub(crate) async fn kubectl(&self, line: &str) -> Result<String> {
        said(line, &self.run(Command::new(&self.kubectl), &words(line), "").await?)
    }

    /// Runs a command in a pod's first container; tells whether it went well, and what it printed on either output.
    pub(crate) async fn exec(
        &self,
        namespace: &str,
        target: &str,
        line: &str,
    ) -> Result<(bool, String)> {
        let before = format!("exec --namespace={namespace} {target} -- {line}");
        let Output { status, stdout, stderr } =
            self.run(Command::new(&self.kubectl), &words(&before), "").await?;
        let text = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
        Ok((status.success(), text.into_owned()))
    }

    /// Applies a text.
    pub(crate) async fn apply(&self, namespace: &str, yaml: &str) -> Result<()> {
        let line = format!("apply --namespace={namespace} --filename=-");
        let output = self.run(Command::new(&self.kubectl), &words(&line), yaml).await?;
        said(&line, &output).with_context(|| yaml.to_owned())?;
        Ok(())
    }

    /// Runs helm.
    pub(crate) async fn helm(&self, line: &str) -> Result<String> {
        said(line, &self.run(self.helm.command().into(), &words(line), "").await?)
    }

    async fn run(&self, mut command: Command, arguments: &[&str], input: &str) -> Result<Output> {
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig).env("HOME", &self.home);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let mut stdin = child.stdin.take().context("its input is a pipe")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        Ok(child.wait_with_output().await?)
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn said(line: &str, output: &Output) -> Result<String> {
    if !output.status.success() {
        bail!("`{line}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
