//! Pods as a kubelet would run them: objects that this test writes, and processes in mount namespaces and cgroups of their
//! own, whose cgroups have the names that a kubelet gives them.

use std::{
    fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{
    namespace::{Namespace, unique},
    node::Node,
    object,
    until::until,
};

use crate::write;

const LIMIT: Duration = Duration::from_secs(20);

/// Runs lines that it is given.
const LINES: &str = "while read line; do eval \"$line\"; done";

/// A pod of a node.
pub(crate) struct Pod<'a> {
    namespace: &'a Namespace,
    pub(crate) name: String,
    containers: Vec<String>,
    statuses: Vec<Value>,
    folder: Folder,
}

/// A process that a container would have; killed when dropped.
pub(crate) struct Container {
    pub(crate) id: String,
    child: Child,
    // Dropped after the process has ended.
    _folder: Folder,
}

/// A cgroup, taken away when dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Also what a container has left behind it.
        fs::write(self.0.join("cgroup.kill"), "1").unwrap_or_default();
        for _ in 0..200 {
            match fs::remove_dir(&self.0) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    std::thread::park_timeout(Duration::from_millis(10));
                }
                _ => break,
            }
        }
        // The folder of all pods goes with the last of them, and stays until then.
        self.0.parent().map(fs::remove_dir).map(Result::unwrap_or_default).unwrap_or_default();
    }
}

impl<'a> Pod<'a> {
    /// Makes the object of a pod with these labels and containers; `metadata` has more, such as a name.
    pub(crate) async fn new(
        namespace: &'a Namespace,
        node: &Node<'_>,
        app: &str,
        containers: &[&str],
        metadata: &Value,
    ) -> Result<Self> {
        let mut metadata = metadata.clone();
        metadata["labels"] = json!({ "app": app });
        if metadata.get("name").is_none() && metadata.get("generateName").is_none() {
            metadata["name"] = json!(format!("pod-{}", unique()));
        }
        let list: Vec<_> =
            containers.iter().map(|name| json!({ "name": name, "image": "i:1" })).collect();
        let spec = json!({ "nodeName": node.name, "containers": list });
        let answer = namespace.create_object(&write::pod(&metadata, &spec)).await?.granted()?;
        let uid = object::text(&answer, "/metadata/uid")?.to_owned();
        let all = root()?.join(format!("kubepods-test-{}", std::process::id()));
        let folder = make(all.join(format!("pod{uid}")))?;
        Ok(Self {
            namespace,
            name: object::text(&answer, "/metadata/name")?.to_owned(),
            containers: containers.iter().map(|name| (*name).to_owned()).collect(),
            statuses: Vec::new(),
            folder,
        })
    }

    /// Starts a container, of which the object does not tell yet. It runs lines that it is given.
    pub(crate) fn start(&self) -> Result<Container> {
        self.run(LINES)
    }

    /// Starts a container with a script.
    pub(crate) fn run(&self, script: &str) -> Result<Container> {
        let id = new_id();
        let folder = make(self.folder.0.join(&id))?;
        let child = spawn(&folder.0, script, None)?;
        Ok(Container { id, child, _folder: folder })
    }

    /// Starts a container that runs lines that it is given, but may not make this system call, and tells of it.
    pub(crate) async fn started_without(&mut self, call: libc::c_long) -> Result<Container> {
        let id = new_id();
        let folder = make(self.folder.0.join(&id))?;
        let child = spawn(&folder.0, LINES, Some(filter(call)?))?;
        let name = self.containers.first().context("no container")?.clone();
        self.tell(&name, &id).await?;
        Ok(Container { id, child, _folder: folder })
    }

    /// Tells in the object's status that a container has this id.
    pub(crate) async fn tell(&mut self, container: &str, id: &str) -> Result<()> {
        self.statuses.retain(|status| status["name"] != *container);
        self.statuses.push(json!({
            "name": container, "image": "i:1", "imageID": "", "ready": true, "restartCount": 0,
            "started": true, "containerID": format!("containerd://{id}"), "state": { "running": {} },
        }));
        let status = json!({ "phase": "Running", "containerStatuses": self.statuses });
        self.namespace.set_status("v1", "Pod", &self.name, &status).await
    }

    /// Starts a container and tells of it.
    pub(crate) async fn started(&mut self) -> Result<Container> {
        let container = self.start()?;
        let name = self.containers.first().context("no container")?.clone();
        self.tell(&name, &container.id).await?;
        Ok(container)
    }

    /// Says that all containers have ended.
    pub(crate) async fn succeed(&self) -> Result<()> {
        let status = json!({ "phase": "Succeeded" });
        self.namespace.set_status("v1", "Pod", &self.name, &status).await
    }

    /// Deletes the object.
    pub(crate) async fn delete(&self) -> Result<()> {
        self.namespace.delete("v1", "Pod", &self.name).await
    }
}

impl Container {
    /// Lets it do something, and waits until that is done.
    pub(crate) async fn does(&mut self, line: &str) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let done = folder.path().join("done");
        let input = self.child.stdin.as_mut().context("it takes no lines")?;
        writeln!(input, "{line}; : > {}", done.display())?;
        until(&format!("{line:?} is done"), LIMIT, async || Ok(done.exists().then_some(()))).await
    }

    /// Lets it come to its end.
    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn new_id() -> String {
    format!("{:064x}", u128::from(unique()) << 64 | u128::from(std::process::id()))
}

/// A filter that denies one system call, and lets the others pass.
fn filter(call: libc::c_long) -> Result<Vec<libc::sock_filter>> {
    let step = |code: u32, jf, k| -> Result<_> {
        Ok(libc::sock_filter { code: code.try_into()?, jt: 0, jf, k })
    };
    Ok(vec![
        // The number is what the kernel's description of a call begins with.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)?,
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call.try_into()?)?,
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(),
        )?,
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW)?,
    ])
}

/// Where the hierarchy of cgroup v2 is.
fn root() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = mounts.find(|fields| fields.get(2) == Some(&"cgroup2"));
    Ok(found.context("no hierarchy of cgroup v2 is mounted")?[1].into())
}

/// Makes a cgroup, and those above it, which others make and remove too.
fn make(folder: PathBuf) -> Result<Folder> {
    for _ in 0..3 {
        if fs::create_dir_all(&folder).is_ok() {
            break;
        }
    }
    anyhow::ensure!(folder.is_dir(), "cannot make {}", folder.display());
    Ok(Folder(folder))
}

#[expect(unsafe_code, reason = "cgroup and namespace must be entered between fork and exec")]
fn spawn(cgroup: &Path, script: &str, mut filter: Option<Vec<libc::sock_filter>>) -> Result<Child> {
    let procs = fs::OpenOptions::new().write(true).open(cgroup.join("cgroup.procs"))?;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let enter = move || {
        (&procs).write_all(b"0")?;
        // SAFETY: the call takes a number and concerns the calling thread alone.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let Some(filter) = &mut filter else { return Ok(()) };
        let program = libc::sock_fprog {
            len: filter.len().try_into().unwrap_or_default(),
            filter: filter.as_mut_ptr(),
        };
        let (set, log) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_LOG);
        // SAFETY: the kernel reads as many steps as there are, before the call ends.
        match unsafe { libc::syscall(libc::SYS_seccomp, set, log, &raw const program) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes three system calls; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(enter) };
    command.spawn().context("cannot start a process in a cgroup and namespace of its own")
}
