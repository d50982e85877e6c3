//! What real programs call, held against what their files let them call at most: nothing may be missing, and how much
//! is never called is told, beside what a search without a graph finds in the same files.

#![expect(
    clippy::print_stdout,
    reason = "how much is never called is told, beside whether all is well"
)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Failed, Trial};
use recorder::{
    kernel::{Recording, Watch},
    learned,
    scan::{self, Report, Scope, root::Root},
};

use ground::Ground;
use work::Work;

#[path = "scan_truth/arm64.rs"]
mod arm64;
#[path = "shared/built.rs"]
mod built;
#[path = "scan_truth/ground.rs"]
mod ground;
#[path = "scan_truth/work.rs"]
mod work;

const CALLS: Watch = Watch { calls: true, denials: false, accesses: false, permissions: false };

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = match (Ground::root(), Recording::start(CALLS)) {
        (Err(missing), _) => Some(missing),
        (_, Err(refused)) => Some(refused.to_string()),
        (Ok(_), Ok(_)) => None,
    };
    let arm64 = Ground::root().and_then(|_| Ground::root_of_arm64()).err();
    let trial = |of: &str, work: &'static Work, missing: &Option<String>, test: Test| {
        let name = format!("what_{}{of}_calls_is_what_its_files_let_it_call", work.name);
        let shown = missing.as_ref().map_or_else(|| name.clone(), |why| format!("{name} ({why})"));
        Trial::test(shown, move || test(work)).with_ignored_flag(missing.is_some())
    };
    let own = work::ALL.iter().map(|work| trial("", work, &missing, holds));
    let others = arm64::ALL.iter().map(|work| trial("_of_arm64", work, &arm64, holds_of_arm64));
    libtest_mimic::run(&arguments, own.chain(others).collect()).exit_code()
}

type Test = fn(&'static Work) -> Result<(), Failed>;

fn holds(work: &'static Work) -> Result<(), Failed> {
    let root = Ground::root()?;
    compare(work.name, work, &root, |root| record(&root, work))
}

fn holds_of_arm64(work: &'static Work) -> Result<(), Failed> {
    let shown = format!("{} of arm64", work.name);
    compare(&shown, work, &Ground::root_of_arm64()?, |root| arm64::record(&root, work))
}

fn compare(
    shown: &str,
    work: &'static Work,
    root: &Path,
    record: impl FnOnce(PathBuf) -> Result<BTreeSet<&'static str>, String> + Send + 'static,
) -> Result<(), Failed> {
    let report = scan(root, work)?;
    let reachable: BTreeSet<&str> = report.calls.iter().map(|call| call.name).collect();
    // A network of its own is that of the thread which it is made in.
    let root = root.to_owned();
    let recorded = std::thread::spawn(move || record(root));
    let recorded = recorded.join().map_err(|_panic| "the recorder panicked")??;
    let missed: Vec<_> = recorded.difference(&reachable).collect();
    let share = |of: usize| 100 * (recorded.len() - missed.len()) / of.max(1);
    println!(
        "{shown}: {} calls recorded, {} reachable: recall {} %, precision {} %; anywhere in the same files {}: precision {} %; \
         {} places unresolved",
        recorded.len(),
        reachable.len(),
        share(recorded.len()),
        share(reachable.len()),
        report.anywhere,
        share(report.anywhere),
        report.unresolved.len(),
    );
    if recorded.len() < 20 || !missed.is_empty() {
        return Err(format!("called, and not reachable: {missed:?}").into());
    }
    if reachable.len() >= report.anywhere {
        return Err("all that is in the files is reachable: that bounds nothing".into());
    }
    Ok(())
}

fn scan(root: &Path, work: &Work) -> Result<Report, Failed> {
    let entrypoints = work.programs.iter().map(|&program| program.to_owned()).collect();
    Ok(scan::scan(&Root::open(root)?, &Scope { entrypoints, plugins: Vec::new() })?)
}

/// What a program calls while it is put to work.
fn record(root: &Path, work: &Work) -> Result<BTreeSet<&'static str>, String> {
    let ground = Ground::new(root, root, work.user)?;
    (work.prepare)(&ground)?;
    let recording = Recording::start(CALLS).map_err(|error| error.to_string())?;
    let mut running = ground.start(work.command)?;
    (work.clients)(&ground, &running)?;
    let said = running.end()?;
    let slot =
        recording.find(|slot| slot.first == running.pid() && slot.inode == running.namespace);
    let place = slot.map_err(|error| error.to_string())?.ok_or("it was not recorded")?;
    let slot = recording.slot(place).map_err(|error| error.to_string())?.ok_or("no slot")?;
    if recording.lost().namespaces != 0 || slot.overflow != 0 {
        return Err("something was lost".to_owned());
    }
    let calls = slot.workload.by_name(learned::machine());
    calls.into_iter().map(|(_, call)| call.map_err(|n| format!("call {n}: {said}"))).collect()
}
