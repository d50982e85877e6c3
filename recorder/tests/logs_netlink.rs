//! Records of real processes under a real filter, as the kernel at hand sends them.
//!
//! Called with `make-calls COUNT` it is such a process: it installs a filter that logs `getppid`, and for each line that it is
//! given calls that so often. With `run-logged SCRIPT` it is a shell under the same filter.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use libseccomp::{ScmpAction, ScmpFilterContext, ScmpSyscall};
use libtest_mimic::{Arguments, Failed};
use profile::kinds::seccomp::Arch;
use recorder::{
    audit::{Record, SeccompAction},
    kernel::EndedProcesses,
    logs::{Choice, Event, Follower, Loss, Options, Origin, netlink::Netlink},
};

#[path = "shared/trials.rs"]
mod trials;

use trials::Test;

/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_mins(1);

const CALLER: &str = "make-calls";
const RUNNER: &str = "run-logged";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match (arguments.next().as_deref(), arguments.next()) {
        (Some(CALLER), count) => {
            Some(call(count.and_then(|count| count.parse().ok()).unwrap_or(1)))
        }
        (Some(RUNNER), Some(script)) => Some(run_logged(&script)),
        _ => None,
    };
    if let Some(done) = done {
        return if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let arguments = Arguments::from_args();
    // Whoever may not listen here is told so by name.
    let refused = Netlink::listen().err().map(|error| error.to_string());
    let tests: [(&str, Test); 9] = [
        ("record_writes_a_profile_of_what_a_filter_logs", record_writes_a_profile),
        ("record_ends_with_a_container_that_began_on_the_host", record_ends_with_a_container),
        ("a_call_that_a_filter_logs_arrives_with_whose_it_is", a_logged_call_arrives),
        ("of_200000_records_none_is_lost_while_they_are_read", none_is_lost),
        ("a_reader_that_stalls_is_told_that_records_are_missing", a_stalled_reader_is_told),
        ("in_another_network_namespace_it_says_what_is_right", another_namespace_is_refused),
        ("processes_that_have_ended_are_known_when_they_were_seen", ended_processes_are_known),
        ("records_of_200_processes_of_a_millisecond_are_all_known", short_processes_are_known),
        ("a_number_that_is_another_processes_now_is_not_taken_for_it", reused_numbers_are_noticed),
    ];
    // One at a time: all of them hear each other's records.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    trials::run(&arguments, tests, refused.as_deref())
}

/// Installs the filter, and becomes a shell that runs a script.
fn run_logged(script: &str) -> Result<(), Box<dyn std::error::Error>> {
    install()?;
    Err(Command::new("sh").args(["-c", script]).exec().into())
}

fn install() -> Result<(), Box<dyn std::error::Error>> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    filter.add_rule(ScmpAction::Log, ScmpSyscall::from_name("getppid")?)?;
    Ok(filter.load()?)
}

/// Installs the filter, says so, and calls so often for each line.
fn call(count: u64) -> Result<(), Box<dyn std::error::Error>> {
    install()?;
    writeln!(std::io::stdout(), "ready")?;
    for _line in std::io::stdin().lock().lines() {
        for _ in 0..count {
            std::hint::black_box(std::os::unix::process::parent_id());
        }
        writeln!(std::io::stdout(), "done")?;
    }
    Ok(())
}

