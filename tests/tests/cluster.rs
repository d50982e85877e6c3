//! Asks a real API server, with the real webhook registered, one question after the other.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tests::programs::Programs;
use tokio::{
    runtime::{Handle, Runtime},
    time::timeout,
};

use crate::shared::{Lazy, Shared, Skipped};

#[path = "cluster/certificates.rs"]
mod certificates;
#[path = "cluster/chart.rs"]
mod chart;
#[path = "cluster/containers.rs"]
mod containers;
#[path = "cluster/controller.rs"]
mod controller;
#[path = "cluster/deployment.rs"]
mod deployment;
#[path = "cluster/dry_run.rs"]
mod dry_run;
#[path = "cluster/gate.rs"]
mod gate;
#[path = "cluster/installer.rs"]
mod installer;
#[path = "cluster/kinds.rs"]
mod kinds;
#[path = "cluster/manifests.rs"]
mod manifests;
#[path = "cluster/missing.rs"]
mod missing;
#[path = "cluster/namespaces.rs"]
mod namespaces;
#[path = "cluster/precedence.rs"]
mod precedence;
#[path = "cluster/quiet.rs"]
mod quiet;
#[path = "cluster/recorder.rs"]
mod recorder;
#[path = "cluster/recording.rs"]
mod recording;
#[path = "cluster/reinvocation.rs"]
mod reinvocation;
#[path = "cluster/report.rs"]
mod report;
#[path = "cluster/restart.rs"]
mod restart;
#[path = "cluster/shared.rs"]
mod shared;
#[path = "cluster/start.rs"]
mod start;
#[path = "cluster/two_paths.rs"]
mod two_paths;
#[path = "cluster/untouched.rs"]
mod untouched;
#[path = "cluster/validation.rs"]
mod validation;
#[path = "cluster/warnings.rs"]
mod warnings;
#[path = "cluster/write.rs"]
mod write;

/// Most of a question's time is waiting: more at once than there are processors.
const THREADS: usize = 8;
const LIMIT: Duration = Duration::from_mins(3);

/// A question by name, and how it is answered.
#[derive(Clone, Copy)]
struct Question {
    name: &'static str,
    ask: for<'a> fn(&'a Shared) -> LocalBoxFuture<'a, Result<()>>,
}

/// Lists the questions of a module.
macro_rules! questions {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const QUESTIONS: &[crate::Question] = &[$(crate::Question {
            name: concat!(module_path!(), "::", stringify!($name)),
            ask: |shared| Box::pin($name(shared)),
        }),+];
    };
}
pub(crate) use questions;

const ALL: &[&[Question]] = &[
    certificates::QUESTIONS,
    chart::accepted::QUESTIONS,
    chart::consistent::QUESTIONS,
    chart::definitions::QUESTIONS,
    chart::final_state::QUESTIONS,
    chart::lifecycle::QUESTIONS,
    chart::needs::QUESTIONS,
    chart::rights::QUESTIONS,
    chart::syscalls::QUESTIONS,
    chart::values::QUESTIONS,
    containers::QUESTIONS,
    controller::in_use::QUESTIONS,
    controller::leader::QUESTIONS,
    controller::memory::QUESTIONS,
    controller::recordings::QUESTIONS,
    controller::status::QUESTIONS,
    controller::workloads::QUESTIONS,
    deployment::QUESTIONS,
    dry_run::QUESTIONS,
    gate::controller::QUESTIONS,
    gate::release::QUESTIONS,
    gate::webhook::QUESTIONS,
    installer::away::QUESTIONS,
    installer::identity::QUESTIONS,
    installer::lanes::QUESTIONS,
    installer::removal::QUESTIONS,
    installer::status::QUESTIONS,
    installer::writes::QUESTIONS,
    installer::wrong::QUESTIONS,
    kinds::QUESTIONS,
    manifests::QUESTIONS,
    missing::QUESTIONS,
    namespaces::QUESTIONS,
    precedence::QUESTIONS,
    quiet::QUESTIONS,
    recorder::away::QUESTIONS,
    recorder::names::QUESTIONS,
    recorder::record::QUESTIONS,
    recorder::violations::QUESTIONS,
    recording::QUESTIONS,
    reinvocation::QUESTIONS,
    report::QUESTIONS,
    restart::QUESTIONS,
    start::QUESTIONS,
    two_paths::QUESTIONS,
    untouched::QUESTIONS,
    validation::QUESTIONS,
    warnings::QUESTIONS,
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    // More than one provider may be compiled in: the default has to be said.
    rustls::crypto::ring::default_provider().install_default().expect("this is the first call");
    let runtime = Runtime::new().expect("a runtime can be made");
    let lazy = Arc::new(Lazy::default());
    let trials = ALL
        .iter()
        .copied()
        .flatten()
        .map(|question| trial(*question, runtime.handle().clone(), Arc::clone(&lazy)))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(lazy);
    conclusion.exit_code()
}

fn trial(question: Question, runtime: Handle, lazy: Arc<Lazy>) -> Trial {
    let name = question.name.trim_start_matches("cluster::");
    Trial::ignorable_test(name, move || {
        let programs = match Programs::find() {
            Ok(programs) => programs,
            Err(missing) => return Ok(Completion::ignored_with(missing)),
        };
        let answer = runtime.block_on(async {
            let shared = lazy.get(&programs).await?;
            timeout(LIMIT, (question.ask)(shared)).await?
        });
        match answer {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => match error.downcast_ref::<Skipped>() {
                Some(Skipped(reason)) => Ok(Completion::ignored_with(reason)),
                None => Err(Failed::from(format!("{error:#}"))),
            },
        }
    })
}
