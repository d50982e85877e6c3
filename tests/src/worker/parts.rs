//! Finds what it takes to run pods, or says why they cannot be run.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bundle::files::Files,
    chart::Helm,
    programs::{Missing, Programs, need, repository},
};

/// Our own images, by the names of their programs.
const IMAGES: &[&str] = &["cinch-webhook", "cinch-node-installer", "cinch-recorder"];

/// Programs of a control plane and of a node, what is installed there, and what runs there.
#[derive(Debug, Clone)]
pub struct Parts {
    pub programs: Programs,
    pub controller_manager: PathBuf,
    pub scheduler: PathBuf,
    pub kubelet: PathBuf,
    pub kubectl: PathBuf,
    pub helm: Helm,
    /// Programs of the distribution that pods may run.
    pub files: Files,
    /// Archives of our own images.
    pub images: Vec<PathBuf>,
    /// What `tests/node/build` has made.
    folder: PathBuf,
}

impl Parts {
    /// Looks where `tests/prepare node programs` and `make images` put them.
    pub fn find() -> Result<Self, Missing> {
        if !rustix::process::geteuid().is_root() {
            return Err(Missing("needs root, as a kubelet does".to_owned()));
        }
        Ok(Self {
            programs: Programs::find()?,
            controller_manager: need("kube-controller-manager")?,
            scheduler: need("kube-scheduler")?,
            kubelet: need("kubelet")?,
            kubectl: need("kubectl")?,
            helm: Helm::find().ok_or_else(|| {
                Missing("needs helm: install Go and run make test-e2e".to_owned())
            })?,
            files: Files::find().map_err(|missing| Missing(missing.to_string()))?,
            images: IMAGES.iter().map(|name| image(name)).collect::<Result<_, _>>()?,
            folder: folder().ok_or_else(|| {
                Missing("needs containerd and others: run make test-e2e on Debian".to_owned())
            })?,
        })
    }

    /// A program of the distribution.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// All small programs in one, which needs no library.
    pub fn busybox(&self) -> PathBuf {
        self.program("busybox")
    }

    /// What gives pods an address.
    pub fn cni(&self) -> PathBuf {
        self.folder.join("cni")
    }

    /// The libraries of runc.
    pub fn libraries(&self) -> PathBuf {
        self.folder.join("lib")
    }

    /// Where the programs of a node look for others.
    pub fn path(&self) -> OsString {
        let others = env::var_os("PATH").unwrap_or_default();
        let all = [self.folder.join("bin")].into_iter().chain(env::split_paths(&others));
        env::join_paths(all.filter(|path| !path.to_string_lossy().contains(':'))).unwrap_or(others)
    }
}

fn image(name: &str) -> Result<PathBuf, Missing> {
    let archive = repository().join("build/images").join(format!("{name}.tar"));
    let there = archive.is_file().then_some(archive);
    there.ok_or_else(|| Missing(format!("needs the image {name}: run make images")))
}

fn folder() -> Option<PathBuf> {
    let recipe = repository().join("tests/node/build");
    let output = Command::new(recipe).arg("--key").output().ok()?;
    let key = String::from_utf8(output.stdout).ok()?;
    let folder = Path::new("build/node").join(key.trim());
    // Without links: the machine has other folders in some places.
    repository().join(folder).canonicalize().ok().filter(|folder| folder.join("bin").is_dir())
}