/// A process that is ready to call.
struct Caller {
    process: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Caller {
    fn start(count: u64) -> Result<Self, Failed> {
        let program = std::env::current_exe()?;
        let mut process = Command::new(program)
            .arg0(OsString::from("caller"))
            .args([CALLER, &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(process.stdout.take().ok_or("no output")?);
        let mut caller = Self { process, said };
        caller.hear("ready")?;
        Ok(caller)
    }

    fn hear(&mut self, right: &str) -> Result<(), Failed> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        ensure(line.trim_end() == right, &format!("it said {line:?} and not {right}"))
    }

    fn begin(&mut self) -> Result<(), Failed> {
        Ok(self.process.stdin.as_mut().ok_or("no input")?.write_all(b"go\n")?)
    }

    fn end(mut self) -> Result<u32, Failed> {
        drop(self.process.stdin.take());
        self.process.wait()?;
        Ok(self.process.id())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn ensure(condition: bool, what: &str) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into()) }
}

fn follower() -> Result<Follower, Failed> {
    Ok(Follower::open(&Options { source: Choice::Netlink, ..Options::default() })?)
}

/// Reads until so many records of a process were told, or one tells of a loss. What was told of the last one, how many
/// there were, and the losses.
fn hear(follower: &mut Follower, process: u32, count: usize) -> Result<Heard, Failed> {
    let deadline = Instant::now() + PATIENCE;
    let mut heard = Heard::default();
    while heard.origins.len() < count && heard.losses.is_empty() {
        ensure(Instant::now() < deadline, &format!("{} records only", heard.origins.len()))?;
        follower.read(Duration::from_millis(200), &mut |event| match event {
            Event::Record(Record::Seccomp(record), origin, _) => {
                if record.subject.pid == Some(process) {
                    heard.calls.push((record.action, record.call()));
                    heard.origins.push(origin);
                }
            }
            Event::Record(..) => {}
            Event::Lost(loss) => heard.losses.push(loss),
        })?;
    }
    Ok(heard)
}

#[derive(Default)]
struct Heard {
    calls: Vec<(SeccompAction, Option<(Arch, u32)>)>,
    origins: Vec<Origin>,
    losses: Vec<Loss>,
}

fn a_logged_call_arrives() -> Result<(), Failed> {
    let mut follower = follower()?;
    let mut caller = Caller::start(1)?;
    caller.begin()?;
    let heard = hear(&mut follower, caller.process.id(), 1)?;
    let (action, call) = heard.calls[0];
    let name = call.and_then(|(arch, number)| profile::syscall::name(arch, number));
    ensure((action, name) == (SeccompAction::Log, Some("getppid")), &format!("{call:?}"))?;
    let own = recorder::apart::namespace(std::process::id()).ok();
    match &heard.origins[0] {
        Origin::Known(place) => ensure(place.namespace == own, &format!("{place:?}")),
        other @ Origin::Unknown(_) => Err(format!("{other:?}").into()),
    }
}

fn record_writes_a_profile() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("profile.yaml");
    let mut recorder = Command::new(env!("CARGO_BIN_EXE_cinch"))
        .args(["record", "--recorder", "logs", "--base", "none", "-o"])
        .arg(&file)
        .arg("--")
        .arg(std::env::current_exe()?)
        .args([CALLER, "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(recorder.stdout.take().ok_or("no output")?);
    let mut input = recorder.stdin.take().ok_or("no input")?;
    let mut hear = |right: &str| -> Result<(), Failed> {
        let mut line = String::new();
        said.read_line(&mut line)?;
        ensure(line.trim_end() == right, &line)
    };
    hear("ready")?;
    // Until it waits for the command's end, and so has looked at it.
    let waits = format!("/proc/{}/wchan", recorder.id());
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&waits)?.contains("poll") {
        ensure(Instant::now() < deadline, "it never waits")?;
        std::thread::yield_now();
    }
    input.write_all(b"go\n")?;
    hear("done")?;
    drop(input);
    let output = recorder.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure(output.status.success() && said.contains("nothing lost"), &said)?;
    let profile = std::fs::read_to_string(&file)?;
    ensure(profile.contains("- getppid\n"), &format!("{said}{profile}"))?;
    ensure(!profile.contains("- write\n"), "and nothing that the filter does not log")
}

/// A cgroup with the name of a container, until it is dropped.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    /// None where there is no hierarchy of the second version, or nothing may be made in it.
    fn new() -> Result<Option<Self>, Failed> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let root = fields.into_iter().find_map(|fields| match fields[..] {
            [_, place, "cgroup2", ..] => Some(place.to_owned()),
            _ => None,
        });
        let Some(root) = root else { return Ok(None) };
        let folder = std::path::Path::new(&root).join(format!("{:064x}", std::process::id()));
        Ok(std::fs::create_dir(&folder).is_ok().then_some(Self(folder)))
    }

    fn id(&self) -> std::borrow::Cow<'_, str> {
        self.0.file_name().unwrap_or_default().to_string_lossy()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Those that have just ended may be in it for a moment.
        let begun = Instant::now();
        while std::fs::remove_dir(&self.0).is_err() && begun.elapsed() < Duration::from_secs(5) {
            std::thread::yield_now();
        }
    }
}

/// Ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runtimes put a process into its cgroup first, and into its mount namespace after that.
fn record_ends_with_a_container() -> Result<(), Failed> {
    let Some(cgroup) = Cgroup::new()? else { return Ok(()) };
    let script =
        r#"echo $$ >"$1/cgroup.procs"; echo inside; read line; exec unshare -m "$2" make-calls 1"#;
    let container = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&cgroup.0)
        .arg(std::env::current_exe()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut container = Running(container);
    let mut said = BufReader::new(container.0.stdout.take().ok_or("no output")?).lines();
    let mut input = container.0.stdin.take().ok_or("no input")?;
    let mut hear = |right: &str| -> Result<(), Failed> {
        let line = said.next().ok_or("it has ended")??;
        ensure(line == right, &line)
    };
    hear("inside")?;
    let recorder = Command::new(env!("CARGO_BIN_EXE_cinch"))
        .args(["record", "--recorder", "logs", "--base", "none", "--container", &*cgroup.id()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut recorder = Running(recorder);
    let process = recorder.0.id();
    until("it never waits", || {
        Ok(std::fs::read_to_string(format!("/proc/{process}/wchan"))?.contains("poll"))
    })?;
    input.write_all(b"now\n")?;
    hear("ready")?;
    input.write_all(b"go\n")?;
    hear("done")?;
    drop(input);
    container.0.wait()?;
    until("it goes on without the container", || Ok(recorder.0.try_wait()?.is_some()))?;
    let mut profile = String::new();
    recorder.0.stdout.take().ok_or("no output")?.read_to_string(&mut profile)?;
    ensure(profile.contains("- getppid\n"), &profile)
}

fn until(what: &str, mut is_it: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE / 2;
    while !is_it()? {
        ensure(Instant::now() < deadline, what)?;
        std::thread::yield_now();
    }
    Ok(())
}

/// The process goes on before the last calls are read, but not by more than there is room for, however slow this machine is.
fn none_is_lost() -> Result<(), Failed> {
    const TURNS: usize = 20;
    const CALLS: usize = 10_000;
    let mut follower = follower()?;
    let mut caller = Caller::start(CALLS as u64)?;
    let process = caller.process.id();
    let (mut told, mut known) = (0, 0);
    for turn in 0..=TURNS {
        if turn < TURNS {
            caller.begin()?;
        }
        if turn > 0 {
            let heard = hear(&mut follower, process, (turn * CALLS).saturating_sub(told))?;
            ensure(heard.losses.is_empty(), &format!("{:?}", heard.losses))?;
            told += heard.origins.len();
            known += heard.origins.iter().filter(|it| matches!(it, Origin::Known(_))).count();
        }
    }
    let counted = follower.counts().now();
    ensure(told == TURNS * CALLS, &format!("each is told once: {told}"))?;
    ensure(known == told, &format!("all of them are its own: {known}"))?;
    ensure(counted.lost_in_all() == 0, "and nothing is said to be missing")
}

fn a_stalled_reader_is_told() -> Result<(), Failed> {
    // More than there is room for: a record takes some 700 bytes of the kernel's memory at least.
    const CALLS: u64 = 60_000;
    let mut follower = follower()?;
    let mut caller = Caller::start(CALLS)?;
    caller.begin()?;
    caller.hear("done")?;
    let heard = hear(&mut follower, caller.process.id(), usize::MAX)?;
    ensure(heard.losses[0] == Loss::Overrun, &format!("{:?}", heard.losses))?;
    ensure(follower.counts().now().lost == [("overrun", 1)], "and it is counted")?;
    // The kernel sends no more until all it has kept is read; then it goes on.
    while follower.read(Duration::ZERO, &mut |_| {})? {}
    let mut another = Caller::start(1)?;
    another.begin()?;
    ensure(hear(&mut follower, another.process.id(), 1)?.origins.len() == 1, "it goes on")
}

fn another_namespace_is_refused() -> Result<(), Failed> {
    // In a thread of its own: a network namespace is a thread's.
    let told = std::thread::spawn(|| {
        apart()?;
        Ok::<_, std::io::Error>(Netlink::listen().err().map(|error| error.to_string()))
    });
    let told = told.join().map_err(|_panic| "it panicked")??.unwrap_or_default();
    ensure(told.contains("hostNetwork: true"), &told)
}

#[expect(unsafe_code, reason = "no crate at hand has it without")]
fn apart() -> std::io::Result<()> {
    // SAFETY: the call takes a number and concerns the calling thread alone.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn ended_processes_are_known() -> Result<(), Failed> {
    let mut follower = follower()?;
    let mut caller = Caller::start(1)?;
    caller.begin()?;
    caller.hear("done")?;
    let process = caller.process.id();
    let heard = hear(&mut follower, process, 1)?;
    ensure(matches!(heard.origins[0], Origin::Known(_)), "while it is there")?;
    // Nobody reads while this one calls and ends.
    let mut late = Caller::start(1)?;
    late.begin()?;
    late.hear("done")?;
    let process = late.end()?;
    let heard = hear(&mut follower, process, 1)?;
    ensure(heard.origins == [Origin::Unknown(recorder::logs::Unknown::Gone)], "never a guess")
}

/// Nobody reads until all of them have ended; they are in a mount namespace of their own, and in a cgroup.
fn short_processes_are_known() -> Result<(), Failed> {
    const PROCESSES: usize = 200;
    let Ok(processes) = EndedProcesses::shared() else { return Ok(()) };
    let Some(cgroup) = Cgroup::new()? else { return Ok(()) };
    let options =
        Options { source: Choice::Netlink, processes: Some(processes), ..Options::default() };
    let mut follower = Follower::open(&options)?;
    // A shell asks for its parent when it begins.
    let script = format!("for i in $(seq {PROCESSES}); do sh -c :; done");
    let ended = Command::new("sh")
        .args(["-c", r#"echo $$ >"$1/cgroup.procs"; exec unshare -m "$2" run-logged "$3""#, "sh"])
        .arg(&cgroup.0)
        .arg(std::env::current_exe()?)
        .arg(script)
        .status()?;
    ensure(ended.success(), &format!("{ended}"))?;
    let mut known = std::collections::BTreeSet::new();
    until("some are not known", || {
        let mut wrong = None;
        follower.read(Duration::from_millis(200), &mut |event| match event {
            Event::Record(Record::Seccomp(record), origin, true)
                if origin.container().is_some_and(|container| container.id == cgroup.id()) =>
            {
                known.extend(record.subject.pid);
            }
            Event::Record(Record::Seccomp(record), origin @ Origin::Unknown(_), _) => {
                wrong = Some(format!("{:?}: {origin:?}", record.subject));
            }
            Event::Record(..) => {}
            Event::Lost(loss) => wrong = Some(loss.to_string()),
        })?;
        match wrong {
            Some(wrong) => Err(wrong.into()),
            None => Ok(known.len() > PROCESSES),
        }
    })
}

fn reused_numbers_are_noticed() -> Result<(), Failed> {
    let mut follower = follower()?;
    let mut caller = Caller::start(1)?;
    caller.begin()?;
    caller.hear("done")?;
    let process = caller.end()?;
    // Longer than what the kernel's two clocks may differ by.
    let ended = Instant::now();
    while ended.elapsed() < Duration::from_millis(100) {
        std::thread::yield_now();
    }
    // The next process gets the number that this file says, plus one: the same one again.
    let next = std::path::Path::new("/proc/sys/kernel/ns_last_pid");
    std::fs::write(next, (process - 1).to_string())?;
    let mut other = Command::new("sleep").arg("60").spawn()?;
    let reused = other.id() == process;
    let heard = hear(&mut follower, process, 1);
    other.kill()?;
    other.wait()?;
    if !reused {
        // Another process of this machine was faster; then there is nothing to see here.
        return Ok(());
    }
    let origins = heard?.origins;
    ensure(origins == [Origin::Unknown(recorder::logs::Unknown::Reused)], &format!("{origins:?}"))
}
