//! The command line `cinch`.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;

use crate::args::{Cli, Command};

mod args;
mod compare;
mod document;
mod files;
mod record;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Record(flags) => record::record(&flags),
        Command::Merge(flags) => files::merge(&flags),
        Command::Diff(flags) => files::diff(&flags),
        Command::Check(flags) => files::check(&flags),
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
