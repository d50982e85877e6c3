//! `cinch run` with real programs: the same happens to them as under the filter alone, and what they were denied is told.
//!
//! Called with `lose-thread` it is a program of several threads, one of which makes a folder; with `catch-trap` one that does so
//! and catches the signal that it gets for that.

use std::{
    fs::Permissions,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Output, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Failed, Trial};
use recorder::logs::netlink::Netlink;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

#[path = "run/elf.rs"]
mod elf;

type Test = fn() -> Result<(), Failed>;

/// All of them take some seconds.
const LIMIT: Duration = Duration::from_mins(4);

/// Who may do nothing special.
const NOBODY: u32 = 65534;

/// What this is called with to be another program.
const LOSER: &str = "lose-thread";
const CATCHER: &str = "catch-trap";

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some(LOSER) => Some(lose_thread()),
        Some(CATCHER) => Some(Ok(catch_trap())),
        _ => None,
    };
    if let Some(done) = done {
        return done.map_or(ExitCode::FAILURE, ExitCode::from);
    }
    let arguments = Arguments::from_args();
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    let kernel = actions.is_ok_and(|actions| actions.contains("user_notif"));
    let root = rustix::process::geteuid().is_root();
    let script = Command::new("script").arg("--version").output().is_ok();
    let (kernel, root, script, x86) = (
        (!kernel).then_some("the kernel asks nobody about calls"),
        (!root).then_some("needs root"),
        (!script).then_some("needs script(1)"),
        (!cfg!(target_arch = "x86_64")).then_some("needs x86_64"),
    );
    // Whoever may not listen is told so by name; what is said then has a test of its own.
    let deaf = Netlink::listen().err().map(|error| error.to_string());
    let deaf = kernel.or(deaf.as_deref());
    let tests: [(&str, Option<&str>, Test); 25] = [
        ("what_is_allowed_works_as_without_us", kernel, allowed),
        ("what_is_denied_is_reported_with_name_count_and_caller", kernel, denied),
        ("a_report_goes_to_a_file_or_to_a_descriptor", kernel, report_to_a_file),
        ("no_privilege_is_needed", kernel.or(root), without_privileges),
        ("every_action_does_what_the_filter_alone_would", kernel, every_action),
        ("a_call_that_ends_its_process_is_named", deaf, kills),
        ("a_call_that_ends_its_thread_alone_is_named", deaf, kills_a_thread),
        (
            "a_call_whose_signal_is_caught_is_named_with_log_and_else_it_is_said_why_not",
            deaf,
            traps,
        ),
        ("what_a_filter_of_the_commands_own_kills_is_not_the_profiles", deaf, kills_by_another),
        ("what_other_commands_are_killed_for_is_not_told", deaf, kills_of_others),
        ("who_may_not_hear_what_was_killed_is_told_what_would_help", kernel.or(root), deaf_nobody),
        ("where_nothing_can_be_heard_is_said_so", kernel.or(root), deaf_namespaces),
        ("children_and_their_children_are_under_it_too", kernel, children),
        ("what_a_command_leaves_is_waited_for", kernel, left_is_waited_for),
        ("what_is_left_goes_on_being_answered", kernel, left_goes_on),
        ("nobody_hangs_when_the_one_who_answers_is_killed", kernel, killed),
        ("a_second_listener_is_no_reason_not_to_run", kernel, second_listener),
        ("calls_by_other_entries_are_named_by_them", kernel.or(x86), other_entries),
        ("a_command_that_is_not_there_gives_127", kernel, missing),
        ("a_profile_that_does_not_let_it_begin_gives_126", kernel, not_begun),
        ("a_broken_profile_is_named", None, broken),
        ("a_command_may_not_gain_privileges_unless_it_is_said", kernel, privileges),
        ("what_it_builds_on_comes_from_files", kernel, bases),
        ("a_signal_reaches_the_command", kernel, signal),
        ("a_key_reaches_the_command_once_and_does_not_end_us", kernel.or(script), key),
    ];
    // Whoever waits here waits for a bug.
    std::thread::spawn(|| {
        std::thread::park_timeout(LIMIT);
        // The last test that was named is the one.
        std::process::abort();
    });
    let trials = tests.map(|(name, missing, test)| {
        let shown = missing.map_or_else(|| name.to_owned(), |why| format!("{name} ({why})"));
        Trial::test(shown, test).with_ignored_flag(missing.is_some())
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn ensure(condition: bool, what: impl std::fmt::Debug) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(format!("{what:?}").into()) }
}

