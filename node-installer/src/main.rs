//! Starts what the command line asks for.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;

use crate::args::{Cli, Command};

mod args;
mod once;
mod purge;
mod run;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(flags) => run(*flags),
        Command::Purge(flags) => purge::purge(&flags.meant()),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            drop(writeln!(std::io::stderr(), "error: {error:?}"));
            ExitCode::FAILURE
        }
    }
}

fn run(flags: args::RunFlags) -> anyhow::Result<ExitCode> {
    let meant = match flags.meant() {
        Ok(meant) => meant,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "error: {error:?}"));
            return Ok(ExitCode::from(2));
        }
    };
    if meant.once {
        return once::once(meant);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let ended = runtime.block_on(run::run(meant, runtime.handle().clone()));
    // A lane may be in the middle of a commit that need not be waited for: what it leaves is put right at the next start.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}
