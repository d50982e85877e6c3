//! Finds what a guest is made of, or says why there is none.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::programs::repository;

/// How the kernel names the root file system: the signature of its disk and the partition.
pub const ROOT: &str = "68636e63-01";

/// The emulator, the kernel and the disk that all guests share.
#[derive(Debug, Clone)]
pub struct Images {
    pub qemu: PathBuf,
    pub kernel: PathBuf,
    pub root: PathBuf,
}

/// Why the tests that need a guest are skipped.
#[derive(Debug, Clone)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Images {
    /// Looks for the emulator in `PATH`, and for the rest where `tests/prepare guest` puts it.
    pub fn find() -> Result<Self, Missing> {
        let path = env::var_os("PATH").unwrap_or_default();
        let qemu = env::split_paths(&path)
            .map(|folder| folder.join("qemu-system-x86_64"))
            .find(|program| program.is_file())
            .ok_or_else(|| missing("qemu-system-x86_64"))?;
        let folder = key()
            .map(|key| repository().join("build/guest").join(key))
            .filter(|folder| folder.is_dir())
            .ok_or_else(|| missing("the guest's kernel and disk"))?;
        Ok(Self { qemu, kernel: folder.join("vmlinux"), root: folder.join("root.img") })
    }
}

fn missing(what: &str) -> Missing {
    Missing(format!("needs {what}: run make test-guest as root on Debian"))
}

/// The hash of the recipe, as the recipe itself tells it.
fn key() -> Option<String> {
    let recipe: &Path = &repository().join("tests/guest/build");
    let output = Command::new(recipe).arg("--key").output().ok()?;
    let key = String::from_utf8(output.stdout).ok()?;
    Some(key.trim().to_owned()).filter(|key| output.status.success() && !key.is_empty())
}
