//! What can befall a node: full disks, kills, hands that change files. The program itself, below a folder of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};
use needs::Need;

mod apparmor;
mod daemon;
mod duplicates;
mod former;
mod full_disk;
mod hands;
mod killed;
mod listing;
mod manifests;
mod needs;
mod node;
mod programs;
mod read_only;
mod refused;
mod removal;
mod restart;
mod selinux;

/// A test by name, and what it needs of the machine.
#[derive(Clone, Copy)]
struct Test {
    name: &'static str,
    needs: &'static [Need],
    run: fn(),
}

/// Lists the tests of a module.
macro_rules! tests {
    ($needs:expr; $($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[crate::Test] = &[$(crate::Test {
            name: concat!(module_path!(), "::", stringify!($name)),
            needs: $needs,
            run: $name,
        }),+];
    };
}
pub(crate) use tests;

const ALL: &[&[Test]] = &[
    apparmor::TESTS,
    duplicates::TESTS,
    former::TESTS,
    full_disk::TESTS,
    hands::TESTS,
    killed::TESTS,
    manifests::TESTS,
    read_only::TESTS,
    refused::TESTS,
    removal::TESTS,
    restart::TESTS,
    selinux::TESTS,
];

fn main() -> ExitCode {
    let trials = ALL.iter().copied().flatten().map(|test| trial(*test)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(test: Test) -> Trial {
    Trial::ignorable_test(test.name.trim_start_matches("faults::"), move || {
        if let Some(missing) = test.needs.iter().find_map(|need| need.missing()) {
            return Ok(Completion::ignored_with(missing));
        }
        (test.run)();
        Ok(Completion::Completed)
    })
}
