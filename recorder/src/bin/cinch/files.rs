//! `cinch merge`, `diff`, `check` and `convert`: work on profiles in files.

use std::{io::Write as _, process::ExitCode};

use anyhow::{Context as _, bail};
use profile::render;
use serde::Serialize;

use crate::{
    args::{CheckFlags, ConvertFlags, DiffFlags, Format, MergeFlags, Output},
    compare::{self, Merged},
    document::{self, Document},
};

/// Prints the profile that allows what any of several allows.
pub(crate) fn merge(flags: &MergeFlags) -> anyhow::Result<ExitCode> {
    let MergeFlags { output, files } = flags;
    let mut documents = Vec::new();
    for file in files {
        documents.extend(document::read_all(file)?);
    }
    let Merged { document, warnings } = compare::merge(&documents)?;
    for warning in warnings {
        writeln!(std::io::stderr(), "warning: {warning}").context("cannot print")?;
    }
    match output {
        Output::Text => {
            print(&serde_saphyr::to_string(&document).context("cannot write YAML")?)?;
        }
        Output::Json => print_json(&document)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints how two profiles differ.
pub(crate) fn diff(flags: &DiffFlags) -> anyhow::Result<ExitCode> {
    let DiffFlags { output, left, right } = flags;
    let difference = compare::diff(&document::read(left)?, &document::read(right)?)?;
    match output {
        Output::Text => print_lines(&difference.differences)?,
        Output::Json => print_json(&difference)?,
    }
    Ok(if difference.same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what a profile allows beyond a baseline.
pub(crate) fn check(flags: &CheckFlags) -> anyhow::Result<ExitCode> {
    let CheckFlags { output, baseline, profile } = flags;
    let within = compare::check(&document::read(baseline)?, &document::read(profile)?)?;
    match output {
        Output::Text => print_lines(&within.beyond)?,
        Output::Json => print_json(&within)?,
    }
    Ok(if within.within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a seccomp profile in the other form.
pub(crate) fn convert(flags: &ConvertFlags) -> anyhow::Result<ExitCode> {
    let ConvertFlags { to, name, profile } = flags;
    let Document::Seccomp(mut read) = document::read(profile)? else {
        bail!("{}: only a seccomp profile has two forms", profile.display());
    };
    if let Some(name) = name {
        read.metadata.name = Some(name.clone());
    }
    let name = read.metadata.name.clone().unwrap_or_default();
    match to {
        Format::Crd => print(&serde_saphyr::to_string(&read).context("cannot write YAML")?)?,
        Format::Raw => {
            let filter = render::seccomp::render(&name, &read.spec, &|_| None)?;
            print(&filter.to_json())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value).context("cannot write JSON")? + "\n"))
}

fn print_lines(lines: &[String]) -> anyhow::Result<()> {
    print(&lines.iter().flat_map(|line| [line, "\n"]).collect::<String>())
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")
}
