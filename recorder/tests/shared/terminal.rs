//! A command on a terminal of its own, as a person has it who presses keys.

use std::{
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use libtest_mimic::Failed;

/// What there has to be for that, where it is not there.
pub(crate) fn missing() -> Option<&'static str> {
    Command::new("script").arg("--version").output().is_err().then_some("needs script(1)")
}

/// Runs a shell's line in a folder, and presses each key once what is named before it has been shown; gives all that was shown, and
/// the exit code.
pub(crate) fn run(
    folder: &Path,
    line: &str,
    keys: &[(&str, &[u8])],
) -> Result<(String, Option<i32>), Failed> {
    let mut terminal = Command::new("env")
        // A shell that was begun with the signal ignored, as in the background of another one, cannot trap it.
        .args(["--default-signal=INT", "script", "-q", "-e", "-c", line, "/dev/null"])
        .current_dir(folder)
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = terminal.stdin.take().ok_or("a pipe")?;
    let mut output = terminal.stdout.take().ok_or("a pipe")?;
    let mut all = String::new();
    let mut bytes = [0; 4096];
    for (wanted, press) in keys {
        // The last line need not have ended.
        while !all.contains(wanted) {
            let read = output.read(&mut bytes)?;
            if read == 0 {
                return Err(format!("no {wanted}: {all}").into());
            }
            all.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        input.write_all(press)?;
    }
    output.read_to_string(&mut all)?;
    Ok((all, terminal.wait()?.code()))
}
