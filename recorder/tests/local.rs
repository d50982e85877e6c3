//! `cinch-recorder run` without a cluster: real processes, with the cgroup of a pod, and a container runtime that this
//! test plays.

use std::{
    collections::HashMap,
    convert::Infallible,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use recorder::{
    apart,
    kernel::{Recording, Watch},
};
use tokio::net::UnixListener;
use tonic::{Request, Response, Status, body::Body, server, transport::Server};
use tonic_prost::ProstCodec;
use tower::Service;

const LIMIT: Duration = Duration::from_mins(1);
const POD: &str = "2c48913c-b29f-11e7-9350-020968147796";

type Test = fn() -> Result<(), Failed>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Whoever may not load programs here is told so by name.
    let refused = Recording::start(Watch::default()).err().map(|error| error.to_string());
    let tests: [(&str, Test); 3] = [
        ("a_manifest_and_a_runtime_are_enough_for_a_profile", manifests),
        ("a_container_that_is_named_is_recorded_until_it_ends", container),
        ("a_cgroup_that_is_named_is_recorded_until_a_signal", cgroup),
    ];
    let trials = tests.map(|(name, test)| {
        let name = match &refused {
            None => name.to_owned(),
            Some(why) => format!("{name} ({why})"),
        };
        Trial::test(name, test).with_ignored_flag(refused.is_some())
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
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
    let tokio = tokio::runtime::Runtime::new()?;
    let _guard = tokio.enter();
    let listener = UnixListener::bind(folder.path().join("cri.sock"))?;
    let incoming = futures::stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let serve = Server::builder().add_service(Runtime(id.clone())).serve_with_incoming(incoming);
    drop(tokio.spawn(serve));
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

/// A runtime with one pod, which has one container of this id.
#[derive(Clone)]
struct Runtime(String);

#[derive(Clone, PartialEq, prost::Message)]
struct List {}

#[derive(Clone, PartialEq, prost::Message)]
struct Containers {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Container>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Container {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    sandbox: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Metadata>,
    #[prost(int32, tag = "6")]
    state: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sandboxes {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Sandbox>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sandbox {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
    #[prost(map = "string, string", tag = "5")]
    labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

impl server::NamedService for Runtime {
    const NAME: &'static str = "runtime.v1.RuntimeService";
}

impl Service<http::Request<Body>> for Runtime {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let id = self.0.clone();
        Box::pin(async move {
            Ok(if request.uri().path().ends_with("/ListContainers") {
                let metadata = Some(Metadata { name: "main".into(), ..Metadata::default() });
                let container = Container { id, sandbox: "s".into(), metadata, state: 1 };
                answer(Containers { items: vec![container] }, request).await
            } else {
                let named =
                    Metadata { name: "web-0".into(), uid: POD.into(), namespace: "shop".into() };
                let labels = [("app".to_owned(), "web".to_owned())].into();
                let sandbox = Sandbox { id: "s".into(), metadata: Some(named), labels };
                answer(Sandboxes { items: vec![sandbox] }, request).await
            })
        })
    }
}

async fn answer<A: prost::Message + Default + Clone + 'static>(
    answer: A,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let service = tower::service_fn(move |_: Request<List>| {
        let answer = answer.clone();
        async move { Ok::<_, Status>(Response::new(answer)) }
    });
    server::Grpc::new(ProstCodec::<A, List>::default()).unary(service, request).await
}
