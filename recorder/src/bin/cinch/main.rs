//! The command line `cinch`.

use std::{io::Write as _, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};

use crate::args::{Cli, Command};

mod args;
mod capabilities;
mod cluster;
mod compare;
mod document;
mod executable;
mod explain;
mod files;
mod man;
mod profile_head;
mod record;
mod report;
mod run;
mod scan;
mod signals;
mod status;
mod table;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Record(flags) => record::record(&flags),
        Command::Run(flags) => run::run(&flags),
        Command::Merge(flags) => files::merge(&flags),
        Command::Diff(flags) => files::diff(&flags),
        Command::Check(flags) => files::check(&flags),
        Command::Convert(flags) => files::convert(&flags),
        Command::Scan(flags) => scan::scan(&flags),
        Command::Explain(flags) => explain::explain(&flags),
        Command::Report(flags) => report::report(&flags),
        Command::Status(flags) => status::status(&flags),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "cinch", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(flags) => man::man(&flags),
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
