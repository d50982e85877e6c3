//! `cinch-recorder run` without a cluster: real processes, with the cgroup of a pod, and a container runtime that this
//! test plays.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Failed};
use recorder::{
    apart,
    cri::{Cri, Named, Pod, PodContainer},
    kernel::{Recording, Watch},
};

use runtime::POD;

#[path = "local/runtime.rs"]
mod runtime;

const LIMIT: Duration = Duration::from_mins(1);

#[path = "shared/trials.rs"]
mod trials;

use trials::Test;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Whoever may not load programs here is told so by name.
    let refused = Recording::start(Watch::default()).err().map(|error| error.to_string());
    let tests: [(&str, Test); 5] = [
        ("a_manifest_and_a_runtime_are_enough_for_a_profile", manifests),
        ("a_container_that_is_named_is_recorded_until_it_ends", container),
        ("a_container_is_found_by_the_names_that_a_runtime_knows", by_name),
        ("a_runtime_tells_names_over_its_socket", names),
        ("a_cgroup_that_is_named_is_recorded_until_a_signal", cgroup),
    ];
    trials::run(&arguments, tests, refused.as_deref())
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

/// A process in a mount namespace and a cgroup of its own, which does what lines tell it.
struct Workload {
    child: Child,
    cgroups: Vec<PathBuf>,
}

impl Workload {
    fn start(names: &[&str]) -> Result<Self, Failed> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let root = root.into_iter().find(|fields| fields.get(2) == Some(&"cgroup2"));
        let mut folder = PathBuf::from(root.ok_or("no hierarchy of cgroup v2")?[1]);
        let mut cgroups = Vec::new();
        for name in names {
            folder.push(name);
            fs::create_dir(&folder)?;
            cgroups.insert(0, folder.clone());
        }
        let script = "echo $$ > \"$0\" || exit 1; exec unshare -m sh -c 'while read line; do eval \"$line\"; done'";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).arg(folder.join("cgroup.procs")).stdin(Stdio::piped());
        let child = command.spawn()?;
        let process = child.id();
        let workload = Self { child, cgroups };
        let own = apart::namespace(std::process::id())?;
        until("it has mounts of its own", || apart::namespace(process).is_ok_and(|of| of != own))?;
        Ok(workload)
    }

    fn does(&mut self, line: &str) -> Result<(), Failed> {
        Ok(writeln!(self.child.stdin.as_mut().ok_or("no input")?, "{line}")?)
    }

    fn end(&mut self) -> Result<(), Failed> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        for folder in &self.cgroups {
            // The kernel may take a moment to see that it is empty.
            for _ in 0..100 {
                if fs::remove_dir(folder).is_ok() {
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(10));
            }
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

fn daemon(folder: &Path, flags: &[&str]) -> Result<Daemon, Failed> {
    let log = fs::File::create(folder.join("log"))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinch-recorder"));
    command.arg("run").args(flags).arg("--output").arg(folder.join("out"));
    command.arg("--cri").arg(folder.join("cri.sock"));
    let daemon = Daemon(command.stderr(log).spawn()?);
    until("it watches", || says(folder, "\"watching\""))?;
    Ok(daemon)
}

fn ends_well(daemon: &mut Daemon) -> Result<(), Failed> {
    until("it ends", || !matches!(daemon.0.try_wait(), Ok(None)))?;
    ensure(daemon.0.wait()?.success(), "it ends well")
}

fn says(folder: &Path, text: &str) -> bool {
    fs::read_to_string(folder.join("log")).is_ok_and(|log| log.contains(text))
}

fn calls(folder: &Path, name: &str, call: &str) -> bool {
    let text = fs::read_to_string(folder.join("out").join(name)).unwrap_or_default();
    text.lines().any(|line| line.trim() == format!("- {call}"))
}

fn ensure(condition: bool, what: &str) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into()) }
}

fn id(number: u32) -> String {
    format!("{number:032x}{:032x}", std::process::id())
}

const MKDIR: &str = "mkdir /tmp/cinch-local-$$ && rmdir /tmp/cinch-local-$$";

