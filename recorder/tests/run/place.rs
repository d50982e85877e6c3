//! A folder with a profile under which commands run, and what is read of how that went.

use std::{
    fmt::Debug,
    fs::Permissions,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;

/// Who may do nothing special.
const NOBODY: u32 = 65534;

/// `mkdir` is denied with EACCES, all else is allowed.
pub(crate) const NO_FOLDERS: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW",
    "syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}"#;

/// The calls by which a folder is made, as a profile names them.
pub(crate) const MKDIR: &str = r#""mkdir","mkdirat""#;

/// A folder with a profile.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new(profile: &str) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777))?;
        std::fs::write(folder.path().join("profile"), profile)?;
        Ok(Self(folder))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `cinch run` with more flags, of a shell's script.
    pub(crate) fn shell(&self, flags: &[&str], script: &str) -> Command {
        self.run(flags, &["sh", "-c", script])
    }

    pub(crate) fn run(&self, flags: &[&str], command: &[&str]) -> Command {
        let mut run = Command::new(env!("CARGO_BIN_EXE_cinch"));
        run.args(["run", "--profile", "profile"]).args(flags).arg("--").args(command);
        run.current_dir(self.0.path()).stdin(Stdio::null());
        run
    }

    /// `cinch` with these arguments as somebody who may do nothing special, from where everybody can read it.
    pub(crate) fn as_nobody(&self, arguments: &[&str]) -> Result<Command, Failed> {
        let program = self.path("cinch");
        std::fs::copy(env!("CARGO_BIN_EXE_cinch"), &program)?;
        std::fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.0.path()).uid(NOBODY).gid(NOBODY);
        Ok(command)
    }

    /// Runs a script, and gives its exit code, what it has printed, and the report.
    pub(crate) fn report(
        &self,
        flags: &[&str],
        script: &str,
    ) -> Result<(i32, String, Value), Failed> {
        self.reported(flags, &["sh", "-c", script])
    }

    /// Runs this program, as another one, and gives its exit code and the report.
    pub(crate) fn own(&self, flags: &[&str], what: &str) -> Result<(i32, Value), Failed> {
        let own = std::env::current_exe()?;
        let (code, _, report) = self.reported(flags, &[own.to_str().ok_or("a path")?, what])?;
        Ok((code, report))
    }

    fn reported(&self, flags: &[&str], command: &[&str]) -> Result<(i32, String, Value), Failed> {
        let more: Vec<_> =
            flags.iter().copied().chain(["-o", "json", "--report", "report"]).collect();
        let output = self.run(&more, command).output()?;
        let report = std::fs::read(self.path("report")).unwrap_or_default();
        let report =
            serde_json::from_slice(&report).map_err(|error| format!("{error}: {output:?}"))?;
        Ok((code(&output)?, String::from_utf8(output.stdout)?, report))
    }
}

/// A profile that answers such calls so.
pub(crate) fn answering(action: &str, calls: &str) -> String {
    format!(
        r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":[{calls}],"action":"SCMP_ACT_{action}"}}]}}"#
    )
}

pub(crate) fn ensure(condition: bool, what: impl Debug) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(format!("{what:?}").into()) }
}

pub(crate) fn code(output: &Output) -> Result<i32, Failed> {
    Ok(output.status.code().ok_or_else(|| format!("{output:?}"))?)
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The calls that a report tells of, with how often each was denied.
pub(crate) fn calls(report: &Value) -> Vec<(&str, u64)> {
    let lines = report["denied"].as_array().into_iter().flatten();
    lines
        .map(|line| {
            (line["call"].as_str().unwrap_or_default(), line["count"].as_u64().unwrap_or_default())
        })
        .collect()
}

/// What a report tells of, with what each was answered with.
pub(crate) fn answers(report: &Value) -> Vec<(&str, &str, u64)> {
    let lines = report["denied"].as_array().into_iter().flatten();
    lines
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default();
            (text("call"), text("error"), line["count"].as_u64().unwrap_or_default())
        })
        .collect()
}
