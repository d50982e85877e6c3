//! The daemon, asked and disturbed.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::MetadataExt as _,
    process::Child,
    time::{Duration, Instant},
};

use crate::node::Node;

/// Two calls that the profiles do not have, so that each change makes another text.
const CALLS: [&str; 2] = ["umask", "getpgid"];

/// A running daemon, killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
}

impl Agent {
    /// Starts it and waits until it knows everything.
    pub(crate) fn ready(node: &Node) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = free.local_addr().unwrap();
        drop(free);
        let child = node.command().args(["--admin", &admin.to_string()]).spawn().unwrap();
        let agent = Self { child };
        wait(|| is_ready(admin));
        agent
    }

    /// What it holds in memory, and the most that it has held.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Changes a manifest under a running daemon, and tells how long it takes until its file has changed.
pub(crate) fn change(node: &Node, turn: usize) -> Duration {
    let file = node.file(turn % 50);
    let before = fs::metadata(&file).unwrap().ino();
    let start = Instant::now();
    node.write(turn % 50, CALLS[(turn / 50 + 1) % 2]);
    wait(|| fs::metadata(&file).is_ok_and(|meta| meta.ino() != before));
    let took = start.elapsed();
    // A folder that is still being read would make the next change wait twice.
    pause(Duration::from_millis(u64::try_from(turn % 7).unwrap() * 20));
    took
}

fn is_ready(admin: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(admin) else { return false };
    let mut answer = String::new();
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// Waits until something holds.
pub(crate) fn wait(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_mins(5), "it takes too long");
        pause(Duration::from_micros(200));
    }
}

#[expect(clippy::disallowed_methods, reason = "what is waited for tells nobody: it is looked at")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