/// A folder with a profile.
struct Place(TempDir);

/// `mkdir` is denied with EACCES, all else is allowed.
const NO_FOLDERS: &str = r#"{"defaultAction":"SCMP_ACT_ALLOW",
    "syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}"#;

impl Place {
    fn new(profile: &str) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777))?;
        std::fs::write(folder.path().join("profile"), profile)?;
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `cinch run` with more flags, of a shell's script.
    fn shell(&self, flags: &[&str], script: &str) -> Command {
        self.run(flags, &["sh", "-c", script])
    }

    fn run(&self, flags: &[&str], command: &[&str]) -> Command {
        let mut run = Command::new(env!("CARGO_BIN_EXE_cinch"));
        run.args(["run", "--profile", "profile"]).args(flags).arg("--").args(command);
        run.current_dir(self.0.path()).stdin(Stdio::null());
        run
    }

    /// Runs a script, and gives its exit code, what it has printed, and the report.
    fn report(&self, flags: &[&str], script: &str) -> Result<(i32, String, Value), Failed> {
        let more: Vec<_> =
            flags.iter().copied().chain(["-o", "json", "--report", "report"]).collect();
        let output = self.shell(&more, script).output()?;
        let report = std::fs::read(self.path("report")).unwrap_or_default();
        let report =
            serde_json::from_slice(&report).map_err(|error| format!("{error}: {output:?}"))?;
        Ok((code(&output)?, String::from_utf8(output.stdout)?, report))
    }
}

fn code(output: &Output) -> Result<i32, Failed> {
    Ok(output.status.code().ok_or_else(|| format!("{output:?}"))?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The calls that a report tells of, with how often each was denied.
fn calls(report: &Value) -> Vec<(&str, u64)> {
    let lines = report["denied"].as_array().into_iter().flatten();
    lines
        .map(|line| {
            (line["call"].as_str().unwrap_or_default(), line["count"].as_u64().unwrap_or_default())
        })
        .collect()
}

fn allowed() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let mut child = place
        .shell(&[], "cat; echo error >&2; printf %s \"$VARIABLE\"; exit 7")
        .env("VARIABLE", "kept")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("a pipe")?.write_all(b"through ")?;
    let output = child.wait_with_output()?;
    ensure(output.stdout == b"through kept", &output)?;
    ensure(code(&output)? == 7, &output)?;
    ensure(said(&output) == "error\ncinch: the profile profile denied nothing\n", &output)
}

fn denied() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let output = place.shell(&[], "for name in a b c; do mkdir $name; done; exit 3").output()?;
    ensure(code(&output)? == 3, &output)?;
    let text = said(&output);
    ensure(text.matches("Permission denied").count() == 3, &text)?;
    let live: Vec<_> = text.lines().filter(|line| line.contains("cinch: denied mkdir")).collect();
    ensure(
        live.len() == 1 && live[0].starts_with("cinch: denied mkdir (EACCES) to mkdir["),
        &text,
    )?;
    let last = text.lines().last().unwrap_or_default();
    let words: Vec<_> = last.split_whitespace().collect();
    ensure(words == ["cinch:", "mkdir", "EACCES", "3", "mkdir"], &text)?;
    let quiet = said(&place.shell(&["-q"], "mkdir a 2>/dev/null").output()?);
    ensure(quiet.lines().count() == 2, &quiet)?;
    ensure(!place.path("a").exists(), "it was denied indeed")
}

fn report_to_a_file() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let (_, _, report) = place.report(&[], "mkdir a b 2>/dev/null")?;
    ensure(calls(&report) == [("mkdir", 2)], &report)?;
    let [line] = &report["denied"].as_array().ok_or("a list")?[..] else {
        return Err("one".into());
    };
    ensure(line["errno"] == libc::EACCES && line["error"] == "EACCES", line)?;
    ensure(line["by"]["mkdir"] == 2 && line["first"]["name"] == "mkdir", line)?;
    ensure(line["first"]["args"][1] == "0x1ff", line)?;
    // Not among what the command prints.
    let output = place.shell(&["-o", "json"], "mkdir a 2>/dev/null").output()?;
    let report: Value = serde_json::from_slice(&output.stderr)?;
    ensure(calls(&report) == [("mkdir", 1)] && output.stdout.is_empty(), &output)
}

