//! How a command begins, and why it does not.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, process::Command};

use libtest_mimic::Failed;

use crate::place::{NO_FOLDERS, Place, calls, code, ensure, said};

pub(crate) fn missing() -> Result<(), Failed> {
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

pub(crate) fn not_begun() -> Result<(), Failed> {
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

pub(crate) fn broken() -> Result<(), Failed> {
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

pub(crate) fn privileges() -> Result<(), Failed> {
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
        let output = run.current_dir(place.folder()).output()?;
        ensure(code(&output)? == 1 && said(&output).contains("CAP_SYS_ADMIN"), &output)?;
        return ensure(!place.path("ran").exists(), "the command was not run");
    }
    ensure(code(&output)? == 1 && said(&output).contains("CAP_SYS_ADMIN"), &output)
}

pub(crate) fn bases() -> Result<(), Failed> {
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
