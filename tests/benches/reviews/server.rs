//! A server under measurement: pinned to one core, with what it has used of it.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tests::{daemon::Daemon, plain_http};

const START: Duration = Duration::from_mins(1);
const BETWEEN_TWO_LOOKS: Duration = Duration::from_millis(1);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    daemon: Daemon,
    pub(crate) address: SocketAddr,
    /// From its start to the first good answer of `/readyz`.
    pub(crate) ready: Option<Duration>,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) processor: Duration,
    /// How long it could have run while others did.
    pub(crate) waited: Duration,
}

/// Memory in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

impl Server {
    /// Starts the webhook with a folder of manifests.
    pub(crate) async fn webhook(folder: &Path, core: usize, name: &str) -> Result<Self> {
        let program = beside("cinch-webhook")?;
        let mut command = pinned(&program, core);
        command
            .args(["serve", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--threads=1"])
            .arg("--certs")
            .arg(folder.join("certs"))
            .arg("--manifests")
            .arg(folder.join(name));
        let start = Instant::now();
        let mut daemon = Daemon::start(name, command, folder)?;
        let line =
            until(&mut daemon, |log| log.lines().find(|l| l.contains("\"listening\""))).await?;
        let line: serde_json::Value = serde_json::from_str(&line)?;
        let address = |name: &str| -> Result<SocketAddr> {
            Ok(line[name].as_str().context("no address in the log")?.parse()?)
        };
        let admin = address("admin")?;
        while !plain_http::get(admin, "/readyz").await.is_ok_and(|(status, _)| status == 200) {
            daemon.check_alive()?;
            ensure!(start.elapsed() < START, "{name} does not become ready");
            tokio::time::sleep(BETWEEN_TWO_LOOKS).await;
        }
        let ready = Some(start.elapsed());
        Ok(Self { daemon, address: address("reviews")?, ready })
    }

    /// Starts the echo with the same certificate.
    pub(crate) async fn echo(folder: &Path, core: usize) -> Result<Self> {
        let mut command = pinned(Path::new(env!("CARGO_BIN_EXE_echo")), core);
        command.arg(folder.join("certs"));
        let mut daemon = Daemon::start("echo", command, folder)?;
        let address =
            until(&mut daemon, |log| log.lines().find_map(|l| l.strip_prefix("listening on ")))
                .await?;
        Ok(Self { daemon, address: address.parse()?, ready: None })
    }

    /// What it has used since it started.
    pub(crate) fn used(&self) -> Result<Used> {
        let mut used = Used { processor: Duration::ZERO, waited: Duration::ZERO };
        for thread in fs::read_dir(format!("/proc/{}/task", self.daemon.pid()))? {
            let path = thread?.path().join("schedstat");
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let mut numbers = text.split_whitespace().map(str::parse);
            let mut next = || {
                numbers
                    .next()
                    .context("schedstat has three numbers")?
                    .map(Duration::from_nanos)
                    .context("schedstat has numbers")
            };
            used.processor += next()?;
            used.waited += next()?;
        }
        Ok(used)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.pid()))?;
        let field = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            let kib: u32 = number.with_context(|| format!("no {name} in the status"))?.parse()?;
            Ok(f64::from(kib) / 1024.0)
        };
        Ok(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

/// Waits for something in the log.
async fn until(daemon: &mut Daemon, find: impl Fn(&str) -> Option<&str>) -> Result<String> {
    let end = Instant::now() + START;
    loop {
        daemon.check_alive()?;
        let log = daemon.log()?;
        if let Some(found) = find(&log) {
            return Ok(found.to_owned());
        }
        if Instant::now() > end {
            bail!("{} does not start:\n{}", daemon.name(), daemon.log_tail());
        }
        tokio::time::sleep(BETWEEN_TWO_LOOKS).await;
    }
}

fn pinned(program: &Path, core: usize) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// What cargo built beside the folder of this benchmark.
fn beside(name: &str) -> Result<std::path::PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("a benchmark lives in deps")?;
    let path = folder.join(name);
    ensure!(path.is_file(), "no {}: cargo build --release -p webhook makes it", path.display());
    Ok(path)
}

/// Two cores that this process may use, one for the server and one for the load; moves this process to the second.
pub(crate) fn cores() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let ranges = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let allowed = ranges.unwrap_or_default().trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    });
    let mut allowed = allowed.flatten();
    let (Some(server), Some(load)) = (allowed.next(), allowed.next()) else {
        bail!("two processors are needed: one for the server and one for the load");
    };
    let moved = Command::new("taskset")
        .args(["-c", "-p", &load.to_string(), &std::process::id().to_string()])
        .output()
        .context("cannot run taskset (Debian package util-linux)")?;
    ensure!(moved.status.success(), "taskset: {}", String::from_utf8_lossy(&moved.stderr));
    Ok(server)
}
