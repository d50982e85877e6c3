//! What is recorded: a command, the container of a process, or a container by its id.

use std::process::{Child, Command, ExitStatus};

use anyhow::{Context as _, bail};
use recorder::{apart, kernel::Slot};

use crate::args::RecordFlags;

/// What is recorded.
pub(super) enum Target {
    Command(Child),
    /// The mount namespace with this inode.
    Namespace(u64),
    /// What has this in the name of its cgroup.
    Container(String),
}

impl Target {
    /// Finds or starts what is to be recorded, and tells what it is called.
    pub(super) fn of(flags: &RecordFlags) -> anyhow::Result<(Self, String)> {
        if let Some(process) = flags.pid {
            let namespace = apart::namespace(process)
                .with_context(|| format!("there is no process {process} that may be looked at"))?;
            // A kernel thread is always in the first namespace, also where the first process may not be looked at.
            let host = apart::namespace(2).or_else(|_| apart::namespace(1));
            if host.is_ok_and(|host| host == namespace) {
                bail!(
                    "process {process} is one of the host itself, and not of a container: start it by cinch record -- COMMAND"
                );
            }
            let comm = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            return Ok((Self::Namespace(namespace), comm.trim_end().to_owned()));
        }
        if let Some(container) = &flags.container {
            return Ok((Self::Container(container.clone()), container.clone()));
        }
        let [program, arguments @ ..] = &flags.command[..] else { bail!("a command is needed") };
        let child = apart::start(Command::new(program).args(arguments))
            .with_context(|| format!("cannot run {program}"))?;
        Ok((Self::Command(child), program.clone()))
    }

    /// Whether a mount namespace is one of it.
    pub(super) fn is_in(&self, slot: &Slot) -> bool {
        match self {
            Self::Command(child) => slot.first == u64::from(child.id()),
            Self::Namespace(inode) => slot.inode == *inode,
            Self::Container(id) => slot.leaf.contains(id) || slot.parent.contains(id),
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
