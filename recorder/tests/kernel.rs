//! What the programs record of real processes, in the kernel at hand.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use libtest_mimic::{Arguments, Failed};
use profile::kinds::seccomp::Arch;
use recorder::{
    apart,
    kernel::{Calls, Recording, Slot, Watch},
};

const CALLS: Watch = Watch { calls: true, denials: false, accesses: false, permissions: false };

#[path = "shared/trials.rs"]
mod trials;

use trials::Test;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Whoever may not load programs here is told so by name.
    let refused = Recording::start(CALLS).err().map(|error| error.to_string());
    let tests: [(&str, Test); 7] = [
        ("what_a_workload_calls_is_recorded", what_a_workload_calls_is_recorded),
        ("a_call_that_was_not_made_is_not_recorded", a_call_that_was_not_made_is_not_recorded),
        ("children_are_recorded_with_their_parent", children_are_recorded_with_their_parent),
        ("what_others_on_the_machine_do_is_not_recorded", what_others_do_is_not_recorded),
        ("a_process_that_runs_already_is_recorded", a_process_that_runs_already_is_recorded),
        ("a_process_of_the_host_itself_is_refused", a_process_of_the_host_is_refused),
        ("record_writes_a_profile_that_a_command_can_run_under", record_writes_a_profile),
    ];
    trials::run(&arguments, tests, refused.as_deref())
}

fn record(command: &mut Command) -> Result<Slot, Failed> {
    let recording = Recording::start(CALLS)?;
    let mut child = apart::start(command.stdout(Stdio::null()))?;
    let process = child.id();
    child.wait()?;
    let place = recording
        .find(|slot| slot.first == u64::from(process))?
        .ok_or("it made no call in its namespace")?;
    Ok(recording.slot(place)?.ok_or("the slot is empty")?)
}

fn has(calls: &Calls, name: &'static str) -> bool {
    calls.by_name(Arch::X86_64).contains(&(Arch::X86_64, Ok(name)))
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn ensure(condition: bool, what: &str) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into()) }
}

fn what_a_workload_calls_is_recorded() -> Result<(), Failed> {
    let slot = record(&mut shell("echo hello; true"))?;
    for name in ["write", "openat", "read", "exit_group", "mmap"] {
        ensure(has(&slot.workload, name), name)?;
    }
    ensure(slot.overflow == 0, "every number has a bit")?;
    ensure(has(&slot.setup, "execve"), "what leads to the program is told apart")
}

fn a_call_that_was_not_made_is_not_recorded() -> Result<(), Failed> {
    let slot = record(&mut shell("true"))?;
    for name in ["listen", "ptrace", "mount", "unshare", "getdents64"] {
        ensure(!has(&slot.workload, name), name)?;
    }
    Ok(())
}

fn children_are_recorded_with_their_parent() -> Result<(), Failed> {
    let slot =
        record(&mut shell("ls / >/dev/null; (sh -c 'mkdir \"$0\"; rmdir \"$0\"' /tmp/cinch-$$)"))?;
    for name in ["getdents64", "mkdir", "rmdir", "wait4", "execve"] {
        ensure(has(&slot.workload, name), name)?;
    }
    Ok(())
}

fn what_others_do_is_not_recorded() -> Result<(), Failed> {
    let recording = Recording::start(CALLS)?;
    let mut child = apart::start(shell("read line").stdin(Stdio::piped()).stdout(Stdio::null()))?;
    let process = child.id();
    // Here, on the host, while it waits.
    std::fs::create_dir(format!("/tmp/cinch-host-{process}"))?;
    std::fs::remove_dir(format!("/tmp/cinch-host-{process}"))?;
    drop(child.stdin.take());
    child.wait()?;
    let place = recording
        .find(|slot| slot.first == u64::from(process))?
        .ok_or("it made no call in its namespace")?;
    let slot = recording.slot(place)?.ok_or("the slot is empty")?;
    ensure(has(&slot.workload, "read"), "its own are there")?;
    ensure(!has(&slot.workload, "mkdir") && !has(&slot.setup, "mkdir"), "the host's are not")
}

/// `cinch record` of something that is there, and what it is told to do meanwhile.
fn record_running(
    flag: &str,
    value: &str,
    meanwhile: impl FnOnce() -> Result<(), Failed>,
) -> Result<(String, String), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("profile.yaml");
    let mut recorder = Command::new(env!("CARGO_BIN_EXE_cinch"))
        .args(["record", flag, value, "--base", "none", "-o"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    let mut lines = BufReader::new(recorder.stderr.take().ok_or("no standard error")?);
    lines.read_line(&mut said)?;
    if said.starts_with("recording") {
        meanwhile()?;
    }
    lines.read_to_string(&mut said)?;
    recorder.wait()?;
    Ok((std::fs::read_to_string(&file).unwrap_or_default(), said))
}

fn a_process_that_runs_already_is_recorded() -> Result<(), Failed> {
    let mut child = apart::start(
        shell("read line; mkdir /tmp/cinch-$$; rmdir /tmp/cinch-$$").stdin(Stdio::piped()),
    )?;
    let process = child.id().to_string();
    let (profile, said) = record_running("--pid", &process, || {
        drop(child.stdin.take());
        child.wait()?;
        Ok(())
    })?;
    ensure(profile.contains("- mkdir\n"), &format!("{said}{profile}"))?;
    ensure(said.contains("nothing lost"), &said)
}

fn a_process_of_the_host_is_refused() -> Result<(), Failed> {
    let process = std::process::id().to_string();
    let (profile, said) = record_running("--pid", &process, || Ok(()))?;
    ensure(profile.is_empty() && said.contains("of the host itself"), &said)
}

fn record_writes_a_profile() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("profile.json");
    let recorded = Command::new(env!("CARGO_BIN_EXE_cinch"))
        .args(["record", "--format", "raw", "--base", "none", "-o"])
        .arg(&file)
        .args(["--", "/bin/sh", "-c", "echo hello; exit 3"])
        .output()?;
    let said = String::from_utf8_lossy(&recorded.stderr);
    ensure(recorded.status.code() == Some(3), "the command's exit code is kept")?;
    ensure(recorded.stdout == b"hello\n", "what the command prints comes through")?;
    ensure(said.contains("nothing lost"), &said)?;
    let filter: profile::render::seccomp::Filter =
        serde_json::from_slice(&std::fs::read(Path::new(&file))?)?;
    let allowed =
        |name: &str| filter.syscalls.iter().any(|rule| rule.names.iter().any(|n| n == name));
    ensure(allowed("write") && allowed("execve") && allowed("exit_group"), "what it called")?;
    ensure(!allowed("mount") && !allowed("unshare"), "and nothing else")
}
