//! `cinch record` of a command, as a person or a script uses it.

use std::{
    fs::Permissions,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitCode, Output, Stdio},
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use recorder::kernel::{Recording, Watch};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

#[path = "shared/terminal.rs"]
mod terminal;

type Test = fn() -> Result<(), Failed>;

/// All of them take some seconds, for which they are alone with the machine or not.
const LIMIT: Duration = Duration::from_mins(8);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Whoever may not load programs here is told so by name.
    let refused = Recording::start(Watch::default()).err().map(|error| error.to_string());
    let none = refused.clone();
    let missing = refused.or_else(|| terminal::missing().map(ToOwned::to_owned));
    let tests: [(&str, Option<String>, Test); 15] = [
        ("a_command_keeps_its_environment_its_folder_and_its_exit_code", none.clone(), kept),
        ("the_profile_alone_is_on_standard_output", none.clone(), standard_output),
        ("a_command_that_is_not_there_gives_127", none.clone(), missing_command),
        ("what_is_of_no_use_is_refused_before_the_command_runs", none.clone(), refused_early),
        ("a_signal_reaches_the_command_and_ends_both", none.clone(), signal),
        ("the_first_key_waits_for_the_command_and_what_it_does_then", missing.clone(), first_key),
        ("the_second_key_ends_at_once", missing, second_key),
        ("what_a_command_leaves_is_recorded_until_it_ends", none.clone(), left_behind),
        ("after_its_time_what_was_seen_is_written", none.clone(), duration),
        ("namespaces_that_a_command_makes_are_recorded_too", none.clone(), namespaces),
        ("where_processes_are_counted_anew_a_command_is_recorded", none.clone(), counted_anew),
        ("mounts_are_as_without_us", none.clone(), mounts),
        ("a_command_runs_as_the_user_that_was_named", none.clone(), user),
        ("the_capability_that_is_missing_is_named", none.clone(), capabilities),
        ("apparmor_and_seccomp_in_one_file", none, all_kinds),
    ];
    // Whoever waits here waits for a bug.
    std::thread::spawn(|| {
        std::thread::park_timeout(LIMIT);
        // The last test that was named is the one.
        std::process::abort();
    });
    let trials = tests.map(|(name, missing, test)| {
        let shown =
            missing.as_ref().map_or_else(|| name.to_owned(), |why| format!("{name} ({why})"));
        Trial::test(shown, test).with_ignored_flag(missing.is_some())
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn ensure(condition: bool, what: impl std::fmt::Debug) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(format!("{what:?}").into()) }
}

fn code(output: &Output) -> Result<i32, Failed> {
    Ok(output.status.code().ok_or_else(|| format!("{output:?}"))?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder in which everybody may write.
struct Place(TempDir);

impl Place {
    fn new() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777))?;
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `cinch record` with these arguments.
    fn record(&self, arguments: &[&str]) -> Command {
        let mut record = Command::new(env!("CARGO_BIN_EXE_cinch"));
        record.arg("record").args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        record
    }

    /// Of a shell's script, into a file.
    fn shell(&self, script: &str) -> Command {
        self.record(&[
            "--format", "raw", "--base", "none", "-o", "profile", "--", "sh", "-c", script,
        ])
    }

    /// Whether the recorded profile allows a call.
    fn allows(&self, call: &str) -> Result<bool, Failed> {
        let filter: profile::render::seccomp::Filter =
            serde_json::from_slice(&std::fs::read(self.path("profile"))?)?;
        Ok(filter.syscalls.iter().any(|rule| rule.names.iter().any(|name| name == call)))
    }

    /// Lets go who waits for a line of a pipe, if somebody still does.
    fn go(&self, name: &str) -> Result<(), Failed> {
        // Whoever opens it for both does not wait for another.
        let mut pipe = std::fs::File::options().read(true).write(true).open(self.path(name))?;
        Ok(pipe.write_all(b"\n")?)
    }

    fn pipe(&self, name: &str) -> Result<(), Failed> {
        Ok(rustix::fs::mkfifoat(rustix::fs::CWD, self.path(name), rustix::fs::Mode::RWXU)?)
    }
}

