//! Asks a kernel with AppArmor, and one with SELinux, one question after the other.

use std::process::ExitCode;

use anyhow::Result;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tests::guest::images::Images;
use tokio::runtime::{Handle, Runtime};

#[path = "guest/access.rs"]
mod access;
#[path = "guest/agent.rs"]
mod agent;
#[path = "guest/apparmor.rs"]
mod apparmor;
#[path = "guest/cells.rs"]
mod cells;
#[path = "guest/chart.rs"]
mod chart;
#[path = "guest/drift.rs"]
mod drift;
#[path = "guest/harness.rs"]
mod harness;
#[path = "guest/instructions.rs"]
mod instructions;
#[path = "guest/recorder.rs"]
mod recorder;
#[path = "guest/recorder_selinux.rs"]
mod recorder_selinux;
#[path = "guest/recording.rs"]
mod recording;
#[path = "guest/seccomp.rs"]
mod seccomp;
#[path = "guest/selinux.rs"]
mod selinux;

/// A question by name, and how it is answered.
#[derive(Clone, Copy)]
struct Question {
    name: &'static str,
    ask: for<'a> fn(&'a Images) -> LocalBoxFuture<'a, Result<()>>,
}

/// Why a question cannot be asked here.
#[derive(Debug)]
struct Skipped(&'static str);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Skipped {}

/// Lists the questions of a module.
macro_rules! questions {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const QUESTIONS: &[crate::Question] = &[$(crate::Question {
            name: concat!(module_path!(), "::", stringify!($name)),
            ask: |images| Box::pin($name(images)),
        }),+];
    };
}
pub(crate) use questions;

const ALL: &[&[Question]] = &[
    harness::QUESTIONS,
    seccomp::QUESTIONS,
    apparmor::QUESTIONS,
    selinux::QUESTIONS,
    drift::QUESTIONS,
    instructions::QUESTIONS,
    recorder::QUESTIONS,
    access::QUESTIONS,
    recorder_selinux::QUESTIONS,
    recording::QUESTIONS,
    cells::QUESTIONS,
    chart::QUESTIONS,
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Runtime::new().expect("a runtime can be made");
    let trials = ALL
        .iter()
        .copied()
        .flatten()
        .map(|question| trial(*question, runtime.handle().clone()))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(question: Question, runtime: Handle) -> Trial {
    let name = question.name.trim_start_matches("guest::");
    Trial::ignorable_test(name, move || {
        let images = match Images::find() {
            Ok(images) => images,
            Err(missing) => return Ok(Completion::ignored_with(missing)),
        };
        match runtime.block_on((question.ask)(&images)) {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => match error.downcast_ref::<Skipped>() {
                Some(Skipped(reason)) => Ok(Completion::ignored_with(reason)),
                None => Err(Failed::from(format!("{error:#}"))),
            },
        }
    })
}
