//! A node below a folder, and the program that cares for it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_cinch-node-installer");

/// A node and a folder of manifests.
#[derive(Debug)]
pub(crate) struct Node {
    folder: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) table: String,
    pub(crate) log: String,
}

impl Node {
    /// An empty node and no manifests.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        std::fs::create_dir(folder.path().join("manifests")).unwrap();
        Self { folder }
    }

    /// The root of the node.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The folder of manifests.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.folder.path().join("manifests")
    }

    /// A place beside both.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where seccomp profiles are.
    pub(crate) fn seccomp(&self) -> PathBuf {
        self.root().join("var/lib/kubelet/seccomp/operator")
    }

    /// The file of a seccomp profile.
    pub(crate) fn file(&self, profile: &str) -> PathBuf {
        self.seccomp().join(format!("{profile}.json"))
    }

    /// What the file of a seccomp profile says.
    pub(crate) fn text(&self, profile: &str) -> String {
        std::fs::read_to_string(self.file(profile)).unwrap()
    }

    /// Puts a manifest into its folder, as careful editors do.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let new = self.manifests().join(format!(".{file}"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.manifests().join(file)).unwrap();
    }

    /// Takes a manifest away.
    pub(crate) fn delete(&self, file: &str) {
        std::fs::remove_file(self.manifests().join(file)).unwrap();
    }

    /// The arguments that care for this node.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let (root, manifests) = (text(self.root()), text(self.manifests()));
        ["run", "--root", &root, "--mechanisms", "seccomp", "--manifests", &manifests]
            .map(str::to_owned)
            .to_vec()
    }

    /// The program, to be started with these arguments in a mount namespace of its own in which this shell text has run.
    pub(crate) fn within(&self, setup: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
        command.arg(format!("{setup}\nexec \"$@\""));
        command.args(["sh", PROGRAM]).env("SECCOMP", self.seccomp()).env("ROOT", self.root());
        command
    }

    /// Installs once.
    pub(crate) fn once(&self) -> Done {
        done(Command::new(PROGRAM).args(self.arguments()).arg("--once"))
    }

    /// Takes all away.
    pub(crate) fn purge(&self) -> Done {
        let root = self.root();
        let flags = [Path::new("purge"), Path::new("--root"), &root];
        done(Command::new(PROGRAM).args(flags).args(["--mechanisms", "seccomp"]))
    }
}

/// Runs a command to its end.
pub(crate) fn done(command: &mut Command) -> Done {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Done {
        code: status.code(),
        table: String::from_utf8(stdout).unwrap(),
        log: String::from_utf8(stderr).unwrap(),
    }
}

/// The manifest of a profile that allows these calls alone.
pub(crate) fn allowing(name: &str, calls: &str) -> String {
    format!(
        "apiVersion: security-profiles-operator.x-k8s.io/v1
kind: SeccompProfile
metadata: {{name: {name}}}
spec: {{defaultAction: SCMP_ACT_ERRNO, syscalls: [{{names: [{calls}], action: SCMP_ACT_ALLOW}}]}}
"
    )
}

/// The manifests of many profiles.
pub(crate) fn many(count: usize, calls: &str) -> String {
    let each = (0..count).map(|number| allowing(&format!("many-{number:04}"), calls));
    each.collect::<Vec<_>>().join("---\n")
}
