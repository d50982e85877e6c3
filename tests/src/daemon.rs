//! A program that runs beside the tests, logs into a file and never outlives them.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    os::unix::process::{CommandExt as _, parent_id},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::until::until;

pub(crate) mod told;

/// How many lines of a log an error shows.
const TAIL: usize = 30;

/// A running program, killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it with both outputs going into `<folder>/<name>.log`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = spawn(command).with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> Result<String> {
        fs::read_to_string(&self.log).with_context(|| format!("cannot read {}", self.log.display()))
    }

    /// Fails, with the end of the log, when the program has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.log_tail()),
        }
    }

    /// The last lines of the log.
    pub fn log_tail(&self) -> String {
        tail(&self.log().unwrap_or_default(), TAIL)
    }

    /// Asks the program to end, as an orchestrator does.
    #[expect(unsafe_code, reason = "the standard library can only kill")]
    pub fn terminate(&self) -> Result<()> {
        let pid = self.child.id().try_into().context("a process id fits")?;
        // SAFETY: kill touches no memory; the child is not waited for yet, so the id is still its own.
        match unsafe { libc::kill(pid, libc::SIGTERM) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()).context(format!("cannot stop {}", self.name)),
        }
    }

    /// Ends it without a chance to do anything.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, as an orchestrator does, and waits until it has done so in good order.
    pub async fn stop(&mut self, limit: Duration) -> Result<()> {
        self.terminate()?;
        let status = self.ended(limit).await?;
        ensure!(status.success(), "ended with {status}:\n{}", self.log_tail());
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let Self { name, child, .. } = self;
        until(&format!("{name} ended"), limit, async || Ok(child.try_wait()?)).await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

/// The last lines of a text.
pub fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// A loopback port that is free now, for programs that cannot choose one themselves.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}

struct Order {
    command: Command,
    answer: mpsc::Sender<io::Result<Child>>,
}

/// The kernel takes the end of the *thread* that started a child for the end of its parent, and
/// threads of a runtime come and go: so one thread, which never ends, starts all of them.
static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    thread::spawn(move || {
        for Order { mut command, answer } in inbox {
            end_with_parent(&mut command);
            // Nobody waits any more when the test has been broken off: the child is dropped alive,
            // and ends with this process.
            drop(answer.send(command.spawn()));
        }
    });
    orders
});

fn spawn(command: Command) -> io::Result<Child> {
    let (answer, outcome) = mpsc::channel();
    SPAWNER.send(Order { command, answer }).map_err(io::Error::other)?;
    outcome.recv().map_err(io::Error::other)?
}

/// Makes the kernel kill the child when this process is gone, however it ends.
#[expect(unsafe_code, reason = "prctl has no safe wrapper in the standard library")]
fn end_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let hook = move || {
        // SAFETY: PR_SET_PDEATHSIG takes a number and touches no memory.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // The parent may have died before the line above: then no signal would ever come.
        if parent_id() != parent {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        }
        Ok(())
    };
    // SAFETY: between fork and exec the hook makes two system calls and allocates nothing.
    unsafe { command.pre_exec(hook) };
}
