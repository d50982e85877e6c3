//! What is pinned in a BPF file system outlives whoever began it.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use aya::programs::{
    links::{FdLink, PinnedLink},
    loaded_links, loaded_programs,
};
use libtest_mimic::{Arguments, Failed};
use profile::kinds::seccomp::Arch;
use recorder::{
    apart,
    kernel::{KernelError, Recording, Slot, Watch},
    seen::Access,
};

/// Set: this process has mounts of its own, and a BPF file system here.
const BPFFS: &str = "CINCH_TEST_BPFFS";
/// Set: this process is to record, pinned there, and to do what its standard input says.
const RECORD: &str = "CINCH_TEST_RECORD";
/// Set: not only calls.
const WHAT: &str = "CINCH_TEST_WHAT";

const CALLS: Watch = Watch { calls: true, denials: false, accesses: false, permissions: false };
const DENIALS: Watch = Watch { denials: true, ..CALLS };
const BOTH: Watch = Watch { accesses: true, ..CALLS };
const ACCESSES: Watch = Watch { calls: false, accesses: true, ..CALLS };

#[path = "pinned/former.rs"]
mod former;
#[path = "shared/trials.rs"]
mod trials;

use trials::Test;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match (env::var_os(RECORD), env::var_os(BPFFS)) {
        (Some(folder), _) => return exit_code(record(Path::new(&folder))),
        (None, None) if !arguments.list => return exit_code(with_bpffs()),
        _ => {}
    }
    // Whoever may not load programs here is told so by name.
    let refused = Recording::start(Watch::default()).err().map(|error| error.to_string());
    let tests: [(&str, Test); 11] = [
        ("what_happens_while_nobody_is_there_is_recorded", what_happens_meanwhile_is_recorded),
        ("what_is_watched_can_be_changed_and_nothing_is_forgotten", what_is_watched_can_be_changed),
        ("what_is_loaded_runs_when_it_is_told_to", what_is_loaded_runs_when_it_is_told_to),
        ("whoever_was_killed_while_beginning_is_no_hindrance", a_half_made_folder_is_no_hindrance),
        (
            "what_another_version_has_recorded_is_given_until_it_is_kept",
            former::another_versions_is_given_until_kept,
        ),
        (
            "what_was_put_aside_in_part_is_put_aside_wholly",
            former::what_was_put_aside_in_part_is_put_aside_wholly,
        ),
        ("what_cannot_be_read_is_no_hindrance", former::what_cannot_be_read_is_no_hindrance),
        ("a_folder_that_is_not_of_a_bpf_file_system_is_refused", a_usual_folder_is_refused),
        ("accesses_are_told_again_until_they_are_kept", accesses_are_told_until_kept),
        ("nothing_is_attached_when_a_recording_has_ended", nothing_is_attached_after_a_recording),
        ("nothing_is_attached_when_what_was_pinned_has_ended", nothing_is_attached_after_unpin),
    ];
    trials::run(&arguments, tests, refused.as_deref())
}

fn exit_code(done: Result<ExitCode, Failed>) -> ExitCode {
    done.unwrap_or_else(|failed| {
        let _nobody_reads = writeln!(std::io::stderr(), "{}", failed.message().unwrap_or_default());
        ExitCode::FAILURE
    })
}

/// Runs this again where a BPF file system is mounted that nobody else sees, and that goes with the process.
fn with_bpffs() -> Result<ExitCode, Failed> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"mount --make-rprivate / && mount -t bpf bpf "$0"; exec "$@""#])
        .arg(folder.path())
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(BPFFS, folder.path());
    // Who may not have mounts of its own may not load programs either, and says so.
    let status = match apart::start(&mut command) {
        Ok(mut child) => child.wait()?,
        Err(_) => Command::new(env::current_exe()?)
            .args(env::args_os().skip(1))
            .env(BPFFS, "")
            .status()?,
    };
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Records until it is killed, or told to stop; then it waits once more.
fn record(folder: &Path) -> Result<ExitCode, Failed> {
    let recording = if folder.as_os_str().is_empty() {
        Recording::start(DENIALS)?
    } else {
        Recording::pinned(folder, if env::var_os(WHAT).is_some() { BOTH } else { DENIALS })?
    };
    let said = |line: &str| writeln!(std::io::stdout(), "{line}");
    said("recording")?;
    std::io::stdin().read_line(&mut String::new())?;
    drop(recording);
    said("not recording")?;
    std::io::stdin().read_line(&mut String::new())?;
    Ok(ExitCode::SUCCESS)
}

