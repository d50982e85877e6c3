//! How much memory the recorder takes, with nothing to record and with many containers: what is its own, what it shares
//! with the kernel's maps, and what is the program itself.
//!
//! Needs root and cgroup v2.

#![expect(clippy::print_stdout, reason = "a table is what this is for")]

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use recorder::{
    apart,
    kernel::{Recording, Watch},
};

const LIMIT: Duration = Duration::from_mins(2);

type Failed = Box<dyn Error>;

/// A process of a container, with a cgroup that is called by its id. Both end with this.
struct Container {
    child: Child,
    cgroup: PathBuf,
    id: String,
}

impl Container {
    fn start(root: &Path, number: usize) -> Result<Self, Failed> {
        let id = format!("{number:012x}{:052x}", std::process::id());
        let cgroup = root.join(&id);
        fs::create_dir(&cgroup)?;
        let script = "echo $$ > \"$0\"; read begin; for file in /etc/*; do [ -f $file ] && read line < $file; done; \
                      mkdir /tmp/$$; rmdir /tmp/$$; exec sleep infinity";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).arg(cgroup.join("cgroup.procs")).stdin(Stdio::piped());
        let child = apart::start(&mut command)?;
        Ok(Self { child, cgroup, id })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        for _ in 0..100 {
            if fs::remove_dir(&self.cgroup).is_ok() {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

/// The recorder; killed when dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn main() -> Result<(), Failed> {
    if let Err(refused) = Recording::start(Watch::default()) {
        println!("the memory of the recorder is not measured: {refused}");
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let root = mounts.find(|fields| fields.get(2) == Some(&"cgroup2"));
    let Some(root) = root.and_then(|fields| fields.get(1).map(PathBuf::from)) else {
        println!("the memory of the recorder is not measured: there is no cgroup v2");
        return Ok(());
    };
    println!("{:44}{:>10}{:>10}{:>10}{:>10}", "MiB", "all", "own", "kernel's", "program");
    nothing()?;
    for (kinds, count) in [("seccomp", 1), ("seccomp", 100), ("seccomp,apparmor", 100)] {
        containers(&root, kinds, count)?;
    }
    Ok(())
}

/// With a folder of manifests in which there is nothing to record.
fn nothing() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinch-recorder"));
    command.arg("run").arg("--manifests").arg(folder.path()).arg("--output").arg(folder.path());
    command.args(["--admin", "127.0.0.1:0", "--bpf"]).arg(folder.path().join("bpf"));
    let daemon = started(&mut command, folder.path(), "\"listening\"")?;
    tell("nothing to record", &daemon)
}

fn containers(root: &Path, kinds: &str, count: usize) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let containers: Result<Vec<_>, _> =
        (0..count).map(|number| Container::start(root, number)).collect();
    let mut containers = containers?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinch-recorder"));
    command.args(["run", "--kind", kinds, "--output"]).arg(folder.path().join("out"));
    for container in &containers {
        command.args(["--container", &container.id]);
    }
    let daemon = started(&mut command, folder.path(), "\"watching\"")?;
    for container in &mut containers {
        // They do what they do, and go on running.
        drop(container.child.stdin.take());
    }
    let profiles = count * kinds.split(',').count();
    let written = || fs::read_dir(folder.path().join("out")).map_or(0, Iterator::count);
    until("all profiles are there", || written() >= profiles)?;
    tell(&format!("{count} containers, {kinds}"), &daemon)
}

fn started(command: &mut Command, folder: &Path, line: &str) -> Result<Daemon, Failed> {
    let path = folder.join("log");
    let log = fs::File::create(&path)?;
    let daemon = Daemon(command.stdout(Stdio::null()).stderr(log).spawn()?);
    until("it has begun", || fs::read_to_string(&path).is_ok_and(|log| log.contains(line)))?;
    Ok(daemon)
}

/// What the kernel says of a process. Memory of its maps, which is there anyhow, counts as that of files.
fn tell(what: &str, daemon: &Daemon) -> Result<(), Failed> {
    let process = daemon.0.id();
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let [all, own, files] =
        ["VmRSS:", "RssAnon:", "RssFile:"].map(|name| kibibytes(status.lines(), name));
    let mappings = fs::read_to_string(format!("/proc/{process}/smaps"))?;
    let (mut of_maps, mut is_map) = (0.0, false);
    for line in mappings.lines() {
        // A mapping begins with its addresses, and then says what there is to say of it.
        if !line.split_whitespace().next().is_some_and(|word| word.ends_with(':')) {
            is_map = line.contains("bpf");
        } else if is_map {
            of_maps += kibibytes(std::iter::once(line), "Rss:");
        }
    }
    let row = [all, own, of_maps, files - of_maps].map(|kibibytes| kibibytes / 1024.0);
    println!("{what:44}{:10.1}{:10.1}{:10.1}{:10.1}", row[0], row[1], row[2], row[3]);
    Ok(())
}

fn kibibytes<'a>(mut lines: impl Iterator<Item = &'a str>, name: &str) -> f64 {
    let line = lines.find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn until(what: &str, mut is: impl FnMut() -> bool) -> Result<(), Failed> {
    let end = Instant::now() + LIMIT;
    while !is() {
        if Instant::now() > end {
            return Err(format!("not within {LIMIT:?}: {what}").into());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Ok(())
}
