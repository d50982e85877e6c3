//! A node that has the built-in profiles, put there by the node installer itself.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::{installer, programs::repository};

/// The folder of a node, with its profiles.
pub(crate) struct Node {
    root: TempDir,
    /// What the installer printed.
    pub(crate) table: String,
}

impl Node {
    /// Installs what the chart holds; fails unless all of it could be installed.
    pub(crate) fn install() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("cinch-node-").tempdir()?;
        let mut command = Command::new(installer::program()?);
        command.args(["run", "--once", "--mechanisms=seccomp", "--log=warn", "--manifests"]);
        let output = command.arg(manifests()).arg("--root").arg(root.path()).output()?;
        let table = String::from_utf8(output.stdout)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the installer ended with {}:\n{table}{errors}",
            output.status
        );
        Ok(Self { root, table })
    }

    /// The filter that a runtime gets, exactly as the file holds it.
    pub(crate) fn filter(&self, profile: &str) -> Result<Value> {
        let path = self.folder().join(format!("{profile}.json"));
        let text = fs::read(&path).with_context(|| format!("no {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
    }

    /// All filters by name.
    pub(crate) fn filters(&self) -> Result<BTreeMap<String, Value>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(self.folder())? {
            let name = entry?.file_name().to_string_lossy().trim_end_matches(".json").to_owned();
            let filter = self.filter(&name)?;
            all.insert(name, filter);
        }
        Ok(all)
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("var/lib/kubelet/seccomp/operator")
    }
}

/// Where the chart has the profiles.
pub(crate) fn manifests() -> PathBuf {
    Path::new(repository()).join("charts/cinch/profiles")
}