fn without_privileges() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    // Where nobody can read it.
    let program = place.path("cinch");
    std::fs::copy(env!("CARGO_BIN_EXE_cinch"), &program)?;
    std::fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    let mut run = Command::new(program);
    run.args([
        "run",
        "--profile",
        "profile",
        "--",
        "sh",
        "-c",
        "id -u; grep CapEff /proc/self/status; mkdir a",
    ])
    .current_dir(place.0.path())
    .uid(NOBODY)
    .gid(NOBODY);
    let output = run.output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure(printed.starts_with("65534\nCapEff:\t0000000000000000"), &output)?;
    ensure(said(&output).contains("mkdir  EACCES"), &output)
}

/// What happens to a program whose call is answered so, with somebody asked and without.
fn every_action() -> Result<(), Failed> {
    let action = |action: &str| {
        format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_{action}"}}]}}"#
        )
    };
    let errno = |number: u32| {
        format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":{number}}}]}}"#
        )
    };
    let heard = u64::from(Netlink::listen().is_ok());
    let cases = [
        (action("ERRNO"), "1: Operation not permitted", 1),
        (errno(0), "0: created", 1),
        (errno(38), "1: Function not implemented", 1),
        (errno(4094), "1: Unknown error 4094", 1),
        (action("KILL_PROCESS"), "159: Bad system call", heard),
        (action("KILL"), "159: Bad system call", heard),
        (action("TRAP"), "159: Bad system call", 0),
        (action("LOG"), "0: created", 0),
        (action("ALLOW"), "0: created", 0),
        // Nobody traces it.
        (action("TRACE"), "1: Function not implemented", 0),
    ];
    let script = "mkdir a 2>error; code=$?; echo \"$code: $(if [ $code = 0 ]; then echo created; elif [ $code = 159 ]; then echo Bad system call; else sed 's/.*: //' error; fi)\"";
    for (profile, expected, count) in cases {
        let place = Place::new(&profile)?;
        let (_, printed, report) = place.report(&[], script)?;
        ensure(printed.trim_end() == expected, (&profile, &printed))?;
        let told: u64 = calls(&report).iter().map(|(_, count)| count).sum();
        ensure(told == count, (&profile, &report))?;
        // Somebody is asked already, and the kernel is left with the filter.
        let place = Place::new(&profile)?;
        let inside = [
            env!("CARGO_BIN_EXE_cinch"),
            "run",
            "-q",
            "--profile",
            "profile",
            "--",
            "sh",
            "-c",
            script,
        ];
        std::fs::write(place.path("free"), r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#)?;
        let mut outer = Command::new(env!("CARGO_BIN_EXE_cinch"));
        outer.args(["run", "-q", "--profile", "free", "--"]).args(inside);
        let output = outer.current_dir(place.0.path()).output()?;
        let plain = String::from_utf8_lossy(&output.stdout);
        ensure(plain.trim_end() == expected, (&profile, &output))?;
    }
    // When it is the command itself.
    let place = Place::new(&action("KILL_PROCESS"))?;
    let output = place.run(&[], &["mkdir", "a"]).output()?;
    ensure(code(&output)? == 128 + libc::SIGSYS, &output)?;
    ensure(said(&output).contains("ended by SIGSYS"), &output)
}

/// What a program does of whom a thread is ended: it goes on.
fn lose_thread() -> Result<u8, Failed> {
    let (to, from) = mpsc::channel();
    std::thread::spawn(move || {
        to.send(std::fs::read_link("/proc/thread-self")).unwrap_or_default();
        drop(std::fs::create_dir("a"));
        // Never reached under a filter that ends it.
        std::fs::write("reached", "").unwrap_or_default();
        loop {
            std::thread::park();
        }
    });
    let (task, begun) = (Path::new("/proc").join(from.recv()??), Instant::now());
    while task.exists() {
        if begun.elapsed() > LIMIT || Path::new("reached").exists() {
            return Ok(1);
        }
        std::thread::yield_now();
    }
    Ok(5)
}

/// Whether the signal has come.
static CAUGHT: AtomicBool = AtomicBool::new(false);

extern "C" fn caught(_signal: libc::c_int) {
    CAUGHT.store(true, Ordering::Relaxed);
}