/// Waits for the line that says that a command is ready.
fn ready(child: &mut Child) -> Result<BufReader<ChildStdout>, Failed> {
    let mut lines = BufReader::new(child.stdout.take().ok_or("a pipe")?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    ensure(line.trim_end() == "ready", &line)?;
    Ok(lines)
}

fn kept() -> Result<(), Failed> {
    let place = Place::new()?;
    let output = place
        .shell("printf '%s ' \"$VARIABLE\" \"$(pwd)\" \"$(cat)\"; exit 7")
        .env("VARIABLE", "kept")
        .output()?;
    ensure(code(&output)? == 7, &output)?;
    let folder = place.0.path().canonicalize()?;
    ensure(output.stdout == format!("kept {}  ", folder.display()).as_bytes(), &output)?;
    ensure(said(&output).contains("nothing lost"), &output)?;
    let killed = place.shell("kill -KILL $$").output()?;
    ensure(code(&killed)? == 128 + libc::SIGKILL, &killed)
}

fn standard_output() -> Result<(), Failed> {
    let place = Place::new()?;
    let output =
        place.record(&["--format", "raw", "--", "sh", "-c", "echo of the command"]).output()?;
    serde_json::from_slice::<serde_json::Value>(&output.stdout)?;
    ensure(said(&output).contains("of the command"), &output)
}

fn missing_command() -> Result<(), Failed> {
    let place = Place::new()?;
    let output = place.record(&["-o", "profile", "--", "there-is-no-such-program"]).output()?;
    ensure(code(&output)? == 127 && said(&output).contains("there is no such program"), &output)?;
    ensure(!place.path("profile").exists(), "nothing was recorded")
}

fn refused_early() -> Result<(), Failed> {
    let place = Place::new()?;
    let cases = [
        (&["-o", "none/profile"][..], "none/profile"),
        (&["--kind", "all", "--format", "raw"], "--kind"),
        (&["--user", "nobody-has-this-name"], "there is no user"),
        (&["--kind", "selinux"], "SELinux"),
    ];
    let selinux = recorder::selinuxfs::is_on();
    for (flags, told) in cases.into_iter().filter(|(_, told)| !(selinux && *told == "SELinux")) {
        let arguments: Vec<_> = flags.iter().copied().chain(["--", "touch", "ran"]).collect();
        let output = place.record(&arguments).output()?;
        ensure(code(&output)? == 1 && said(&output).contains(told), &output)?;
        ensure(!place.path("ran").exists(), flags)?;
    }
    Ok(())
}

fn signal() -> Result<(), Failed> {
    let place = Place::new()?;
    let script = "trap 'mkdir a; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    let mut child = place.shell(script).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let _lines = ready(&mut child)?;
    kill_process(Pid::from_raw(child.id().try_into()?).ok_or("a process")?, Signal::TERM)?;
    ensure(child.wait()?.code() == Some(9), "the command's own code")?;
    ensure(place.allows("mkdir")?, "what it did at the end is part of it")
}

/// A script on a terminal: what is pressed after what was shown, all that was shown, and the exit code.
fn on_a_terminal(
    place: &Place,
    script: &str,
    keys: &[(&str, &[u8])],
) -> Result<(String, Option<i32>), Failed> {
    std::fs::write(place.path("script"), script)?;
    let own = env!("CARGO_BIN_EXE_cinch");
    let line = format!("exec {own} record --format raw --base none -o profile -- sh script");
    terminal::run(place.0.path(), &line, keys)
}

fn first_key() -> Result<(), Failed> {
    let place = Place::new()?;
    let script = "trap 'mkdir a; exit 5' INT\necho ready\nwhile :; do sleep 0.1; done\n";
    let (all, code) = on_a_terminal(&place, script, &[("1 process, ", b""), ("ready", b"\x03")])?;
    ensure(code == Some(5) && all.contains("nothing lost"), (code, &all))?;
    ensure(all.contains("ending with the command"), &all)?;
    ensure(place.allows("mkdir")?, "what it did at the end is part of it")
}

fn second_key() -> Result<(), Failed> {
    let place = Place::new()?;
    place.pipe("go")?;
    let script = "trap '' INT\nmkdir a\nexec 3<>go\necho ready\nread line <&3\nmkdir b\n";
    let keys: &[(&str, &[u8])] =
        &[("1 process, ", b""), ("ready", b"\x03"), ("Ctrl-C again", b"\x03")];
    let (all, code) = on_a_terminal(&place, script, keys)?;
    place.go("go")?;
    ensure(code == Some(0) && all.contains("still running: sh["), (code, &all))?;
    ensure(place.allows("mkdir")?, "what was seen until then is written")
}

fn left_behind() -> Result<(), Failed> {
    let place = Place::new()?;
    place.pipe("go")?;
    let script = "(read line <go; mkdir a) >/dev/null 2>&1 & exit 4";
    let mut child = place.shell(script).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("a pipe")?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    ensure(line.contains("the command has ended; waiting for sh["), &line)?;
    std::fs::write(place.path("go"), "\n")?;
    ensure(child.wait()?.code() == Some(4), "the command's own code")?;
    ensure(place.allows("mkdir")?, "what the other did")
}

fn duration() -> Result<(), Failed> {
    let place = Place::new()?;
    place.pipe("go")?;
    let arguments =
        ["--format", "raw", "--base", "none", "-o", "profile", "--duration", "1s", "--"];
    let script = ["sh", "-c", "mkdir a; exec 3<>go 2>/dev/null; read line <&3"];
    let all: Vec<_> = arguments.into_iter().chain(script).collect();
    let output = place.record(&all).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let output = output.wait_with_output();
    place.go("go")?;
    let output = output?;
    ensure(code(&output)? == 0 && said(&output).contains("still running: sh["), &output)?;
    ensure(place.allows("mkdir")?, "what was seen until then")
}

fn namespaces() -> Result<(), Failed> {
    let place = Place::new()?;
    // The one ends before anybody can have looked at it, and the other is made in a third.
    let script = "unshare -m mkdir a; unshare -m sh -c 'unshare -m ln a/x b'; true";
    let output = place.shell(script).output()?;
    ensure(code(&output)? == 0, &output)?;
    for call in ["mkdir", "unshare", "linkat"] {
        ensure(place.allows(call)?, call)?;
    }
    Ok(())
}

fn counted_anew() -> Result<(), Failed> {
    let place = Place::new()?;
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc", env!("CARGO_BIN_EXE_cinch"), "record"]);
    unshare.args(["--kind", "all", "--output", "profile", "--", "sh", "-c"]);
    // The other one is counted anew once more.
    unshare.arg("mkdir a; unshare --pid --fork ln -s a b").current_dir(place.0.path());
    let output = unshare.output()?;
    ensure(code(&output)? == 0 && said(&output).contains("nothing lost"), &output)?;
    let profile = std::fs::read_to_string(place.path("profile"))?;
    let folder = place.0.path().display();
    // Names are relative to the folder of a process that is known by its number.
    for what in ["- mkdir".to_owned(), "- symlinkat".to_owned(), format!("{folder}/a/")] {
        ensure(profile.contains(&what), (&what, &profile))?;
    }
    Ok(())
}

fn mounts() -> Result<(), Failed> {
    let place = Place::new()?;
    for name in ["ours", "theirs"] {
        std::fs::create_dir(place.path(name))?;
    }
    let own = env!("CARGO_BIN_EXE_cinch");
    // In namespaces of the test's own, with and without us: what a command mounts where mounts are shared is seen outside.
    for record in ["", &format!("{own} record -o profile --")] {
        for (sharing, seen) in
            [("make-shared", "yes"), ("make-private", if record.is_empty() { "yes" } else { "no" })]
        {
            let script = format!(
                "mount -t tmpfs none ours && mount --{sharing} ours && mkdir ours/in && \
                 {record} mount -t tmpfs none ours/in 2>/dev/null && touch ours/in/file && \
                 if grep -q ours/in /proc/self/mounts; then echo yes; else echo no; fi"
            );
            let mut unshare = Command::new("unshare");
            unshare.args(["-m", "sh", "-c", &script]).current_dir(place.0.path());
            let output = unshare.output()?;
            let shown = String::from_utf8_lossy(&output.stdout);
            ensure(shown.trim_end() == seen, (record, sharing, &output))?;
        }
    }
    let script = "cat /proc/self/mountinfo";
    let without = Command::new("sh").args(["-c", script]).output()?;
    let with = place.shell(script).output()?;
    // The numbers of mounts are others; where they are, what is mounted and how it is shared is the same.
    let places = |output: &Output| -> Vec<String> {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut places: Vec<_> = text
            .lines()
            .map(|line| line.split(' ').skip(2).collect::<Vec<_>>().join(" "))
            .collect();
        // They are listed in another order.
        places.sort_unstable();
        places
    };
    ensure(places(&with) == places(&without), (&with, &without))
}

fn user() -> Result<(), Failed> {
    let place = Place::new()?;
    let script = "id -u; id -g; printf '%s\\n' \"$VARIABLE\"; grep CapEff /proc/self/status";
    let arguments = ["--user", "nobody", "-o", "profile", "--", "sh", "-c", script];
    let output = place.record(&arguments).env("VARIABLE", "kept").output()?;
    let shown = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = shown.lines().collect();
    ensure(lines == ["65534", "65534", "kept", "CapEff:\t0000000000000000"], &output)?;
    ensure(said(&output).contains("nothing lost"), &output)
}

/// With all capabilities but some.
fn without(place: &Place, capabilities: &str, arguments: &[&str]) -> Result<Output, Failed> {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--bounding-set", capabilities, "--", env!("CARGO_BIN_EXE_cinch"), "record"]);
    Ok(setpriv.args(arguments).current_dir(place.0.path()).output()?)
}

fn capabilities() -> Result<(), Failed> {
    let place = Place::new()?;
    let command = ["-o", "profile", "--", "touch", "ran"];
    for (dropped, lacks) in [
        // The one includes the others.
        ("-sys_admin,-bpf", "lacks CAP_BPF:"),
        ("-sys_admin,-perfmon", "lacks CAP_PERFMON:"),
        ("-sys_admin,-bpf,-perfmon", "lacks CAP_BPF and CAP_PERFMON:"),
        ("-sys_admin", "lacks CAP_SYS_ADMIN:"),
    ] {
        let output = without(&place, dropped, &command)?;
        ensure(code(&output)? == 1 && said(&output).contains(lacks), (dropped, &output))?;
        ensure(!place.path("ran").exists(), dropped)?;
    }
    let named = ["--user", "nobody", "-o", "profile", "--", "touch", "ran"];
    let output = without(&place, "-setuid", &named)?;
    ensure(said(&output).contains("lacks CAP_SETUID:"), &output)?;
    // Somebody else's process.
    let mut other = Command::new("unshare");
    other.args(["-m", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut other = other.spawn()?;
    let output = without(
        &place,
        "-sys_ptrace",
        &["--pid", &other.id().to_string(), "-o", "profile", "--duration", "1s"],
    );
    drop(other.stdin.take());
    other.wait()?;
    let output = output?;
    ensure(said(&output).contains("lacks CAP_SYS_PTRACE:"), &output)?;
    // Nobody at all.
    let program = place.path("cinch");
    std::fs::copy(env!("CARGO_BIN_EXE_cinch"), &program)?;
    std::fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    let mut nobody = Command::new(program);
    nobody.args(["record", "--", "touch", "ran"]).current_dir(place.0.path()).uid(65534).gid(65534);
    let output = nobody.output()?;
    ensure(code(&output)? == 1 && said(&output).contains("lacks CAP_BPF and CAP_PERFMON:"), &output)
}

fn all_kinds() -> Result<(), Failed> {
    let place = Place::new()?;
    let kind = if recorder::selinuxfs::is_on() { "all" } else { "apparmor" };
    let output =
        place.record(&["--kind", kind, "-o", "profile", "--", "cat", "/etc/passwd"]).output()?;
    ensure(code(&output)? == 0, &output)?;
    let text = std::fs::read_to_string(place.path("profile"))?;
    ensure(text.contains("kind: AppArmorProfile") && text.contains("/etc/passwd"), &text)
}
