//! The programs as they are compiled for arm64, in a kernel of that, which is emulated: does it take them, and what do
//! they record there?

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::OnceLock,
};

use libtest_mimic::{Arguments, Failed};
use profile::kinds::seccomp::Arch;
use recorder::kernel::{Calls, Slot, elsewhere};

use built::built;
use trials::Test;

#[path = "shared/built.rs"]
mod built;
#[path = "shared/trials.rs"]
mod trials;

const EMULATOR: &str = "qemu-system-aarch64";
/// Seconds; it is a few where nothing else runs.
const LIMIT: &str = "300";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let tests: [(&str, Test); 3] = [
        ("the_kernel_of_arm64_takes_the_programs", taken),
        ("calls_are_recorded_by_the_numbers_of_arm64", calls),
        ("accesses_are_told_by_tracepoints_of_arm64", accesses),
    ];
    trials::run(&arguments, tests, missing().as_deref())
}

fn missing() -> Option<String> {
    let runs = |program: &str| {
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    for program in ["clang", EMULATOR] {
        if !runs(program) {
            return Some(format!("needs {program}"));
        }
    }
    built("arm64", "init").and_then(|_| built("programs", "root/bin/busybox")).err()
}

/// What the machine has told, which is asked once for all tests.
fn told() -> Result<&'static [String], Failed> {
    static TOLD: OnceLock<Result<Vec<String>, String>> = OnceLock::new();
    let told = TOLD.get_or_init(|| ask().map_err(|error| format!("{error:?}")));
    Ok(told.as_deref().map_err(ToOwned::to_owned)?)
}

fn ask() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let made = built("arm64", "init")?;
    let folder = tempfile::tempdir()?;
    let inside = folder.path().join("inside");
    for name in ["proc", "sys", "tmp", "srv"] {
        std::fs::create_dir_all(inside.join(name))?;
    }
    for name in ["init", "work"] {
        std::fs::copy(made.join(name), inside.join(name))?;
    }
    std::fs::write(inside.join("calls"), elsewhere::calls(Arch::Aarch64))?;
    compile(&inside.join("recorder.bpf.o"))?;
    let archive = folder.path().join("archive");
    pack(&inside, &archive)?;
    let machine = Command::new("timeout")
        .args([LIMIT, EMULATOR, "-M", "virt", "-cpu", "cortex-a72", "-m", "1024", "-nic", "none"])
        .args(["-nographic", "-no-reboot", "-append", "console=ttyAMA0 quiet panic=-1", "-kernel"])
        .arg(made.join("vmlinuz"))
        .arg("-initrd")
        .arg(archive)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&machine.stdout);
    let lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
    if lines.iter().any(|line| line == "DONE") {
        Ok(lines)
    } else {
        Err(format!("{machine:?}").into())
    }
}

/// As `build.rs` does for the machine that is built for.
fn compile(object: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let flags = ["-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3"];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf/recorder.bpf.c");
    let mut clang = Command::new("clang");
    clang.args(flags).args(["-D__TARGET_ARCH_arm64", "-c", "-o"]).arg(object).arg(source);
    let compiled = clang.status()?;
    if compiled.success() { Ok(()) } else { Err(format!("clang: {compiled}").into()) }
}

/// Makes the archive that the kernel has its first files from.
fn pack(folder: &Path, archive: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let busybox = built("programs", "root/bin/busybox")?.join("root/bin/busybox");
    let mut packing = Command::new(busybox)
        .args(["cpio", "-o", "-H", "newc"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(archive)?)
        .stderr(Stdio::null())
        .spawn()?;
    let names = "proc\nsys\ntmp\nsrv\ninit\nwork\ncalls\nrecorder.bpf.o\n";
    packing.stdin.take().ok_or("no pipe")?.write_all(names.as_bytes())?;
    let packed = packing.wait()?;
    if packed.success() { Ok(()) } else { Err(format!("cpio: {packed}").into()) }
}

fn ensure(condition: bool, what: impl std::fmt::Debug) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(format!("{what:?}").into()) }
}

fn taken() -> Result<(), Failed> {
    let told = told()?;
    let of = |word: &str| -> BTreeSet<&str> {
        told.iter().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).collect()
    };
    // Kernels of that version have no such tracepoint.
    ensure(of("REFUSED") == BTreeSet::from(["access_capable"]), told)?;
    let all = of("TAKEN");
    for name in ["sys_enter", "sys_exit", "stack_given", "hook_file_open", "access_exit"] {
        ensure(all.contains(name), (name, &all))?;
    }
    Ok(())
}

/// The slot of the workload's namespace.
fn slot() -> Result<Slot, Failed> {
    let told = told()?;
    let ended = told.iter().find_map(|line| line.strip_prefix("ENDED ")?.split_once(' '));
    let (process, status) = ended.ok_or_else(|| format!("{told:?}"))?;
    // By the status of wait(2): the filter has refused what it is to refuse.
    ensure(status == (5 << 8).to_string(), ended)?;
    let slots =
        told.iter().filter_map(|line| elsewhere::slot(&bytes(line.strip_prefix("SLOT ")?)?));
    let first: u64 = process.parse()?;
    let mut slots = slots.filter(|slot| slot.first == first);
    Ok(slots.next().ok_or_else(|| format!("{told:?}"))?)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn names(calls: &Calls) -> BTreeSet<&'static str> {
    calls.by_name(Arch::Aarch64).into_iter().filter_map(|(_, name)| name.ok()).collect()
}

fn calls() -> Result<(), Failed> {
    let slot = slot()?;
    let [workload, setup, denied] = [&slot.workload, &slot.setup, &slot.denied].map(names);
    let expected = [
        "mkdirat",
        "renameat",
        "unlinkat",
        "openat",
        "write",
        "symlinkat",
        "socket",
        "bind",
        "listen",
        "connect",
        "mount",
        "umount2",
        "rt_sigaction",
        "kill",
        "prctl",
        "exit_group",
    ];
    for name in expected {
        ensure(workload.contains(name), (name, &workload))?;
    }
    ensure(!workload.contains("mkdir") && !workload.contains("getgroups"), &workload)?;
    // The namespace is made from outside, and left for the workload's own program.
    ensure(setup == BTreeSet::from(["execve"]), &setup)?;
    ensure(denied == BTreeSet::from(["getgroups"]), &denied)
}

fn accesses() -> Result<(), Failed> {
    let told = told()?;
    let events: BTreeSet<_> = told.iter().filter_map(|line| line.strip_prefix("EVENT ")).collect();
    // The kind, the ways (create 16, remove 32, rename 64, write 2, execute and map 8, read 1), and the path: of
    // `bpf/access_event.h`.
    for event in [
        "1 13 /work",
        "2 16 /tmp/made",
        "2 64 /tmp/moved",
        "2 32 /tmp/moved",
        "1 18 /tmp/file",
        "2 16 /tmp/link",
        "1 19 /tmp/socket",
        "7 1 /srvnonetmpfs",
        "8 1 /srv",
    ] {
        ensure(events.contains(event), (event, &events))?;
    }
    Ok(())
}