/// What a program does that catches the signal: it goes on.
#[expect(unsafe_code, reason = "there is no other way to catch it")]
fn catch_trap() -> u8 {
    let handler: extern "C" fn(libc::c_int) = caught;
    // SAFETY: the handler sets a flag and nothing else.
    unsafe { libc::signal(libc::SIGSYS, handler as libc::sighandler_t) };
    drop(std::fs::create_dir("a"));
    if CAUGHT.load(Ordering::Relaxed) { 6 } else { 1 }
}

/// A profile that answers such calls so.
fn answering(action: &str, calls: &str) -> String {
    format!(
        r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":[{calls}],"action":"SCMP_ACT_{action}"}}]}}"#
    )
}

const MKDIR: &str = r#""mkdir","mkdirat""#;

/// What a report tells of, with what each was answered with.
fn answers(report: &Value) -> Vec<(&str, &str, u64)> {
    let lines = report["denied"].as_array().into_iter().flatten();
    lines
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default();
            (text("call"), text("error"), line["count"].as_u64().unwrap_or_default())
        })
        .collect()
}

impl Place {
    /// Runs this program, as another one, and gives its exit code and the report.
    fn own(&self, flags: &[&str], what: &str) -> Result<(i32, Value), Failed> {
        let own = std::env::current_exe()?;
        let own = own.to_str().ok_or("a path")?;
        let more: Vec<_> =
            flags.iter().copied().chain(["-o", "json", "--report", "report"]).collect();
        let output = self.run(&more, &[own, what]).output()?;
        let report = std::fs::read(self.path("report")).unwrap_or_default();
        let report =
            serde_json::from_slice(&report).map_err(|error| format!("{error}: {output:?}"))?;
        Ok((code(&output)?, report))
    }
}

fn kills() -> Result<(), Failed> {
    let place = Place::new(&answering("KILL_PROCESS", MKDIR))?;
    // The command itself.
    let output = place.run(&[], &["mkdir", "a"]).output()?;
    let text = said(&output);
    ensure(code(&output)? == 128 + libc::SIGSYS, &output)?;
    ensure(text.contains("cinch: denied mkdir (KILL_PROCESS) to mkdir["), &text)?;
    ensure(text.contains("  mkdir  KILL_PROCESS       1  mkdir\n"), &text)?;
    ensure(text.contains("ended by SIGSYS") && !text.contains("not all calls"), &text)?;
    // Processes that it has begun, which are gone at once; it goes on.
    let script = "for name in a b c; do (mkdir $name; true) 2>/dev/null; done; exit 3";
    let (code, _, report) = place.report(&[], script)?;
    ensure(code == 3 && answers(&report) == [("mkdir", "KILL_PROCESS", 3)], &report)?;
    let line = &report["denied"][0];
    ensure(line.get("errno").is_none() && line["first"].get("args").is_none(), line)?;
    ensure(report.get("untold").is_none() && report.get("signal").is_none(), &report)
}

fn kills_a_thread() -> Result<(), Failed> {
    let place = Place::new(&answering("KILL_THREAD", MKDIR))?;
    let (code, report) = place.own(&[], LOSER)?;
    ensure(code == 5 && answers(&report) == [("mkdir", "KILL_THREAD", 1)], &report)?;
    ensure(report.get("signal").is_none() && !place.path("a").exists(), &report)
}

fn traps() -> Result<(), Failed> {
    let place = Place::new(&answering("TRAP", MKDIR))?;
    let (code, report) = place.own(&[], CATCHER)?;
    let untold = report["untold"].as_str().unwrap_or_default();
    ensure(code == 6 && answers(&report).is_empty() && untold.contains("--log"), &report)?;
    let (code, report) = place.own(&["--log"], CATCHER)?;
    ensure(code == 6 && answers(&report) == [("mkdir", "TRAP", 1)], &report)?;
    ensure(report.get("untold").is_none() && !place.path("a").exists(), &report)
}

