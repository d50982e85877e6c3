//! Starts what the command line asks for.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;

use crate::args::{Cli, Command};

mod args;
mod run;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(flags) => serve(*flags),
        Command::Explain(flags) => run::explain(&flags),
        Command::Controller(flags) => controller(flags),
        Command::Crds(flags) => crds(flags),
        Command::Release(flags) => release(flags),
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

fn controller(flags: args::ControllerFlags) -> anyhow::Result<ExitCode> {
    let controller = match flags.meant() {
        Ok(meant) => meant,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "error: {error:?}"));
            return Ok(ExitCode::from(2));
        }
    };
    // It waits nearly always: one thread does all of it, with less memory than several.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start")?.block_on(run::controller(controller))?;
    Ok(ExitCode::SUCCESS)
}

fn crds(flags: args::CrdsFlags) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start")?.block_on(run::crds(flags))?;
    Ok(ExitCode::SUCCESS)
}

fn release(flags: args::ReleaseFlags) -> anyhow::Result<ExitCode> {
    let release = match flags.meant() {
        Ok(meant) => meant,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "error: {error:?}"));
            return Ok(ExitCode::from(2));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let all = runtime.context("cannot start")?.block_on(run::release(release))?;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn serve(flags: args::ServeFlags) -> anyhow::Result<ExitCode> {
    let (serve, kubeconfig) = match flags.meant() {
        Ok(meant) => meant,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "error: {error:?}"));
            return Ok(ExitCode::from(2));
        }
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = serve.threads {
        runtime.worker_threads(threads.into());
    }
    let runtime = runtime.enable_all().build().context("cannot start threads")?;
    runtime.block_on(run::serve(serve, kubeconfig))?;
    Ok(ExitCode::SUCCESS)
}
