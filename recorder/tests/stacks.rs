//! A task is known by its kernel's stack: but it may go to another namespace, end and leave the stack to another one, or
//! outlive the slot that it had.

use std::{
    env,
    fs::File,
    io::{self, Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
};

use libtest_mimic::{Arguments, Failed};
use profile::kinds::seccomp::Arch;
use recorder::{
    apart,
    kernel::{Recording, SLOTS, Slot, Watch},
};

/// Set: this process is to do something.
const ROLE: &str = "CINCH_TEST_ROLE";
/// The namespace that it is to enter.
const THERE: &str = "CINCH_TEST_THERE";

const CALLS: Watch = Watch { calls: true, denials: false, accesses: false, permissions: false };

#[path = "shared/trials.rs"]
mod trials;

use trials::Test;

fn main() -> ExitCode {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    if let Ok(role) = env::var(ROLE) {
        let done = match &*role {
            "enter" => enter(),
            "answer" => answer(),
            "narrow" => narrow(),
            _ => visit(),
        };
        return match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _nobody_reads = writeln!(io::stderr(), "{error}");
                ExitCode::FAILURE
            }
        };
    }
    // Whoever may not load programs here is told so by name.
    let refused = Recording::start(CALLS).err().map(|error| error.to_string());
    let tests: [(&str, Test); 5] = [
        ("who_enters_a_namespace_is_recorded_there_as_long_as_it_stays", who_enters),
        ("who_gets_a_stack_is_not_taken_for_who_had_it", who_gets_a_stack),
        ("a_call_of_another_abi_is_not_taken_for_one_with_its_number", the_other_abi),
        ("who_moves_while_nothing_runs_is_recorded_where_it_is", who_moves),
        ("who_outlives_its_slot_is_not_taken_for_who_gets_that", who_outlives_its_slot),
    ];
    trials::run(&arguments, tests, refused.as_deref())
}

/// A process of this program that does something.
fn role(role: &str) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command)
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null());
    command
}

fn ensure(condition: bool, what: &str) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into()) }
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Who has made it makes no difference here.
fn has(slot: &Slot, name: &'static str) -> bool {
    let own = |calls: &recorder::kernel::Calls| {
        calls.by_name(Arch::X86_64).contains(&(Arch::X86_64, Ok(name)))
    };
    own(&slot.workload) || own(&slot.setup)
}

fn slot_of(recording: &Recording, first: u32) -> Result<(u32, Slot), Failed> {
    let place = recording.find(|slot| slot.first == u64::from(first))?.ok_or("it has no slot")?;
    Ok((place, recording.slot(place)?.ok_or("the slot is empty")?))
}

/// Enters a namespace and comes back, and does in each place what it does nowhere else, after what it does in all.
fn enter() -> io::Result<()> {
    let open = |path: PathBuf| File::open(path);
    let here = open("/proc/self/ns/mnt".into())?;
    let there = open(env::var_os(THERE).ok_or(io::ErrorKind::InvalidInput)?.into())?;
    rustix::process::umask(rustix::fs::Mode::empty());
    for (namespace, back) in [(&there, false), (&here, true)] {
        for _ in 0..2 {
            rustix::process::getgroups()?;
        }
        #[expect(unsafe_code, reason = "the safe form wants another capability set for threads")]
        // SAFETY: the call takes two numbers.
        done(unsafe {
            libc::setns(std::os::fd::AsRawFd::as_raw_fd(namespace), libc::CLONE_NEWNS)
        })?;
        rustix::process::getgroups()?;
        if back {
            rustix::fs::sync();
        } else {
            rustix::process::getpriority_process(None)?;
        }
    }
    Ok(())
}

fn who_enters() -> Result<(), Failed> {
    let recording = Recording::start(CALLS)?;
    let mut there = apart::start(&mut shell("read line"))?;
    // One from the host, and one from a third namespace.
    let mut enter = role("enter")?;
    enter.env(THERE, format!("/proc/{}/ns/mnt", there.id())).stderr(Stdio::piped());
    let host = enter.spawn()?;
    let third = apart::start(&mut enter)?;
    let from = third.id();
    for child in [host, third] {
        let told = child.wait_with_output()?;
        ensure(told.status.success(), &format!("it goes there and back: {told:?}"))?;
    }
    let (_, entered) = slot_of(&recording, there.id())?;
    let (_, left) = slot_of(&recording, from)?;
    drop(there.stdin.take());
    there.wait()?;
    ensure(
        has(&entered, "getgroups") && has(&entered, "getpriority"),
        "what it did there is there",
    )?;
    ensure(!has(&entered, "sync") && !has(&entered, "umask"), "what it did elsewhere is not")?;
    ensure(has(&left, "umask") && has(&left, "sync"), "what it did before and after is where")?;
    ensure(!has(&left, "getpriority"), "what it did meanwhile is not")
}

fn who_gets_a_stack() -> Result<(), Failed> {
    const COUNT: usize = 100;
    let recording = Recording::start(CALLS)?;
    let folder = tempfile::tempdir()?;
    let mut first = Vec::new();
    for _ in 0..COUNT {
        let script = "(mkdir \"$0\"; rmdir \"$0\"); true";
        let mut child = apart::start(shell(script).arg(folder.path().join("apart")))?;
        first.push(child.id());
        child.wait()?;
        // What ends here leaves its stack to the next one.
        shell("(mkfifo \"$0\"; rm \"$0\"); true").arg(folder.path().join("host")).status()?;
    }
    for first in first {
        let (_, slot) = slot_of(&recording, first)?;
        ensure(has(&slot, "mkdir") && has(&slot, "rmdir"), "its own are all there")?;
        ensure(!has(&slot, "mknod") && !has(&slot, "mknodat"), "the host's are not")?;
    }
    Ok(())
}