fn kills_by_another() -> Result<(), Failed> {
    let place = Place::new(&answering("KILL_PROCESS", r#""symlink","symlinkat""#))?;
    let own = answering("KILL_PROCESS", MKDIR);
    std::fs::write(place.path("own"), own)?;
    let inside = [env!("CARGO_BIN_EXE_cinch"), "run", "--profile", "own", "-o", "json", "--report"];
    let inside: Vec<_> = inside.into_iter().chain(["inner", "--", "mkdir", "a"]).collect();
    let output =
        place.run(&["-o", "json", "--report", "report"], &inside).stderr(Stdio::null()).output()?;
    let read = |name: &str| -> Result<Value, Failed> {
        Ok(serde_json::from_slice(&std::fs::read(place.path(name))?)?)
    };
    let (outer, inner) = (read("report")?, read("inner")?);
    ensure(code(&output)? == 128 + libc::SIGSYS, &output)?;
    ensure(answers(&inner) == [("mkdir", "KILL_PROCESS", 1)], &inner)?;
    ensure(answers(&outer).is_empty() && outer.get("untold").is_none(), &outer)
}

fn kills_of_others() -> Result<(), Failed> {
    let count = |count: u64| -> Result<(), Failed> {
        let place = Place::new(&answering("KILL_PROCESS", MKDIR))?;
        let script =
            format!("for n in $(seq {count}); do (mkdir a; true) 2>/dev/null; done; exit 0");
        let (_, _, report) = place.report(&["-q"], &script)?;
        ensure(answers(&report) == [("mkdir", "KILL_PROCESS", count)], &report)
    };
    std::thread::scope(|scope| {
        let all = [20, 30, 40].map(|times| scope.spawn(move || count(times)));
        all.into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_panic| Err("a panic".into())))
    })
}

fn deaf_nobody() -> Result<(), Failed> {
    let place = Place::new(&answering("KILL_PROCESS", MKDIR))?;
    let program = place.path("cinch");
    std::fs::copy(env!("CARGO_BIN_EXE_cinch"), &program)?;
    std::fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    let mut run = Command::new(program);
    run.args(["run", "--profile", "profile", "--", "mkdir", "a"]);
    let output = run.current_dir(place.0.path()).uid(NOBODY).gid(NOBODY).output()?;
    let text = said(&output);
    ensure(code(&output)? == 128 + libc::SIGSYS, &output)?;
    ensure(text.contains("is not known to have denied anything"), &text)?;
    ensure(text.contains("needs CAP_AUDIT_READ: run cinch as root"), &text)
}

fn deaf_namespaces() -> Result<(), Failed> {
    let place = Place::new(&answering("KILL_PROCESS", MKDIR))?;
    let cases = [("--net", "network namespace"), ("--pid", "numbers of processes")];
    for (namespace, told) in cases {
        let run = place.run(&[], &["mkdir", "a"]);
        let mut apart = Command::new("unshare");
        apart.args([namespace, "--fork", "--"]).arg(run.get_program()).args(run.get_args());
        let output = apart.current_dir(place.0.path()).output()?;
        ensure(code(&output)? == 128 + libc::SIGSYS, &output)?;
        ensure(said(&output).contains(told), (namespace, &output))?;
    }
    Ok(())
}

fn children() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let script = "mkdir a; (mkdir b; sh -c 'mkdir c & wait'); setsid sh -c 'mkdir d'; wait";
    let (_, _, report) = place.report(&[], script)?;
    ensure(calls(&report) == [("mkdir", 4)], &report)
}

fn left_is_waited_for() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("go"), rustix::fs::Mode::RWXU)?;
    let script = "(read line <go; mkdir a) >/dev/null 2>&1 & exit 4";
    let mut run = place.shell(&["--report", "report", "-o", "json"], script);
    let mut child = run.stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("a pipe")?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    ensure(line.contains("waiting for what it has left"), &line)?;
    std::fs::write(place.path("go"), "\n")?;
    ensure(child.wait()?.code() == Some(4), "the command's own code")?;
    let report: Value = serde_json::from_slice(&std::fs::read(place.path("report"))?)?;
    ensure(calls(&report) == [("mkdir", 1)] && report["left"] == false, &report)
}

fn left_goes_on() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    for name in ["go", "done"] {
        rustix::fs::mkfifoat(rustix::fs::CWD, place.path(name), rustix::fs::Mode::RWXU)?;
    }
    let script = "(read line <go; mkdir a >done 2>&1) >/dev/null 2>&1 & exit 4";
    let (code, _, report) = place.report(&["--leave"], script)?;
    ensure(code == 4 && report["left"] == true, &report)?;
    std::fs::write(place.path("go"), "\n")?;
    let answer = std::fs::read_to_string(place.path("done"))?;
    ensure(answer.contains("Permission denied"), answer)
}

