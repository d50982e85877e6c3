//! Which file a command names, as a shell finds it.

use std::{
    ffi::{OsStr, OsString},
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use rustix::fs::{Access, access};

/// Why a command cannot be run, by the exit codes that shells have for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRun {
    #[error("cannot run {0}: there is no such program")]
    Missing(String),
    #[error("cannot run {0}: {1}")]
    Refused(String, String),
}

impl NotRun {
    /// Says so, and ends as a shell would.
    pub(crate) fn tell(&self) -> anyhow::Result<ExitCode> {
        writeln!(std::io::stderr(), "error: {self}").context("cannot print")?;
        Ok(ExitCode::from(self.code()))
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Missing(_) => 127,
            Self::Refused(..) => 126,
        }
    }

    /// Of the error that `execve` gave.
    pub(crate) fn new(program: &OsStr, error: &std::io::Error) -> Self {
        let shown = program.display().to_string();
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing(shown),
            _ => Self::Refused(shown, error.to_string()),
        }
    }
}

/// The file of a program: itself where its name has a slash, else the first of this name in the folders of `PATH` that
/// can be executed.
pub(crate) fn find(program: &OsStr, path: Option<OsString>) -> Result<PathBuf, NotRun> {
    if program.as_bytes().contains(&b'/') {
        return Ok(program.into());
    }
    let mut refused = false;
    if !program.is_empty() {
        // Where there is none, as libc has it.
        let path = path.unwrap_or_else(|| "/bin:/usr/bin".into());
        for folder in std::env::split_paths(&path) {
            // An empty one is the current folder.
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            let file = folder.join(program);
            if !file.is_file() {
                continue;
            }
            if access(&file, Access::EXEC_OK).is_ok() {
                return Ok(file);
            }
            refused = true;
        }
    }
    let shown = program.display().to_string();
    Err(if refused {
        NotRun::Refused(shown, "it may not be executed".to_owned())
    } else {
        NotRun::Missing(shown)
    })
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn the_first_that_can_be_executed_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| folder.path().join(name);
        for (name, mode) in [("a", 0o644), ("b", 0o755)] {
            std::fs::create_dir(of(name)).unwrap();
            std::fs::write(of(name).join("program"), "").unwrap();
            std::fs::set_permissions(of(name).join("program"), Permissions::from_mode(mode))
                .unwrap();
        }
        let find = |path: &[PathBuf]| {
            find(OsStr::new("program"), Some(std::env::join_paths(path).unwrap()))
        };
        assert_eq!(find(&[of("a"), of("none"), of("b")]), Ok(of("b").join("program")));
        assert_eq!(find(&[of("a")]).unwrap_err().code(), 126);
        assert_eq!(find(&[of("none")]).unwrap_err().code(), 127);
        assert_eq!(super::find(OsStr::new("./x"), None), Ok("./x".into()));
        assert_eq!(super::find(OsStr::new(""), None).unwrap_err().code(), 127);
    }
}
