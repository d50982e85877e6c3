//! Finds the programs of a control plane, or says why there are none.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    pub etcd: PathBuf,
    pub api_server: PathBuf,
    /// Not part of the assets that kubebuilder hands out.
    pub controller_manager: Option<PathBuf>,
}

/// Why the tests that need a cluster are skipped.
#[derive(Debug, Clone)]
pub struct Missing(pub(crate) String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Programs {
    /// Looks in `KUBEBUILDER_ASSETS`, then where `tests/cluster/build` puts them, then in `PATH`.
    pub fn find() -> Result<Self, Missing> {
        Ok(Self {
            api_server: need("kube-apiserver")?,
            etcd: need("etcd")?,
            controller_manager: find("kube-controller-manager"),
        })
    }
}

/// A program in one of the places of [`Programs::find`].
pub(crate) fn need(program: &str) -> Result<PathBuf, Missing> {
    find(program).ok_or_else(|| {
        Missing(format!("needs {program}: set KUBEBUILDER_ASSETS, or install Go and run make test"))
    })
}

fn find(program: &str) -> Option<PathBuf> {
    folders().into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("/"))
}

fn folders() -> Vec<PathBuf> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty());
    let path = env::var_os("PATH").unwrap_or_default();
    assets
        .map(PathBuf::from)
        .into_iter()
        .chain([repository().join("build/cluster").join(version())])
        .chain(env::split_paths(&path))
        .collect()
}

/// The version of Kubernetes that the Go module pins, which is the name of the folder it is built into.
pub fn version() -> &'static str {
    include_str!("../cluster/go.mod")
        .lines()
        .find_map(|line| {
            line.trim_start_matches("require").trim().strip_prefix("k8s.io/kubernetes ")
        })
        .unwrap_or_default()
        .trim()
}
