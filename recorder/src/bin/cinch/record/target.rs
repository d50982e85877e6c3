//! What is recorded: a command, the container of a process, or a container by its id.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus},
};

use anyhow::{Context as _, bail};
use libc::sigset_t;
use recorder::{
    apart, cgroup,
    cri::{self, Cri},
    kernel::Slot,
};

use super::user;
use crate::{
    args::RecordFlags,
    capabilities,
    executable::{self, NotRun},
};

/// What is recorded.
pub(super) enum Target {
    Command(Child),
    /// The mount namespace with this inode.
    Namespace(u64),
    /// The container with this id, or whose id begins so.
    Container(String),
}

impl Target {
    /// Finds or starts what is to be recorded, and tells what it is called. A command has no other signals blocked than
    /// these.
    pub(super) fn of(flags: &RecordFlags, mask: &sigset_t) -> anyhow::Result<(Self, String)> {
        if let Some(process) = flags.pid {
            return of_process(process);
        }
        if let Some(container) = &flags.container {
            return Ok(match named(container, &flags.cri)? {
                Some((id, name)) => (Self::Container(id), name),
                None => (Self::Container(container.clone()), container.clone()),
            });
        }
        let [program, arguments @ ..] = &flags.command[..] else { bail!("a command is needed") };
        let child =
            start(program, arguments, flags.user.as_deref(), flags.output.is_some(), *mask)?;
        Ok((Self::Command(child), program.to_string_lossy().into_owned()))
    }

    /// Whether a mount namespace is one of it.
    pub(super) fn is_in(&self, slot: &Slot) -> bool {
        match self {
            Self::Command(child) => slot.first == u64::from(child.id()),
            Self::Namespace(inode) => slot.inode == *inode,
            Self::Container(id) => is_of(id, &slot.leaf, &slot.parent),
        }
    }

    /// The inodes of mount namespaces that are known to be its own, as far as processes tell.
    pub(super) fn namespaces(&self) -> Vec<u64> {
        match self {
            Self::Command(child) => apart::namespace(child.id()).into_iter().collect(),
            Self::Namespace(inode) => vec![*inode],
            Self::Container(_) => Vec::new(),
        }
    }

    /// Whether a cgroup with this path is the container's.
    pub(super) fn is_cgroup(&self, path: &str) -> bool {
        let Self::Container(id) = self else { return false };
        let mut names = path.rsplit('/');
        let (leaf, parent) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        is_of(id, leaf, parent)
    }

    /// The command's process.
    pub(super) fn process(&self) -> Option<u32> {
        match self {
            Self::Command(child) => Some(child.id()),
            Self::Namespace(_) | Self::Container(_) => None,
        }
    }

    /// The command's exit code, once it has ended.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        match self {
            Self::Command(child) => child.try_wait().context("cannot wait for the command"),
            Self::Namespace(_) | Self::Container(_) => Ok(None),
        }
    }
}

/// The id of the container that a runtime calls so, and what it is called there; none where nobody knows it, and it may be
/// the id of one that is still to come.
fn named(wanted: &str, socket: &Path) -> anyhow::Result<Option<(String, String)>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot ask a container runtime")?;
    // No other thread is left when a command is started.
    let pods = runtime.block_on(async { Cri::new(socket)?.pods().await });
    let is_name = wanted.contains('/');
    match pods {
        Ok(pods) => match cri::find(&pods, wanted)? {
            Some((_, container)) => Ok(Some((container.id.clone(), container.name.clone()))),
            None if is_name => {
                bail!("the runtime at {} knows no container {wanted}", socket.display())
            }
            None => Ok(None),
        },
        Err(error) if is_name => {
            let shown = socket.display();
            Err(error).with_context(|| format!("{wanted} is a name, and {shown} tells none"))
        }
        Err(_) => Ok(None),
    }
}

fn of_process(process: u32) -> anyhow::Result<(Target, String)> {
    let namespace = apart::namespace(process).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow::anyhow!("there is no process {process}"),
        io::ErrorKind::PermissionDenied => {
            let advice = capabilities::advice(&["CAP_SYS_PTRACE"]);
            anyhow::anyhow!("process {process} may not be looked at: {advice}")
        }
        _ => anyhow::Error::new(error).context(format!("cannot look at process {process}")),
    })?;
    if apart::first_namespace().is_ok_and(|host| host == namespace) {
        bail!(
            "process {process} is one of the host itself, and not of a container: start it by cinch record -- COMMAND"
        );
    }
    let comm = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    Ok((Target::Namespace(namespace), comm.trim_end().to_owned()))
}

#[expect(unsafe_code, reason = "the signals must be those that were there before this program")]
fn start(
    program: &OsString,
    arguments: &[OsString],
    user: Option<&str>,
    to_file: bool,
    mask: sigset_t,
) -> anyhow::Result<Child> {
    let file = executable::find(program, std::env::var_os("PATH"))?;
    let identity = user.map(user::identity).transpose()?;
    let mut command = Command::new(file);
    command.arg0(program).args(arguments);
    if !to_file {
        // The other is for the profile alone.
        command.stdout(io::stderr());
    }
    let restore = move || {
        // SAFETY: the call reads the set, and concerns the calling thread alone.
        match unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut()) }
        {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes one system call; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(restore) };
    apart::start_as(&mut command, identity).map_err(|error| {
        let needed: &[&str] = match user {
            Some(_) => &["CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID"],
            None => &["CAP_SYS_ADMIN"],
        };
        if error.kind() == io::ErrorKind::PermissionDenied
            && error.raw_os_error() == Some(libc::EPERM)
        {
            let advice = capabilities::advice(needed);
            let why = "a command is recorded in a mount namespace of its own";
            return anyhow::anyhow!("cannot start the command: {why}, and {advice}");
        }
        NotRun::new(program, &error).into()
    })
}

/// Whether a cgroup of this name, below one of that name, is of a container whose id begins so. Ids that a person has
/// chosen need not look like those of a container engine.
fn is_of(id: &str, leaf: &str, parent: &str) -> bool {
    let stem = |name: &str| name.strip_suffix(".scope").unwrap_or(name).to_owned();
    let engine = cgroup::Container::of_names(leaf, parent);
    !id.is_empty()
        && (engine.is_some_and(|container| container.id.starts_with(id))
            || stem(leaf).starts_with(id)
            || stem(parent) == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_the_beginning_of_its_id() {
        let id = "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961";
        let scope = format!("cri-containerd-{id}.scope");
        let slice = "kubepods-burstable-pod2c48913c_b29f_11e7_9350_020968147796.slice";
        assert!(is_of("9bca8d63", &scope, slice) && is_of(id, &scope, slice));
        assert!(is_of("9bca8d63", "container", &format!("crio-{id}.scope")), "crun");
        assert!(!is_of("bca8d63", &scope, slice) && !is_of("", &scope, slice));
        assert!(!is_of("kubepods", &scope, slice), "the pod's cgroup is of all its containers");
        assert!(is_of("mine", "mine", "/") && is_of("mine", "child", "mine"));
        assert!(!is_of("mine", "yours", "/") && !is_of("mine", "child", "mine-too"));
    }
}