fn killed() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    for name in ["go", "done"] {
        rustix::fs::mkfifoat(rustix::fs::CWD, place.path(name), rustix::fs::Mode::RWXU)?;
    }
    let script = "echo ready; read line <go; mkdir a >done 2>&1; exit 4";
    let mut run = place.shell(&["-q"], script);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("a pipe")?).read_line(&mut line)?;
    child.kill()?;
    child.wait()?;
    std::fs::write(place.path("go"), "\n")?;
    let answer = std::fs::read_to_string(place.path("done"))?;
    ensure(answer.contains("Function not implemented"), answer)
}

fn second_listener() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let inside = [env!("CARGO_BIN_EXE_cinch"), "run", "--profile", "profile", "--", "mkdir", "a"];
    let output = place.run(&["-q"], &inside).output()?;
    let text = said(&output);
    ensure(code(&output)? == 1 && text.contains("Permission denied"), &output)?;
    ensure(text.contains("is not known: somebody else is asked"), &output)?;
    // Its own filter has answered, and nobody was asked.
    ensure(text.contains("cinch: the profile profile denied nothing"), &output)
}

fn other_entries() -> Result<(), Failed> {
    let place = Place::new(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"],
            "syscalls":[{"names":["getppid"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}"#,
    )?;
    let program = place.path("program");
    std::fs::write(&program, elf::of_three_abis())?;
    std::fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    let output = place.run(&[], &["./program"]).output()?;
    ensure(code(&output)? == 38, &output)?;
    let text = said(&output);
    ensure(text.contains("getppid (x32)  ENOSYS       1  program"), &text)?;
    ensure(text.contains("getppid (x86)  ENOSYS       1  program"), &text)
}

fn missing() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let output = place.run(&[], &["there-is-no-such-program"]).output()?;
    ensure(code(&output)? == 127 && said(&output).contains("there is no such program"), &output)?;
    let output = place.run(&[], &["./profile"]).output()?;
    ensure(code(&output)? == 126 && said(&output).contains("Permission denied"), &output)?;
    // A script without a line that says what reads it is the shell's, as everywhere.
    std::fs::write(place.path("script"), "echo \"$0 $1\"; exit 5")?;
    std::fs::set_permissions(place.path("script"), Permissions::from_mode(0o755))?;
    let output = place.run(&[], &["./script", "argument"]).output()?;
    ensure(code(&output)? == 5 && output.stdout == b"./script argument\n", &output)
}

fn not_begun() -> Result<(), Failed> {
    for denied in [r#""execve""#, r#""execve","exit_group","write","exit""#] {
        let place = Place::new(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":[{denied}],"action":"SCMP_ACT_ERRNO"}}]}}"#
        ))?;
        let output = place.run(&[], &["true"]).output()?;
        ensure(code(&output)? == 126, &output)?;
        let text = said(&output);
        ensure(
            text.contains("denied execve (EPERM)") && text.contains("cannot run true"),
            &output,
        )?;
    }
    Ok(())
}

fn broken() -> Result<(), Failed> {
    let cases = [
        (r#"{"defaultAction":"SCMP_ACT_NO"}"#, "defaultAction"),
        ("kind: [", "profile"),
        ("", "there is no SeccompProfile in it"),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":70000}]}"#,
            "read",
        ),
    ];
    for (profile, told) in cases {
        let place = Place::new(profile)?;
        let output = place.run(&[], &["touch", "ran"]).output()?;
        ensure(code(&output)? == 1 && said(&output).contains(told), (profile, &output))?;
        ensure(!place.path("ran").exists(), "the command was not run")?;
    }
    let place = Place::new(NO_FOLDERS)?;
    let wrong = Command::new(env!("CARGO_BIN_EXE_cinch")).args(["run", "--", "true"]).output()?;
    ensure(code(&wrong)? == 2 && said(&wrong).contains("--profile"), &wrong)?;
    let output = place.run(&["--report", "none/report"], &["touch", "ran"]).output()?;
    ensure(code(&output)? == 1 && !place.path("ran").exists(), &output)
}

