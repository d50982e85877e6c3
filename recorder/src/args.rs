//! The command line, as typed.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use recorder::base::Base;

/// Records what commands do, and works on security profiles.
#[derive(Debug, Parser)]
#[command(name = "cinch", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command and write the seccomp profile of what it and its children did
    Record(RecordFlags),
}

#[derive(Debug, Args)]
pub(crate) struct RecordFlags {
    /// Write the profile as an object for a cluster, or as the JSON that runtimes read
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Add what this runtime needs to start a container
    #[arg(long, value_enum, default_value_t)]
    pub(crate) base: BaseFlag,
    /// Call the profile by this name; without it, it has that of the command
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Stop after this, such as 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Write to this file and not to standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Crd,
    Raw,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum BaseFlag {
    #[default]
    Runc,
    Crun,
    None,
}

impl From<BaseFlag> for Base {
    fn from(flag: BaseFlag) -> Self {
        match flag {
            BaseFlag::Runc => Self::Runc,
            BaseFlag::Crun => Self::Crun,
            BaseFlag::None => Self::None,
        }
    }
}

fn duration(text: &str) -> Result<Duration, profile::duration::DurationError> {
    profile::duration::parse(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_dashes_is_the_command_alone() {
        let Command::Record(flags) =
            Cli::try_parse_from(["cinch", "record", "--base", "crun", "--", "ls", "--name", "x"])
                .unwrap()
                .command;
        assert_eq!(flags.command, ["ls", "--name", "x"]);
        assert_eq!((flags.base, flags.name), (BaseFlag::Crun, None));
    }
}
