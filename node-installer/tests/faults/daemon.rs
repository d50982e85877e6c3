//! The program as a daemon: started, asked, stopped.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::node::{Node, PROGRAM};

/// The longest that a test waits for what should be there much sooner.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running daemon; it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    admin: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    /// Starts it and waits until it can be asked.
    pub(crate) fn start(node: &Node) -> Self {
        Self::start_as(Command::new(PROGRAM), node)
    }

    /// Starts it by this command.
    pub(crate) fn start_as(mut command: Command, node: &Node) -> Self {
        let mut child = command
            .args(node.arguments())
            .args(["--admin", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let admin = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {log:?}")).unwrap();
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            log.lock().unwrap().extend([&*line, "\n"]);
            if event["message"] == "listening" {
                break event["admin"].as_str().unwrap().parse().unwrap();
            }
        };
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().extend([&*line, "\n"]);
            }
        });
        Self { child, admin, log }
    }

    /// Starts it and waits until it has done what there is to do.
    pub(crate) fn ready(node: &Node) -> Self {
        let daemon = Self::start(node);
        daemon.wait_until_ready();
        daemon
    }

    /// Waits until it knows everything and has done what it can.
    pub(crate) fn wait_until_ready(&self) {
        eventually("ready", || self.get("/readyz").starts_with("HTTP/1.1 200"));
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// A path as the daemon sees it, in its own mount namespace.
    pub(crate) fn sees(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(path.strip_prefix("/").unwrap())
    }

    /// Mounts a folder anew with an option, in the daemon's own mount namespace.
    pub(crate) fn remount(&self, option: &str, folder: &Path) {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.child.id());
        let mut command = Command::new("nsenter");
        command.args([&namespace, "mount", "-o", &format!("remount,bind,{option}")]).arg(folder);
        assert!(command.status().unwrap().success());
    }

    /// Changes by somebody else that it has put right.
    pub(crate) fn repaired(&self) -> u64 {
        self.metric("cinch_node_installer_drift_repaired_total{mechanism=\"seccomp\"}")
    }

    /// The value of a metric, zero when it has none.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// An answer with its head.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks it to stop, and waits for that.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Waits until something holds and tells how long that took.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        pause();
    }
    start.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "what is waited for tells nobody: it is looked at")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
