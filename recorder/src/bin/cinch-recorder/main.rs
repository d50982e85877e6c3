//! Starts what the command line asks for.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;

use crate::args::{Cli, Command};

mod admin;
mod args;
mod disk;
mod ears;
mod enrich;
mod entries;
mod eyes;
mod logs;
mod metrics;
mod profiles;
mod roster;
mod run;
mod setup;
mod source;
mod tracker;
mod violations;
mod writer;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(flags) => run(*flags),
        Command::Logs(flags) => logs::run(*flags),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            drop(writeln!(std::io::stderr(), "error: {error:?}"));
            ExitCode::FAILURE
        }
    }
}

fn run(flags: args::RunFlags) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let ended = runtime.block_on(run::run(flags.meant()));
    // What is being written is written again by the next one.
    runtime.shutdown_background();
    ended
}
