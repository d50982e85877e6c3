//! `cinch man` and `cinch completions`: what readers and shells need, made from the command line itself. Pure but for
//! writing.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::args::{Cli, ManFlags};

/// What is said beyond what the flags say of themselves: of which command, below which head.
const MORE: &[(&str, &str, &str)] = &[
    (
        "cinch",
        "EXIT STATUS",
        "0: done. 1: the check or the work failed, or profiles differ. 2: wrong use. cinch record and cinch run end as the \
         command does that they run: 128 and the number of the signal that has ended it, 127 when there is no such program, 126 \
         when it cannot be run.",
    ),
    (
        "cinch-record",
        "SIGNALS",
        "What comes to cinch is handed on to the command. At the first Ctrl-C recording goes on until the command has ended, since \
         what a program does at its end is part of what it needs; at the second it ends at once. Both times what was seen is \
         written. Of a container recording ends at the first.",
    ),
    (
        "cinch-record",
        "PRIVILEGES",
        "CAP_BPF and CAP_PERFMON to load the programs; CAP_SYS_ADMIN, which includes both, to start a command; CAP_SYS_PTRACE to \
         look at somebody else's process (--pid); CAP_SETUID and CAP_SETGID for --user.",
    ),
    (
        "cinch-record",
        "EXIT STATUS",
        "That of the command: 128 and the number of the signal that has ended it, 127 when there is no such program, 126 when it \
         cannot be run. 0 when recording ended first. 1 when it failed.",
    ),
    (
        "cinch-run",
        "HOW IT WORKS",
        "Where the profile's filter would answer a call with an error number, the filter that is installed asks cinch \
         (seccomp_unotify(2)), which notes the call and gives that answer. All other actions are the kernel's, as ever. No \
         privilege is needed. There are three differences to a container that runs under the profile: no program under it can \
         have a listener of its own; a signal that comes while a call waits for its answer may interrupt that call (before Linux \
         5.19, or before cinch has taken it in); and should cinch be killed, calls that are denied are answered with ENOSYS.",
    ),
    (
        "cinch-report",
        "PRIVILEGES",
        "The right to list namespaces, pods, profilebindings, profilerecordings and the four kinds of profile; with --namespace, to \
         get that namespace. To list replicasets of apps and jobs of batch: without it, Deployments and CronJobs are told by names. \
         To list events of events.k8s.io: without it, nothing is said of what was denied. What is lacking is named.",
    ),
    (
        "cinch-report",
        "STATES",
        "Applying: at least one container of the workload runs under a profile of Cinch. Recording: a ProfileRecording learns what at \
         least one container does. Disabled: neither.",
    ),
    (
        "cinch-status",
        "EXIT STATUS",
        "0: nothing has failed; with --wait, every profile is on every node that should have it. 1: a profile failed on a node, a \
         binding has no effect since its profile is not there or disabled, the time of --wait was over, or the work itself failed. 2: \
         wrong use.",
    ),
    (
        "cinch-status",
        "PRIVILEGES",
        "The right to list nodesecurityprofiles, profilebindings, profilerecordings and the four kinds of profile. To list nodes: \
         without it, nothing is said of whether they are ready. What is lacking is named.",
    ),
    (
        "cinch-run",
        "EXIT STATUS",
        "That of the command: 128 and the number of the signal that has ended it, 127 when there is no such program, 126 when it \
         cannot be run, or the profile does not let it begin. 1 when the profile cannot be used.",
    ),
];

/// Prints a page, or writes all of them.
pub(crate) fn man(flags: &ManFlags) -> anyhow::Result<ExitCode> {
    let mut all = Cli::command();
    all.build();
    let pages: Vec<_> = std::iter::once(&all)
        .chain(all.get_subcommands().filter(|command| command.get_name() != "help"))
        .map(|command| (name(command), command))
        .collect();
    if let Some(folder) = &flags.dir {
        for (name, command) in &pages {
            let file = folder.join(format!("{name}.1"));
            write(&file, &page(name, command)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = match &flags.command {
        Some(name) => format!("cinch-{name}"),
        None => "cinch".to_owned(),
    };
    let Some((name, command)) = pages.iter().find(|(name, _)| *name == wanted) else {
        let names: Vec<_> =
            pages.iter().filter_map(|(name, _)| name.strip_prefix("cinch-")).collect();
        bail!("there is no such command; there are {}", names.join(", "));
    };
    io::stdout().write_all(&page(name, command)?).context("cannot print")?;
    Ok(ExitCode::SUCCESS)
}

fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(name: &str, command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let source = concat!("cinch ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).source(source).render(&mut text).context("cannot make the page")?;
    let mut more = Roff::new();
    for (_, head, body) in MORE.iter().filter(|(of, ..)| *of == name) {
        more.control("SH", [*head]);
        more.text([roman(*body)]);
    }
    if name != "cinch" {
        more.control("SH", ["SEE ALSO"]);
        more.control("BR", ["cinch", "(1)"]);
    }
    more.to_writer(&mut text).context("cannot make the page")?;
    Ok(text)
}

fn write(file: &Path, text: &[u8]) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_beyond_the_flags_is_of_a_command_that_there_is() {
        let mut all = Cli::command();
        all.build();
        let names: Vec<_> = all.get_subcommands().map(name).collect();
        for (of, head, _) in MORE {
            assert!(*of == "cinch" || names.iter().any(|name| name == of), "{of}: {head}");
        }
    }
}