/// This program, recording in a process of its own.
fn recorder(folder: &Path) -> Result<Child, Failed> {
    started(Command::new(env::current_exe()?).env(RECORD, folder))
}

/// The same, which records accesses as well.
fn recorder_of_accesses(folder: &Path) -> Result<Child, Failed> {
    started(Command::new(env::current_exe()?).env(RECORD, folder).env(WHAT, "accesses"))
}

fn started(command: &mut Command) -> Result<Child, Failed> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    says(&mut child, "recording")?;
    Ok(child)
}

fn says(child: &mut Child, line: &str) -> Result<(), Failed> {
    let mut said = String::new();
    BufReader::new(child.stdout.as_mut().ok_or("no standard output")?).read_line(&mut said)?;
    ensure(said.trim() == line, &format!("it says {said}"))
}

fn ensure(condition: bool, what: &str) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into()) }
}

/// A folder for a test, not made yet.
fn folder(name: &str) -> Result<PathBuf, Failed> {
    Ok(Path::new(&env::var_os(BPFFS).ok_or("no BPF file system")?).join(name))
}

/// Runs a command in a namespace of its own, and gives its process.
fn run(script: &str) -> Result<u64, Failed> {
    let mut child = apart::start(Command::new("/bin/sh").args(["-c", script]))?;
    child.wait()?;
    Ok(child.id().into())
}

fn slot(recording: &Recording, first: u64) -> Result<Slot, Failed> {
    for slot in recording.slots() {
        let (_, slot) = slot?;
        if slot.first == first {
            return Ok(slot);
        }
    }
    Err("it was not recorded".into())
}

fn has(slot: &Slot, name: &'static str) -> bool {
    slot.workload.by_name(Arch::X86_64).contains(&(Arch::X86_64, Ok(name)))
}

fn what_happens_meanwhile_is_recorded() -> Result<(), Failed> {
    let folder = folder("meanwhile")?;
    let mut recorder = recorder(&folder)?;
    let before = run("mkdir /tmp/cinch-$$; rmdir /tmp/cinch-$$")?;
    recorder.kill()?;
    recorder.wait()?;
    let mut meanwhile = Vec::new();
    for _ in 0..50 {
        meanwhile.push(run("cd /; kill -0 $$")?);
    }
    let recording = Recording::pinned(&folder, DENIALS)?;
    ensure(has(&slot(&recording, before)?, "mkdir"), "what was recorded before is there")?;
    for first in meanwhile {
        let slot = slot(&recording, first)?;
        ensure(has(&slot, "kill") && has(&slot, "chdir"), "what nobody was there for is there")?;
    }
    let after = run("cd /")?;
    ensure(has(&slot(&recording, after)?, "chdir"), "and it goes on")?;
    ensure(recording.lost().namespaces == 0, "nothing is lost")?;
    drop(recording);
    Ok(Recording::unpin(&folder)?)
}

