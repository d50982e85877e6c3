//! Signals and keys, which are the command's.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Stdio},
};

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    place::{NO_FOLDERS, Place, ensure},
    terminal,
};

pub(crate) fn signal() -> Result<(), Failed> {
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

pub(crate) fn key() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    std::fs::write(
        place.path("count"),
        "trap 'n=$((n + 1)); echo \"got $n\"' INT\necho ready\nwhile [ -z \"$n\" ]; do sleep 0.1; done\nread line\necho \"line $line\"\nexit 6\n",
    )?;
    let line = format!("exec {} run --profile profile -- sh count", env!("CARGO_BIN_EXE_cinch"));
    let keys: &[(&str, &[u8])] = &[("ready", b"\x03"), ("got 1", b"end\n")];
    let (all, code) = terminal::run(place.folder(), &line, keys)?;
    ensure(all.matches("got ").count() == 1 && all.contains("line end"), &all)?;
    ensure(code == Some(6) && all.contains("denied nothing"), (code, &all))
}

fn signalled(child: &Child, signal: Signal) -> Result<(), Failed> {
    let process = Pid::from_raw(child.id().try_into()?).ok_or("a process")?;
    Ok(kill_process(process, signal)?)
}
