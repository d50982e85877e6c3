//! Calls that end who makes them, or send a signal: what is heard of them, and what is said where nothing is.

use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use serde_json::Value;

use crate::{
    place::{MKDIR, Place, answering, answers, code, ensure, said},
    programs::{CATCHER, LOSER},
};

pub(crate) fn kills() -> Result<(), Failed> {
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

pub(crate) fn kills_a_thread() -> Result<(), Failed> {
    let place = Place::new(&answering("KILL_THREAD", MKDIR))?;
    let (code, report) = place.own(&[], LOSER)?;
    ensure(code == 5 && answers(&report) == [("mkdir", "KILL_THREAD", 1)], &report)?;
    ensure(report.get("signal").is_none() && !place.path("a").exists(), &report)
}

pub(crate) fn traps() -> Result<(), Failed> {
    let place = Place::new(&answering("TRAP", MKDIR))?;
    let (code, report) = place.own(&[], CATCHER)?;
    let untold = report["untold"].as_str().unwrap_or_default();
    ensure(code == 6 && answers(&report).is_empty() && untold.contains("--log"), &report)?;
    let (code, report) = place.own(&["--log"], CATCHER)?;
    ensure(code == 6 && answers(&report) == [("mkdir", "TRAP", 1)], &report)?;
    ensure(report.get("untold").is_none() && !place.path("a").exists(), &report)
}

pub(crate) fn kills_by_another() -> Result<(), Failed> {
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

pub(crate) fn kills_of_others() -> Result<(), Failed> {
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

pub(crate) fn deaf_nobody() -> Result<(), Failed> {
    let place = Place::new(&answering("KILL_PROCESS", MKDIR))?;
    let mut run = place.as_nobody(&["run", "--profile", "profile", "--", "mkdir", "a"])?;
    let output = run.output()?;
    let text = said(&output);
    ensure(code(&output)? == 128 + libc::SIGSYS, &output)?;
    ensure(text.contains("is not known to have denied anything"), &text)?;
    ensure(text.contains("needs CAP_AUDIT_READ: run cinch as root"), &text)
}

pub(crate) fn deaf_namespaces() -> Result<(), Failed> {
    let place = Place::new(&answering("KILL_PROCESS", MKDIR))?;
    let cases = [("--net", "network namespace"), ("--pid", "numbers of processes")];
    for (namespace, told) in cases {
        let run = place.run(&[], &["mkdir", "a"]);
        let mut apart = Command::new("unshare");
        apart.args([namespace, "--fork", "--"]).arg(run.get_program()).args(run.get_args());
        let output = apart.current_dir(place.folder()).output()?;
        ensure(code(&output)? == 128 + libc::SIGSYS, &output)?;
        ensure(said(&output).contains(told), (namespace, &output))?;
    }
    Ok(())
}
