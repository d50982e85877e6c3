//! A container of a real runtime, under a given seccomp filter, in a network of its own.
//!
//! The runtime itself runs in namespaces that end with the process that made them: whatever becomes of a test, no
//! process, mount or network of it is left.

pub mod files;

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{bundle::files::Files, daemon::Daemon, namespace::unique};

/// Which program makes containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    Runc,
    Crun,
}

/// A container that does not run yet.
#[derive(Debug)]
pub struct Bundle {
    files: Files,
    runtime: Runtime,
    config: Value,
    id: String,
    folder: TempDir,
}

/// A container, ended when dropped.
#[derive(Debug)]
pub struct Container {
    daemon: Daemon,
    bundle: Bundle,
}

/// What the runtime runs in: loopback, and one cgroup file system, where crun is disturbed by two.
const OUTSIDE: &str = r#"
"$0" ip link set lo up
umount -R /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup
exec "$@"
"#;

/// What containers usually have.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];
/// What makes a program the master of the machine, if no filter stops it.
const POWERS: &[&str] = &[
    "CAP_BPF",
    "CAP_DAC_READ_SEARCH",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_PERFMON",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYSLOG",
];

/// No file of a container may become larger.
const FILE_MAX: u64 = 256 << 20;

impl Runtime {
    fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }

    /// Its command without a verb; `state` is the folder where it remembers containers.
    fn command(self, files: &Files, state: &Path) -> Vec<String> {
        let mut command =
            vec![files.runtime(self.name()).display().to_string(), "--root".to_owned()];
        command.push(state.display().to_string());
        if self == Self::Crun {
            command.push("--cgroup-manager=disabled".to_owned());
        }
        command
    }
}

impl Bundle {
    /// One whose programs run as root, under this filter, if any.
    pub fn new(files: &Files, runtime: Runtime, filter: Option<Value>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cinch-bundle-").tempdir()?;
        let mut bundle = Self {
            files: files.clone(),
            runtime,
            config: Value::Null,
            id: format!("cinch-{}-{}", process::id(), unique()),
            folder,
        };
        let work = bundle.work();
        fs::create_dir(&work)?;
        fs::set_permissions(&work, fs::Permissions::from_mode(0o1777))?;
        bundle.config = config(&files.root(), &work, filter);
        Ok(bundle.capabilities(CAPABILITIES))
    }

    /// Its programs run as this user.
    #[must_use]
    pub fn user(mut self, id: u32) -> Self {
        self.config["process"]["user"] = json!({ "uid": id, "gid": id });
        self
    }

    /// Whether its programs can get privileges by exec; it also tells the runtime when to install the filter.
    #[must_use]
    pub fn no_new_privileges(mut self, yes: bool) -> Self {
        self.config["process"]["noNewPrivileges"] = yes.into();
        self
    }

    /// Its programs may do everything that the filter does not forbid.
    #[must_use]
    pub fn powers(self) -> Self {
        self.capabilities(&[CAPABILITIES, POWERS].concat())
    }

    fn capabilities(mut self, names: &[&str]) -> Self {
        self.config["process"]["capabilities"] =
            json!({ "bounding": names, "effective": names, "permitted": names });
        self
    }

    /// Its name, which is also that of its control group.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder that is `/srv` in the container.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Puts a text there.
    pub fn text(self, name: &str, text: &str) -> Result<Self> {
        fs::write(self.work().join(name), text)?;
        Ok(self)
    }

    /// Puts a program of the machine there.
    pub fn program(self, name: &str, bytes: &[u8]) -> Result<Self> {
        let path = self.work().join(name);
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(self)
    }

    /// Starts the container with this command.
    pub fn start(mut self, arguments: &[&str]) -> Result<Container> {
        self.config["process"]["args"] = json!(arguments);
        fs::write(self.folder.path().join("config.json"), self.config.to_string())?;
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["--", "sh", "-c", OUTSIDE]).arg(self.files.root().join("usr/bin/busybox"));
        command.args(self.runtime_command()).args(["run", "--bundle"]);
        command.arg(self.folder.path()).arg(&self.id);
        command.env("LD_LIBRARY_PATH", self.files.libraries());
        let daemon = Daemon::start("container", command, self.folder.path())?;
        Ok(Container { daemon, bundle: self })
    }

    /// Runs a command in the container; tells what it said when it has ended well.
    pub async fn run(self, arguments: &[&str], limit: Duration) -> Result<String> {
        let mut container = self.start(arguments)?;
        let status = container.ended(limit).await?;
        let log = container.log()?;
        ensure!(status.success(), "{arguments:?} ended with {status}:\n{log}");
        Ok(log)
    }

    fn runtime_command(&self) -> Vec<String> {
        self.runtime.command(&self.files, &self.folder.path().join("state"))
    }
}

