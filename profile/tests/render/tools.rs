//! The compilers, where they are there.

use std::{
    any::Any,
    env,
    ffi::OsStr,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A program that compiles policies, and the distribution's package that it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    package: &'static str,
}

pub(crate) const SECILC: Tool = Tool { name: "secilc", package: "secilc" };
pub(crate) const SEMODULE: Tool = Tool { name: "semodule", package: "policycoreutils" };
pub(crate) const CHECKPOLICY: Tool = Tool { name: "checkpolicy", package: "checkpolicy" };
pub(crate) const PARSER: Tool = Tool { name: "apparmor_parser", package: "apparmor" };

impl Tool {
    pub(crate) fn path(self) -> Option<PathBuf> {
        let folders = env::var_os("PATH").unwrap_or_default();
        // Not in everybody's path, where these are.
        let folders = env::split_paths(&folders).chain(["/usr/sbin".into(), "/sbin".into()]);
        folders.map(|folder| folder.join(self.name)).find(|path| path.exists())
    }

    pub(crate) fn missing(self) -> String {
        format!("needs {}, of Debian's package {}", self.name, self.package)
    }

    /// Runs it with a text to read: what it printed, or what it complained of.
    pub(crate) fn run<S: AsRef<OsStr>>(
        self,
        arguments: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Result<String, String> {
        let mut child = Command::new(self.path().unwrap())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that complains at once may not read all.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stdout) + &text(&output.stderr))
        }
    }
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}