/// Calls by one number in both ABIs: `writev` in one, `getpid` in the other.
fn narrow() -> io::Result<()> {
    for _ in 0..2 {
        rustix::io::writev(io::stdout(), &[io::IoSlice::new(b"1")])?;
    }
    #[cfg(target_arch = "x86_64")]
    {
        let process: u64;
        #[expect(unsafe_code, reason = "there is no other way into the 32-bit entry")]
        // SAFETY: the call takes nothing, gives a number, and changes no memory; registers that it may not keep are told.
        unsafe {
            std::arch::asm!(
                "int 0x80", inlateout("rax") 20_u64 => process,
                lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _
            );
        }
        assert_eq!(process, u64::from(std::process::id()), "it is getpid there");
    }
    Ok(())
}

fn the_other_abi() -> Result<(), Failed> {
    let recording = Recording::start(CALLS)?;
    let mut narrow = apart::start(role("narrow")?.stdout(Stdio::null()))?;
    ensure(narrow.wait()?.success(), "it calls both")?;
    let (_, slot) = slot_of(&recording, narrow.id())?;
    let calls = slot.workload.by_name(Arch::X86_64);
    ensure(calls.contains(&(Arch::X86_64, Ok("writev"))), "the native one is there")?;
    ensure(calls.contains(&(Arch::X86, Ok("getpid"))), "the other one is there")
}

/// To go to another namespace, and to do something in the one where it is: each before anything else.
const MOVE: u8 = b'm';
const DO: u8 = b'd';

/// Does what it is told to.
#[expect(unsafe_code, reason = "there is no safe form of unshare")]
fn answer() -> io::Result<()> {
    let mut line = [0];
    while io::stdin().read(&mut line)? != 0 {
        if line == [MOVE] {
            // SAFETY: the call takes a number, and this process has one thread.
            done(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        } else {
            rustix::process::getgroups()?;
        }
        io::stdout().write_all(&line)?;
        io::stdout().flush()?;
    }
    Ok(())
}

fn ask(child: &mut Child, what: u8) -> Result<(), Failed> {
    let (asked, answers) = (child.stdin.as_mut(), child.stdout.as_mut());
    asked.ok_or("no standard input")?.write_all(&[what])?;
    Ok(answers.ok_or("no standard output")?.read_exact(&mut [0])?)
}

fn who_moves() -> Result<(), Failed> {
    let mut recording = Recording::start(CALLS)?;
    let mut moving = apart::start(&mut role("answer")?)?;
    for _ in 0..2 {
        ask(&mut moving, DO)?;
    }
    let (_, before) = slot_of(&recording, moving.id())?;
    recording.run(Watch::default())?;
    ask(&mut moving, MOVE)?;
    recording.run(CALLS)?;
    ask(&mut moving, DO)?;
    let after = recording.find(|slot| {
        slot.first == before.first && slot.namespace != before.namespace && has(slot, "getgroups")
    })?;
    drop(moving.stdin.take());
    moving.wait()?;
    ensure(after.is_some(), "it has done it there")
}

/// Does the same in as many namespaces as there are slots, as a workload that is confined.
#[expect(unsafe_code, reason = "there is no safe form of unshare, and none of a filter in bytes")]
fn visit() -> io::Result<()> {
    let allow = libc::sock_filter {
        code: 0x06, // BPF_RET | BPF_K
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    let mut filter = [allow];
    let program = libc::sock_fprog { len: 1, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the one instruction that the program points to.
    done(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) })?;
    for _ in 0..SLOTS {
        // SAFETY: the call takes a number, and this process has one thread.
        done(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        rustix::process::getgroups()?;
    }
    Ok(())
}

/// As many slots as there are namespaces are nearly all taken, but a few of those are too far from where they should be.
const ROUNDS: u32 = 20;

fn who_outlives_its_slot() -> Result<(), Failed> {
    let mut recording = Recording::start(CALLS)?;
    let mut lasting = apart::start(&mut role("answer")?)?;
    ask(&mut lasting, DO)?;
    ask(&mut lasting, DO)?;
    let (place, before) = slot_of(&recording, lasting.id())?;
    ensure(has(&before, "getgroups"), "it has done it")?;
    recording.release(&[(place, before.namespace)])?;
    let mut is_anothers = false;
    for _ in 0..ROUNDS {
        ensure(role("visit")?.status()?.success(), "others come for all slots")?;
        let others: Vec<_> = recording.slots().collect::<Result<_, _>>()?;
        let there = others.iter().find(|(of, _)| *of == place);
        is_anothers = there.is_some_and(|(_, slot)| has(slot, "getgroups"));
        let others = others.iter().filter(|(of, _)| *of != place || !is_anothers);
        recording
            .release(&others.map(|(place, slot)| (*place, slot.namespace)).collect::<Vec<_>>())?;
        if is_anothers {
            break;
        }
    }
    ensure(is_anothers, "one of them has its slot")?;
    ask(&mut lasting, DO)?;
    let after = recording.slots().collect::<Result<Vec<_>, _>>()?;
    let after = after.iter().find(|(_, slot)| slot.namespace == before.namespace);
    drop(lasting.stdin.take());
    lasting.wait()?;
    ensure(after.is_some_and(|(_, slot)| has(slot, "getgroups")), "it has done it again")
}