fn what_is_watched_can_be_changed() -> Result<(), Failed> {
    let folder = folder("change")?;
    let program = |name: &str| -> Result<u32, Failed> {
        Ok(FdLink::from(PinnedLink::from_pin(folder.join(name))?).info()?.program_id())
    };
    drop(Recording::pinned(&folder, CALLS)?);
    let first = run("cd /")?;
    let old = program("link_sys_enter")?;
    ensure(!folder.join("link_sys_exit").exists(), "denials are not watched")?;
    // While the other one is still there.
    let recording = Recording::pinned(&folder, DENIALS)?;
    ensure(folder.join("link_sys_exit").exists(), "denials are watched")?;
    ensure(program("link_sys_enter")? != old, "the program is another one")?;
    let changed = Recording::pinned(&folder, CALLS)?;
    ensure(!folder.join("link_sys_exit").exists(), "denials are not watched any more")?;
    let second = run("cd /")?;
    for recording in [&recording, &changed] {
        for first in [first, second] {
            ensure(has(&slot(recording, first)?, "chdir"), "nothing is forgotten")?;
        }
    }
    Ok(Recording::unpin(&folder)?)
}

fn what_is_loaded_runs_when_it_is_told_to() -> Result<(), Failed> {
    let folder = folder("ready")?;
    let mut recording = Recording::ready_pinned(&folder, DENIALS)?;
    ensure(links(&folder)? == 0, "nothing runs that is only loaded")?;
    ensure(recording.slots().next().is_none(), "nothing is recorded")?;
    for _ in 0..2 {
        recording.run(CALLS)?;
        ensure(links(&folder)? == 2, "what records calls runs")?;
        let first = run("cd /")?;
        ensure(has(&slot(&recording, first)?, "chdir"), "it is recorded")?;
        recording.run(DENIALS)?;
        ensure(links(&folder)? == 3, "and what records denials")?;
        recording.run(Watch::default())?;
        ensure(links(&folder)? == 0, "nothing runs any more")?;
        let first = run("cd /")?;
        ensure(slot(&recording, first).is_err(), "it is not recorded")?;
    }
    drop(recording);
    // One that only loads ends nothing.
    drop(Recording::pinned(&folder, CALLS)?);
    let ready = Recording::ready_pinned(&folder, DENIALS)?;
    ensure(links(&folder)? == 2, "what ran goes on")?;
    let first = run("cd /")?;
    ensure(has(&slot(&ready, first)?, "chdir"), "and is found")?;
    drop(ready);
    Ok(Recording::unpin(&folder)?)
}

fn a_half_made_folder_is_no_hindrance() -> Result<(), Failed> {
    let folder = folder("half")?;
    drop(Recording::pinned(&folder, CALLS)?);
    fs::rename(folder.join("link_sys_enter"), folder.join("new_link"))?;
    let recording = Recording::pinned(&folder, CALLS)?;
    ensure(!folder.join("new_link").exists(), "what was left is removed")?;
    let first = run("cd /")?;
    ensure(has(&slot(&recording, first)?, "chdir"), "it is recorded")?;
    Ok(Recording::unpin(&folder)?)
}

/// How many programs are pinned in a folder.
fn links(folder: &Path) -> Result<usize, Failed> {
    let mut links = 0;
    for entry in fs::read_dir(folder)? {
        links += usize::from(entry?.file_name().to_string_lossy().starts_with("link_"));
    }
    Ok(links)
}

fn a_usual_folder_is_refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for path in [folder.path().to_owned(), folder.path().join("new")] {
        match Recording::pinned(&path, CALLS) {
            Err(KernelError::NotBpffs(_)) => {}
            other => return Err(format!("{}: {other:?}", path.display()).into()),
        }
    }
    ensure(fs::read_dir(folder.path())?.next().is_none(), "nothing is made there")?;
    ensure(Recording::unpin(&folder.path().join("new")).is_ok(), "nothing is there to be ended")
}

/// What is told of the namespace of this first process.
fn told(recording: &mut Recording, first: u64) -> Result<BTreeSet<Access>, Failed> {
    let own = slot(recording, first)?.namespace;
    let mut told = BTreeSet::new();
    recording.accesses(&mut |namespace, access| {
        if namespace == own {
            told.insert(access);
        }
    });
    Ok(told)
}

