//! What is denied, and how that is told.

use std::{
    fs::Permissions,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use libtest_mimic::Failed;
use recorder::logs::netlink::Netlink;
use serde_json::Value;

use crate::{
    elf,
    place::{MKDIR, NO_FOLDERS, Place, answering, calls, code, ensure, said},
};

pub(crate) fn allowed() -> Result<(), Failed> {
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

pub(crate) fn denied() -> Result<(), Failed> {
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

pub(crate) fn report_to_a_file() -> Result<(), Failed> {
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

pub(crate) fn without_privileges() -> Result<(), Failed> {
    let place = Place::new(NO_FOLDERS)?;
    let script = "id -u; grep CapEff /proc/self/status; mkdir a";
    let mut run = place.as_nobody(&["run", "--profile", "profile", "--", "sh", "-c", script])?;
    let output = run.output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure(printed.starts_with("65534\nCapEff:\t0000000000000000"), &output)?;
    ensure(said(&output).contains("mkdir  EACCES"), &output)
}

/// What happens to a program whose call is answered so, with somebody asked and without.
pub(crate) fn every_action() -> Result<(), Failed> {
    let action = |action: &str| answering(action, MKDIR);
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
        let output = outer.current_dir(place.folder()).output()?;
        let plain = String::from_utf8_lossy(&output.stdout);
        ensure(plain.trim_end() == expected, (&profile, &output))?;
    }
    // When it is the command itself.
    let place = Place::new(&action("KILL_PROCESS"))?;
    let output = place.run(&[], &["mkdir", "a"]).output()?;
    ensure(code(&output)? == 128 + libc::SIGSYS, &output)?;
    ensure(said(&output).contains("ended by SIGSYS"), &output)
}

pub(crate) fn other_entries() -> Result<(), Failed> {
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