fn privileges() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let status = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status";
    let output = place.shell(&[], status).output()?;
    ensure(output.stdout == b"NoNewPrivs:\t1\nSeccomp:\t2\n", &output)?;
    let output = place.shell(&["--privileges"], status).output()?;
    if rustix::process::geteuid().is_root() {
        ensure(output.stdout == b"NoNewPrivs:\t0\nSeccomp:\t2\n", &output)?;
        let mut run = place.shell(&["--privileges"], "touch ran");
        // Root without the capability.
        let arguments: Vec<_> = run.get_args().map(ToOwned::to_owned).collect();
        run = Command::new("setpriv");
        run.args(["--bounding-set", "-sys_admin", "--"])
            .arg(env!("CARGO_BIN_EXE_cinch"))
            .args(arguments);
        let output = run.current_dir(place.0.path()).output()?;
        ensure(code(&output)? == 1 && said(&output).contains("CAP_SYS_ADMIN"), &output)?;
        return ensure(!place.path("ran").exists(), "the command was not run");
    }
    ensure(code(&output)? == 1 && said(&output).contains("CAP_SYS_ADMIN"), &output)
}

fn bases() -> Result<(), Failed> {
    let object = |name: &str, base: &str, call: &str| {
        format!(
            "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {{name: {name}}}\n\
             spec: {{defaultAction: SCMP_ACT_ALLOW, {base}syscalls: [{{names: [{call}], action: SCMP_ACT_ERRNO}}]}}\n"
        )
    };
    let place = Place::new(&object("own", "baseProfileName: below, ", "symlink, symlinkat"))?;
    std::fs::write(place.path("below"), object("below", "", "mkdir, mkdirat"))?;
    let script = "mkdir a 2>/dev/null; ln -s x y 2>/dev/null";
    let (_, _, report) = place.report(&["--base-profile", "below"], script)?;
    let told: Vec<_> = calls(&report).into_iter().map(|(name, _)| name).collect();
    ensure(
        told.contains(&"mkdir") && told.iter().any(|name| name.starts_with("symlink")),
        &report,
    )?;
    ensure(report["profile"] == "own", &report)?;
    let output = place.run(&[], &["true"]).output()?;
    ensure(code(&output)? == 1 && said(&output).contains("--base-profile"), &output)
}

fn signalled(child: &Child, signal: Signal) -> Result<(), Failed> {
    let process = Pid::from_raw(child.id().try_into()?).ok_or("a process")?;
    Ok(kill_process(process, signal)?)
}

fn signal() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    for (script, expected) in [
        ("trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done", 9),
        ("echo ready; exec cat go", 128 + libc::SIGTERM),
    ] {
        drop(std::fs::remove_file(place.path("go")));
        rustix::fs::mkfifoat(rustix::fs::CWD, place.path("go"), rustix::fs::Mode::RWXU)?;
        let mut child =
            place.shell(&[], script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("a pipe")?).read_line(&mut line)?;
        signalled(&child, Signal::TERM)?;
        let status = child.wait()?;
        let mut text = String::new();
        child.stderr.take().ok_or("a pipe")?.read_to_string(&mut text)?;
        ensure(status.code() == Some(expected) && status.signal().is_none(), (status, &text))?;
        ensure(text.contains("denied nothing"), &text)?;
    }
    Ok(())
}

fn key() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    std::fs::write(
        place.path("count"),
        "trap 'n=$((n + 1)); echo \"got $n\"' INT\necho ready\nwhile [ -z \"$n\" ]; do sleep 0.1; done\nread line\necho \"line $line\"\nexit 6\n",
    )?;
    let own = shown(env!("CARGO_BIN_EXE_cinch").as_ref());
    let line = format!("exec {own} run --profile profile -- sh count");
    let mut script = Command::new("env")
        // A shell that was begun with the signal ignored, as in the background of another one, cannot trap it.
        .args(["--default-signal=INT", "script", "-q", "-e", "-c", &line, "/dev/null"])
        .current_dir(place.0.path())
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut keys = script.stdin.take().ok_or("a pipe")?;
    let mut lines = BufReader::new(script.stdout.take().ok_or("a pipe")?);
    let mut all = String::new();
    for (wanted, press) in [("ready", &b"\x03"[..]), ("got 1", b"end\n")] {
        while !all.contains(wanted) {
            if lines.read_line(&mut all)? == 0 {
                return Err(format!("no {wanted}: {all}").into());
            }
        }
        keys.write_all(press)?;
    }
    lines.read_to_string(&mut all)?;
    let status = script.wait()?;
    ensure(all.matches("got ").count() == 1 && all.contains("line end"), &all)?;
    ensure(status.code() == Some(6) && all.contains("denied nothing"), (status, &all))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