fn accesses_are_told_until_kept() -> Result<(), Failed> {
    let folder = folder("kept")?;
    let mut recording = Recording::pinned(&folder, ACCESSES)?;
    let first = run("cat /etc/passwd >/dev/null")?;
    let all = told(&mut recording, first)?;
    let is_it =
        |access: &Access| matches!(access, Access::File { path, .. } if path == "/etc/passwd");
    ensure(all.iter().any(is_it), "the file is told")?;
    ensure(told(&mut recording, first)?.is_empty(), "nothing is told twice by one recording")?;
    // As if it had been killed before it could keep them.
    drop(recording);
    let mut recording = Recording::pinned(&folder, ACCESSES)?;
    ensure(told(&mut recording, first)? == all, "all is told again to the next one")?;
    recording.kept()?;
    let second = run("cat /etc/group >/dev/null")?;
    drop(recording);
    let mut recording = Recording::pinned(&folder, ACCESSES)?;
    ensure(!told(&mut recording, second)?.is_empty(), "what came after it is told")?;
    drop(recording);
    let mut recording = Recording::pinned(&folder, ACCESSES)?;
    ensure(told(&mut recording, first)?.is_empty(), "what was kept is not told again")?;
    drop(recording);
    Ok(Recording::unpin(&folder)?)
}

/// Ids of the programs and links that a process holds.
fn held(process: u32) -> Result<(BTreeSet<u32>, BTreeSet<u32>), Failed> {
    let (mut programs, mut links) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        for line in fs::read_to_string(entry?.path()).unwrap_or_default().lines() {
            if let Some(id) = line.strip_prefix("prog_id:\t") {
                programs.insert(id.parse()?);
            } else if let Some(id) = line.strip_prefix("link_id:\t") {
                links.insert(id.parse()?);
            }
        }
    }
    Ok((programs, links))
}

/// How many of these the kernel knows.
fn known((programs, links): &(BTreeSet<u32>, BTreeSet<u32>)) -> usize {
    let programs = loaded_programs().flatten().filter(|info| programs.contains(&info.id()));
    programs.count() + loaded_links().flatten().filter(|info| links.contains(&info.id())).count()
}

/// Waits until the kernel, which ends them after a while, knows none of these any more.
fn gone(ids: &(BTreeSet<u32>, BTreeSet<u32>)) -> Result<(), Failed> {
    for _ in 0..500 {
        if known(ids) == 0 {
            return Ok(());
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    Err("something is still attached".into())
}

fn nothing_is_attached_after_a_recording() -> Result<(), Failed> {
    let mut recorder = recorder(Path::new(""))?;
    let ids = held(recorder.id())?;
    ensure(ids.0.len() == 3 && ids.1.len() == 3, "three programs are attached")?;
    ensure(known(&ids) == 6, "they are known while it is recorded")?;
    recorder.stdin.as_mut().ok_or("no standard input")?.write_all(b"stop\n")?;
    says(&mut recorder, "not recording")?;
    gone(&ids)?;
    drop(recorder.stdin.take());
    recorder.wait()?;
    Ok(())
}

fn nothing_is_attached_after_unpin() -> Result<(), Failed> {
    let folder = folder("unpin")?;
    let mut ids = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..2 {
        let recording = Recording::pinned(&folder, DENIALS)?;
        for name in ["link_stack_given", "link_sys_enter", "link_sys_exit"] {
            let link = FdLink::from(PinnedLink::from_pin(folder.join(name))?).info()?;
            ids.0.insert(link.program_id());
            ids.1.insert(link.id());
        }
        drop(recording);
        let first = run("cd /")?;
        let recording = Recording::pinned(&folder, DENIALS)?;
        ensure(has(&slot(&recording, first)?, "chdir"), "they go on when nobody holds them")?;
    }
    ensure(ids.0.len() == 6 && ids.1.len() == 6, "each time they are others")?;
    Recording::unpin(&folder)?;
    ensure(!folder.exists(), "the folder is removed")?;
    gone(&ids)
}