impl Container {
    /// What its programs have said.
    pub fn log(&self) -> Result<String> {
        self.daemon.log()
    }

    /// The folder that is `/srv` in the container.
    pub fn work(&self) -> PathBuf {
        self.bundle.work()
    }

    /// Fails, with the end of the log, when it has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.daemon.check_alive()
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let ended = self.daemon.ended(limit).await;
        ended.with_context(|| self.daemon.log_tail())
    }

    /// Sends its first process a signal, such as `HUP`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let output = self.beside(&["kill", &self.bundle.id, name]).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        // The container may end at once, and with it all that is in its namespaces: this too.
        let sent = output.status.success() || output.status.signal() == Some(libc::SIGKILL);
        ensure!(sent, "cannot send {name}: {}, {error}", output.status);
        Ok(())
    }

    /// Runs a program of the container's files in the container's network, but under no filter.
    pub fn client(&self, arguments: &[&str]) -> Result<Output> {
        // A program that is refused a call may leave its client waiting.
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", CLIENT, "nsenter"]);
        command.arg(format!("--net=/proc/{}/ns/net", self.daemon.pid()));
        command.arg("chroot").arg(self.bundle.files.root()).args(arguments);
        command.env("PATH", PATH).stdin(Stdio::null());
        command.output().with_context(|| format!("cannot run {arguments:?}"))
    }

    /// The runtime, once more, beside the one that runs.
    fn beside(&self, verb: &[&str]) -> Command {
        let namespaces = format!("/proc/{}/ns", self.daemon.pid());
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount={namespaces}/mnt"));
        command.arg(format!("--pid={namespaces}/pid_for_children"));
        command.args(self.bundle.runtime_command()).args(verb);
        command.env("LD_LIBRARY_PATH", self.bundle.files.libraries());
        command
    }
}

impl Drop for Container {
    /// Asks the runtime first, which takes away the container's cgroup. What it leaves ends with its namespaces.
    fn drop(&mut self) {
        if self.daemon.check_alive().is_ok() {
            drop(self.beside(&["delete", "--force", &self.bundle.id]).output());
        }
    }
}

/// How many seconds a client may take.
const CLIENT: &str = "20";
/// Of one file: a program that is refused a call again and again may fill a disk with complaints.
const LARGEST_FILE: u64 = 256 << 20;
const PATH: &str = "/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin";

fn config(root: &Path, work: &Path, filter: Option<Value>) -> Value {
    let memory = |path: &str, mode: &str| json!({ "destination": path, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", mode] });
    let mut config = json!({
        "ociVersion": "1.0.2",
        "root": { "path": root, "readonly": true },
        "hostname": "container",
        "process": {
            "cwd": "/",
            "user": { "uid": 0, "gid": 0 },
            "env": [format!("PATH={PATH}"), "HOME=/tmp", "LANG=C.UTF-8"],
            "rlimits": [{ "type": "RLIMIT_FSIZE", "soft": LARGEST_FILE, "hard": LARGEST_FILE }],
            // A program that cannot work under its filter may complain without end.
            "rlimits": [{ "type": "RLIMIT_FSIZE", "soft": FILE_MAX, "hard": FILE_MAX }],
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            memory("/dev", "mode=755"),
            memory("/dev/shm", "mode=1777"),
            memory("/tmp", "mode=1777"),
            memory("/run", "mode=755"),
            { "destination": "/srv", "type": "bind", "source": work, "options": ["bind", "rw"] },
        ],
        "linux": { "namespaces": [
            { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" },
        ]},
    });
    if let Some(filter) = filter {
        config["linux"]["seccomp"] = filter;
    }
    config
}
