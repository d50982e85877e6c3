//! Runs the programs that compile and load policies.

use std::{
    ffi::{CString, OsStr},
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Failure;

/// Where such programs are, beside what `PATH` says.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// What a program says is cut after so many characters: it ends up in a status.
const MESSAGE_MAX: usize = 600;

/// A program of the node's, or of this container's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    /// The root to run it in, where that is not ours.
    root: Option<PathBuf>,
}

impl Program {
    /// Finds a program, first below `root`, in which it then runs, then here.
    pub fn find(root: &Path, name: &str) -> Option<Self> {
        let within = |folder: &&str| {
            let path = Path::new(folder).join(name);
            let below = root.join(path.strip_prefix("/").unwrap_or(&path));
            below.is_file().then_some(path)
        };
        if root != Path::new("/")
            && let Some(path) = FOLDERS.iter().find_map(within)
        {
            return Some(Self { path, root: Some(root.to_owned()) });
        }
        let search = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&search).chain(FOLDERS.map(PathBuf::from));
        let here = folders.map(|folder| folder.join(name)).find(|path| path.is_file())?;
        Some(Self { path: here, root: None })
    }

    /// Whether it runs in the node's own root.
    pub fn runs_in_root(&self) -> bool {
        self.root.is_some()
    }

    /// No program is needed to change the root: a container has none but ours.
    fn command(&self) -> std::io::Result<Command> {
        let mut command = Command::new(&self.path);
        if let Some(root) = &self.root {
            enter(&mut command, root)?;
        }
        Ok(command)
    }

    /// Runs it, feeds it a text and gives back what it prints. What it complains of when it fails is the error.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let name = self.path.display();
        let start = |error: std::io::Error| Failure::passing(format!("cannot run {name}: {error}"));
        let mut child = self
            .command()
            .map_err(start)?
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        // A program that fails before it has read everything says why itself.
        let fed = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
        let output = child.wait_with_output().map_err(start)?;
        if output.status.success() {
            fed.map_err(start)?;
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let message = format!("{name}: {}", one_line(&said));
        // Killed, or out of memory: not the text's fault.
        let refused = output.status.code().is_some();
        Err(Failure { message, refused })
    }
}

/// Makes a command run with another root.
#[expect(unsafe_code, reason = "what is done between fork and exec has no safe form")]
fn enter(command: &mut Command, root: &Path) -> std::io::Result<()> {
    let root = CString::new(root.as_os_str().as_bytes())?;
    let enter = move || {
        rustix::process::chroot(&*root)?;
        rustix::process::chdir(c"/")?;
        Ok(())
    };
    // SAFETY: these are two system calls on texts that are there before the fork; nothing is allocated or locked.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

/// Several lines as one, and not too long.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut line = lines.collect::<Vec<_>>().join("; ");
    if line.chars().count() > MESSAGE_MAX {
        line = line.chars().take(MESSAGE_MAX).collect::<String>() + "…";
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_quoted_in_one_line() {
        let sh = Program::find(Path::new("/"), "sh").unwrap();
        let error =
            sh.run(["-c", "cat; echo 'line one' >&2; echo two >&2; exit 3"], b"x").unwrap_err();
        assert!(error.refused && error.message.ends_with("sh: line one; two"), "{error}");
        assert_eq!(sh.run(["-c", "cat"], b"text").unwrap(), b"text");
    }

    #[test]
    fn a_program_that_is_killed_is_not_the_fault_of_the_text() {
        let sh = Program::find(Path::new("/"), "sh").unwrap();
        assert!(!sh.run(["-c", "kill -9 $$"], b"").unwrap_err().refused);
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_found() {
        assert_eq!(Program::find(Path::new("/"), "no-such-program"), None);
    }
}
