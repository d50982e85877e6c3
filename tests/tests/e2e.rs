//! Uses a whole cluster as its users do: pods run on a real node, with real containers.

use std::process::ExitCode;

use anyhow::Result;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tests::{
    machine::{self, Role},
    worker::parts::Parts,
};

use crate::ground::{Ground, Lazy, Skipped};

#[path = "e2e/bind.rs"]
mod bind;
#[path = "e2e/chaos.rs"]
mod chaos;
#[path = "e2e/churn.rs"]
mod churn;
#[path = "e2e/figures.rs"]
mod figures;
#[path = "e2e/ground.rs"]
mod ground;
#[path = "e2e/install.rs"]
mod install;
#[path = "e2e/pods.rs"]
mod pods;
#[path = "e2e/record.rs"]
mod record;
#[path = "e2e/release.rs"]
mod release;
#[path = "e2e/uninstall.rs"]
mod uninstall;
#[path = "e2e/upgrade.rs"]
mod upgrade;
#[path = "e2e/user.rs"]
mod user;
#[path = "e2e/workloads.rs"]
mod workloads;

/// A question by name, and how it is answered.
#[derive(Clone, Copy)]
struct Question {
    name: &'static str,
    ask: for<'a> fn(&'a mut Ground) -> LocalBoxFuture<'a, Result<()>>,
}

/// Lists the questions of a module.
macro_rules! questions {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const QUESTIONS: &[crate::Question] = &[$(crate::Question {
            name: concat!(module_path!(), "::", stringify!($name)),
            ask: |ground| Box::pin($name(ground)),
        }),+];
    };
}
pub(crate) use questions;

/// In this order: the last ones take away what the others need.
const ALL: &[&[Question]] = &[
    pods::QUESTIONS,
    install::QUESTIONS,
    bind::QUESTIONS,
    record::QUESTIONS,
    chaos::QUESTIONS,
    figures::QUESTIONS,
    upgrade::QUESTIONS,
    uninstall::QUESTIONS,
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // There is one node, and what one question does to it others would notice.
    arguments.test_threads = Some(1);
    let parts = match Parts::find() {
        Ok(parts) => parts,
        Err(missing) => return run(&arguments, &Err(missing.to_string())),
    };
    let code = match Role::of_this_process() {
        Ok(Role::Inside(machine)) => return run(&arguments, &Ok(Lazy::new(machine, parts))),
        Ok(Role::Keeper) => machine::keep(&parts.busybox()),
        Ok(Role::Outside) if arguments.list => return run(&arguments, &Err(String::new())),
        Ok(Role::Outside) => machine::enter(),
        Err(error) => Err(error),
    };
    match code {
        Ok(code) => code.into(),
        Err(error) => {
            run(&arguments, &Err(format!("cannot make a machine for the node: {error:#}")));
            ExitCode::FAILURE
        }
    }
}

/// Asks all questions; without ground to stand on, tells why not.
fn run(arguments: &Arguments, ground: &Result<Lazy, String>) -> ExitCode {
    // More than one provider may be compiled in: the default has to be said.
    rustls::crypto::ring::default_provider().install_default().expect("this is the first call");
    let trials = ALL.iter().copied().flatten().map(|question| trial(*question, ground.clone()));
    libtest_mimic::run(arguments, trials.collect()).exit_code()
}

fn trial(question: Question, ground: Result<Lazy, String>) -> Trial {
    Trial::ignorable_test(question.name.trim_start_matches("e2e::"), move || {
        let lazy = match ground {
            Ok(lazy) => lazy,
            Err(missing) => return Ok(Completion::ignored_with(missing)),
        };
        match lazy.with(question.ask) {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => match error.downcast_ref::<Skipped>() {
                Some(Skipped(reason)) => Ok(Completion::ignored_with(reason)),
                None => Err(Failed::from(format!("{error:#}"))),
            },
        }
    })
}
