//! However many namespaces there were, and whoever was reading meanwhile: nothing that was done in them is lost.

use std::{
    collections::HashSet,
    env,
    io::{self, Write as _},
    process::{Child, Command, ExitCode, Stdio},
};

use libtest_mimic::{Arguments, Failed};
use profile::kinds::seccomp::Arch;
use recorder::kernel::{Recording, Slot, Watch};

/// Set: this process is to go through that many namespaces, one after the other.
const NAMESPACES: &str = "CINCH_TEST_NAMESPACES";

const CALLS: Watch = Watch { calls: true, denials: false, accesses: false, permissions: false };

#[path = "shared/trials.rs"]
mod trials;

use trials::Test;

fn main() -> ExitCode {
    // One after the other: each records the namespaces of all.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    if let Some(count) = env::var(NAMESPACES).ok().and_then(|count| count.parse().ok()) {
        return match visit(count) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _nobody_reads = writeln!(io::stderr(), "{error}");
                ExitCode::FAILURE
            }
        };
    }
    // Whoever may not load programs here is told so by name.
    let refused = Recording::start(Watch::default()).err().map(|error| error.to_string());
    let tests: [(&str, Test); 2] = [
        ("ten_thousand_namespaces_with_nobody_reading", ten_thousand_with_nobody_reading),
        ("more_namespaces_than_there_are_slots_while_they_are_given_back", more_than_slots),
    ];
    trials::run(&arguments, tests, refused.as_deref())
}

/// Makes a namespace, does one thing in it, and leaves it for the next.
#[expect(unsafe_code, reason = "there is no safe form of unshare")]
fn visit(count: u32) -> io::Result<()> {
    for _ in 0..count {
        // SAFETY: the call takes a number, and this process has one thread.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return Err(io::Error::last_os_error());
        }
        rustix::process::getgroups()?;
    }
    Ok(())
}

fn visitor(count: u32) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .env(NAMESPACES, count.to_string())
        .stdout(Stdio::null())
        .spawn()
}

fn ensure(condition: bool, what: &str) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into()) }
}

/// Whether what was done there is in the slot: it comes from a program outside, and is so far set-up.
fn is_whole(slot: &Slot) -> bool {
    slot.setup.by_name(Arch::X86_64).contains(&(Arch::X86_64, Ok("getgroups")))
}

fn ten_thousand_with_nobody_reading() -> Result<(), Failed> {
    const COUNT: u32 = 10_000;
    let recording = Recording::start(CALLS)?;
    let mut visitor = visitor(COUNT)?;
    let first = u64::from(visitor.id());
    ensure(visitor.wait()?.success(), "it goes through them")?;
    let mut namespaces = HashSet::new();
    for slot in recording.slots() {
        let (_, slot) = slot?;
        if slot.first == first {
            ensure(is_whole(&slot), "what was done is there")?;
            ensure(namespaces.insert(slot.namespace), "a namespace has one slot")?;
        }
    }
    let (recorded, lost) = (namespaces.len(), recording.lost());
    ensure(recorded == COUNT as usize, &format!("{recorded} were recorded, and {lost:?}"))?;
    ensure(lost.namespaces == 0, "nothing is said to be lost")
}

fn more_than_slots() -> Result<(), Failed> {
    const COUNT: u32 = 24_000;
    let mut recording = Recording::start(CALLS)?;
    let mut visitor = visitor(COUNT)?;
    let first = u64::from(visitor.id());
    let mut namespaces = HashSet::new();
    loop {
        // Before they are looked at: then all of them are seen the last time.
        let ended = visitor.try_wait()?;
        let mut there: Vec<_> = recording.slots().collect::<Result<_, _>>()?;
        there.retain(|(_, slot)| slot.first == first);
        there.sort_by_key(|(_, slot)| slot.since);
        if ended.is_none() {
            // It still is in the newest one.
            there.pop();
        }
        let gone: Vec<_> = there.iter().map(|(place, slot)| (*place, slot.namespace)).collect();
        let last = recording.release(&gone)?;
        ensure(last.len() == gone.len(), "each is given back once")?;
        for slot in last {
            ensure(is_whole(&slot), "what was done is there")?;
            ensure(namespaces.insert(slot.namespace), "a namespace has one slot")?;
        }
        if let Some(status) = ended {
            ensure(status.success(), "it goes through them")?;
            break;
        }
    }
    let (recorded, lost) = (namespaces.len(), recording.lost());
    ensure(recorded == COUNT as usize, &format!("{recorded} were recorded, and {lost:?}"))?;
    ensure(lost.namespaces == 0, "nothing is said to be lost")
}
