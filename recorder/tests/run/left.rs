//! What a command begins and leaves, and who answers it.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use libtest_mimic::Failed;
use serde_json::Value;

use crate::place::{NO_FOLDERS, Place, calls, code, ensure, said};

pub(crate) fn children() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let script = "mkdir a; (mkdir b; sh -c 'mkdir c & wait'); setsid sh -c 'mkdir d'; wait";
    let (_, _, report) = place.report(&[], script)?;
    ensure(calls(&report) == [("mkdir", 4)], &report)
}

pub(crate) fn left_is_waited_for() -> Result<(), Failed> {
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

pub(crate) fn left_goes_on() -> Result<(), Failed> {
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

pub(crate) fn killed() -> Result<(), Failed> {
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

pub(crate) fn second_listener() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let inside = [env!("CARGO_BIN_EXE_cinch"), "run", "--profile", "profile", "--", "mkdir", "a"];
    let output = place.run(&["-q"], &inside).output()?;
    let text = said(&output);
    ensure(code(&output)? == 1 && text.contains("Permission denied"), &output)?;
    ensure(text.contains("is not known: somebody else is asked"), &output)?;
    // Its own filter has answered, and nobody was asked.
    ensure(text.contains("cinch: the profile profile denied nothing"), &output)
}
