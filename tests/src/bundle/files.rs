//! Finds the programs and runtimes that containers are made of, or says why there are none.

use std::{fmt, path::PathBuf, process::Command};

use crate::programs::repository;

/// What `tests/programs/build` has made.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

/// Why the tests that need a container are skipped.
#[derive(Debug, Clone)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Files {
    /// Looks where `tests/prepare programs` puts them.
    pub fn find() -> Result<Self, Missing> {
        if !is_root() {
            return Err(Missing("needs root, as runc does".to_owned()));
        }
        key()
            .map(|key| repository().join("build/programs").join(key))
            // Runtimes refuse a root that is reached by a link.
            .and_then(|folder| folder.canonicalize().ok())
            .filter(|folder| folder.is_dir())
            .map(|folder| Self { folder })
            .ok_or_else(|| {
                Missing("needs nginx, redis, runc and others: run make test on Debian".to_owned())
            })
    }

    /// The root file system with all programs.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// A runtime.
    pub fn runtime(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// The libraries of the runtimes.
    pub fn libraries(&self) -> PathBuf {
        self.folder.join("lib")
    }
}

#[expect(unsafe_code, reason = "the standard library does not tell who runs it")]
fn is_root() -> bool {
    // SAFETY: geteuid touches no memory and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The hash of the recipe, as the recipe itself tells it.
fn key() -> Option<String> {
    let recipe = repository().join("tests/programs/build");
    let output = Command::new(recipe).arg("--key").output().ok()?;
    let key = String::from_utf8(output.stdout).ok()?;
    Some(key.trim().to_owned()).filter(|key| output.status.success() && !key.is_empty())
}