fn manifests() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (manifests, state) = (folder.path().join("in"), folder.path().join("bpf"));
    fs::create_dir(&manifests)?;
    fs::write(
        manifests.join("r.yaml"),
        "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: ProfileRecording\nmetadata: {name: r, namespace: shop}\n\
         spec: {kind: SeccompProfile, podSelector: {matchLabels: {app: web}}}\n",
    )?;
    let id = id(1);
    let _runtime = runtime::serve(&folder.path().join("cri.sock"), &id)?;
    let (manifests, state) = (manifests.to_string_lossy(), state.to_string_lossy());
    let flags =
        ["--manifests", &manifests, "--bpf", &state, "--admin", "127.0.0.1:0", "--pace", "1"];
    let _daemon = daemon(folder.path(), &flags)?;
    let mut workload = Workload::start(&[
        &format!("cinch-local-{}", std::process::id()),
        &format!("pod{POD}"),
        &id,
    ])?;
    workload.does(MKDIR)?;
    until("a profile has it", || calls(folder.path(), "seccompprofile-r-main.yaml", "mkdir"))?;
    ensure(calls(folder.path(), "seccompprofile-r-main.yaml", "execve"), "its start is in it")?;
    until("the status names the pod", || {
        let status = folder.path().join("out/profilerecording-shop_r.status");
        fs::read_to_string(status).is_ok_and(|status| status.contains("shop/web-0"))
    })
}

fn container() -> Result<(), Failed> {
    let (folder, id) = (tempfile::tempdir()?, id(2));
    let mut workload = Workload::start(&[&id])?;
    let mut daemon = daemon(folder.path(), &["--container", &id])?;
    workload.does(MKDIR)?;
    workload.end()?;
    ends_well(&mut daemon)?;
    let name = format!("seccompprofile-container-{}.yaml", &id[..12]);
    ensure(calls(folder.path(), &name, "mkdir"), "the profile has it")
}

fn by_name() -> Result<(), Failed> {
    let (folder, id) = (tempfile::tempdir()?, id(3));
    let socket = folder.path().join("cri.sock");
    let _runtime = runtime::serve(&socket, &id)?;
    let mut workload = Workload::start(&[&id])?;
    let record = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cinch"));
        command.args(["record", "--container", name, "--cri"]).arg(&socket);
        command.arg("--output").arg(folder.path().join("profile"));
        command
    };
    let missing = record("shop/web-1/main").output()?;
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    ensure(!missing.status.success() && said.contains("shop/web-1/main"), &said)?;
    let log = fs::File::create(folder.path().join("log"))?;
    let mut recording = Daemon(record("shop/web-0/main").stderr(log).spawn()?);
    until("it records", || says(folder.path(), "recording shop/web-0/main"))?;
    workload.does(MKDIR)?;
    workload.end()?;
    ends_well(&mut recording)?;
    let profile = fs::read_to_string(folder.path().join("profile"))?;
    ensure(profile.contains("- mkdir\n"), "the profile has it")?;
    ensure(profile.contains("name: main\n"), "it is called as the container is")
}

fn names() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("cri.sock");
    let runtime = runtime::serve(&socket, "c")?;
    let _guard = runtime.enter();
    let cri = Cri::new(&socket)?;
    let named = |id: &str, container: Option<&str>| Named {
        id: id.into(),
        pod_uid: POD.into(),
        container: container.map(str::to_owned),
    };
    ensure(
        runtime.block_on(cri.names())? == [named("s", None), named("c", Some("main"))],
        "names of the pod's are told, and no others",
    )?;
    let container = PodContainer { id: "c".into(), name: "main".into(), ended: false };
    let pod = Pod {
        uid: POD.into(),
        namespace: "shop".into(),
        name: "web-0".into(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        ready: true,
        containers: vec![container],
        ..Pod::default()
    };
    ensure(runtime.block_on(cri.pods())? == [pod], "the pod is told")
}

fn cgroup() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let name = format!("cinch-cgroup-{}", std::process::id());
    let mut workload = Workload::start(&[&name])?;
    let path = workload.cgroups[0].to_string_lossy().into_owned();
    let mut daemon = daemon(folder.path(), &["--cgroup", &path])?;
    let done = folder.path().join("done");
    workload.does(&format!("{MKDIR}; : > {}", done.display()))?;
    until("it is done", || done.exists())?;
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&daemon.0),
        rustix::process::Signal::TERM,
    )?;
    ends_well(&mut daemon)?;
    ensure(
        calls(folder.path(), &format!("seccompprofile-cgroup-{name}.yaml"), "mkdir"),
        "the profile has it",
    )
}
