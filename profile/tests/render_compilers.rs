//! Gives renderings to the compilers that nodes have: `secilc`, `semodule`, `apparmor_parser`.
//!
//! A test whose compiler this machine lacks is skipped by name.

#![expect(clippy::unwrap_used, reason = "in helpers of tests too")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use tools::Tool;

#[path = "render/apparmor.rs"]
mod apparmor;
#[path = "render/selinux.rs"]
mod selinux;
#[path = "render/tools.rs"]
mod tools;

/// A test by name, and the programs that it needs.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    tools: &'static [Tool],
    run: fn(),
}

/// Lists the tests of a module that need some programs.
macro_rules! cases {
    ($tools:expr; $($name:ident),+ $(,)?) => {
        pub(crate) const CASES: &[crate::Case] = &[$(crate::Case {
            name: concat!(module_path!(), "::", stringify!($name)),
            tools: $tools,
            run: $name,
        }),+];
    };
}
pub(crate) use cases;

fn main() -> ExitCode {
    let cases = selinux::CASES.iter().chain(apparmor::CASES);
    let trials = cases.map(|case| trial(*case)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(case: Case) -> Trial {
    Trial::ignorable_test(case.name.trim_start_matches("render_compilers::"), move || {
        match case.tools.iter().find(|tool| tool.path().is_none()) {
            Some(missing) => Ok(Completion::ignored_with(missing.missing())),
            None => match std::panic::catch_unwind(case.run) {
                Ok(()) => Ok(Completion::Completed),
                Err(panic) => Err(Failed::from(tools::message(panic.as_ref()))),
            },
        }
    })
}
