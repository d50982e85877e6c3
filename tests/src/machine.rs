//! A machine of its own for a node: mounts, network and control groups that nobody else sees, for a test that runs in them.
//!
//! ```text
//!  a test program --starts itself again--> keeper --starts it once more, by tests/node/enter--> inside
//! ```
//!
//! However the test ends, also when it is killed, the keeper sees it, ends whatever still runs inside, and undoes the rest.

mod auditd;
mod groups;
mod settings;

use std::{
    env, fs,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, set_child_subreaper,
    set_parent_process_death_signal, wait,
};
use tempfile::TempDir;

pub(crate) use self::groups::remove as remove_group;
use self::{groups::Groups, settings::Settings};
use crate::programs::repository;

/// The address of the API server as pods know it, the first one of Services.
pub const API: &str = "10.0.0.1";
/// The address of the node.
pub const NODE: &str = "10.1.0.1";

/// Tells a process of the test program what it is.
const ROLE: &str = "CINCH_MACHINE";
const KEEPER: &str = "keeper";
const INSIDE: &str = "inside";
/// Where the files of the machine are.
const FOLDER: &str = "CINCH_MACHINE_FOLDER";
/// How often the keeper looks after its children.
const LOOK: Duration = Duration::from_millis(50);

/// What this process of a test program is.
#[derive(Debug)]
pub enum Role {
    /// What a user has started.
    Outside,
    /// What sees to the end of the machine.
    Keeper,
    /// What tests, on the machine.
    Inside(Machine),
}

/// The machine, seen from inside.
#[derive(Debug, Clone)]
pub struct Machine {
    folder: PathBuf,
}

impl Role {
    pub fn of_this_process() -> Result<Self> {
        match env::var(ROLE).as_deref() {
            Ok(KEEPER) => Ok(Self::Keeper),
            Ok(INSIDE) => {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                let folder = env::var_os(FOLDER).context("no folder of the machine")?;
                Ok(Self::Inside(Machine { folder: folder.into() }))
            }
            _ => Ok(Self::Outside),
        }
    }
}

impl Machine {
    /// For files that go with the machine.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Runs this program again, with the same arguments, on a new machine; tells its exit code.
pub fn enter() -> Result<u8> {
    let mut keeper = again(Command::new(env::current_exe()?), KEEPER);
    // Neither Ctrl-C nor the end of a terminal is for the keeper: it learns of the end of this process, whatever that is,
    // by the end of its input.
    let mut keeper = keeper.process_group(0).stdin(Stdio::piped()).spawn()?;
    let lifeline = keeper.stdin.take();
    let status = keeper.wait()?;
    drop(lifeline);
    Ok(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1))
}

/// What the keeper does; tells the exit code of the test.
pub fn keep(busybox: &Path) -> Result<u8> {
    // What loses its parent becomes a child of this process, which then learns of its end.
    set_child_subreaper(Some(Pid::INIT))?;
    groups::sweep()?;
    let settings = Settings::read();
    let folder = folder()?;
    auditd::start(&folder.path().join("log/audit/audit.log"))?;
    let groups = Groups::new()?;
    let ended = inside(folder.path(), busybox, &groups);
    let emptied = groups.end();
    settings.restore();
    emptied.and(ended)
}

fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("cinch-machine-").tempdir()?;
    for name in ["lib", "log/audit", "files"] {
        fs::create_dir_all(folder.path().join(name))?;
    }
    Ok(folder)
}

/// Runs the test, until it ends or nobody waits for it any more.
fn inside(folder: &Path, busybox: &Path, groups: &Groups) -> Result<u8> {
    let mut command = Command::new(repository().join("tests/node/enter"));
    command.arg(folder).arg(busybox).arg(env::current_exe()?);
    let mut command = again(command, INSIDE);
    let files = folder.join("files");
    // What a test leaves in a folder for a while goes with the machine too.
    command.env(FOLDER, &files).env("TMPDIR", &files);
    command.env("GROUPS", groups.list()).stdin(Stdio::null());
    let test = Pid::from_child(&command.spawn().context("cannot enter the machine")?);
    let abandoned = abandoned();
    loop {
        if abandoned.recv_timeout(LOOK).is_ok() {
            kill_process(test, Signal::KILL)?;
        }
        while let Some((child, status)) = wait(WaitOptions::NOHANG)? {
            if child == test {
                return Ok(code(status));
            }
        }
    }
}

/// Tells when the process that has started this one is gone.
fn abandoned() -> mpsc::Receiver<()> {
    let (tell, heard) = mpsc::channel();
    thread::spawn(move || {
        // Nothing is ever written there.
        drop(std::io::stdin().read(&mut [0]));
        tell.send(()).unwrap_or_default();
        // A channel that is closed would have no wait any more.
        thread::park();
    });
    heard
}

/// A command that starts this program again, or ends with doing so.
fn again(mut command: Command, role: &str) -> Command {
    command.args(env::args_os().skip(1)).env(ROLE, role);
    command
}

fn code(status: WaitStatus) -> u8 {
    status.exit_status().and_then(|code| code.try_into().ok()).unwrap_or(1)
}
