//! `cinch merge`, `diff`, `check` and `convert`: work on profiles in files.

use std::{io::Write as _, path::Path, process::ExitCode};

use anyhow::{Context as _, bail};
use recorder::learned::{ledger, tally};
use serde::Serialize;

use crate::{
    args::{CheckFlags, ConvertFlags, DiffFlags, Format, MergeFlags, Output},
    compare::{self, Merged},
    document::{self, Document},
};

/// Prints the profile that allows what any of several allows.
pub(crate) fn merge(flags: &MergeFlags) -> anyhow::Result<ExitCode> {
    let MergeFlags { output, counts, files } = flags;
    let mut documents = Vec::new();
    for file in files {
        documents.extend(document::read_all(file)?);
    }
    let Merged { mut document, warnings } = compare::merge(&documents)?;
    // What the first one says of its own instances is not so of all.
    for key in [tally::ANNOTATION, ledger::ANNOTATION] {
        document.forget(key);
    }
    if *counts {
        let tally = compare::tally(&documents, &document);
        document.annotate(tally::ANNOTATION, tally.annotation());
        writeln!(std::io::stderr(), "{}", tally.summary()).context("cannot print")?;
    }
    for warning in warnings {
        writeln!(std::io::stderr(), "warning: {warning}").context("cannot print")?;
    }
    match output {
        Output::Text => {
            print(&yaml(&[document])?)?;
        }
        Output::Json => print_json(&document)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints how two profiles differ.
pub(crate) fn diff(flags: &DiffFlags) -> anyhow::Result<ExitCode> {
    let DiffFlags { output, left, right } = flags;
    let difference = match compared(left, right, compare::diff) {
        Ok(difference) => difference,
        Err(error) => return trouble(&error),
    };
    match output {
        Output::Text => print_lines(&difference.differences)?,
        Output::Json => print_json(&difference)?,
    }
    Ok(if difference.same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what a profile allows beyond a baseline.
pub(crate) fn check(flags: &CheckFlags) -> anyhow::Result<ExitCode> {
    let CheckFlags { output, baseline, profile } = flags;
    let within = match compared(baseline, profile, compare::check) {
        Ok(within) => within,
        Err(error) => return trouble(&error),
    };
    match output {
        Output::Text => print_lines(&within.beyond)?,
        Output::Json => print_json(&within)?,
    }
    Ok(if within.within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compared<T>(
    left: &Path,
    right: &Path,
    compare: impl Fn(&Document, &Document) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    compare(&document::read(left)?, &document::read(right)?)
}

/// What cannot be compared is neither the same nor another: a script must be able to tell.
pub(crate) fn trouble(error: &anyhow::Error) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stderr(), "error: {error:?}").context("cannot print")?;
    Ok(ExitCode::from(2))
}

/// Prints profiles as objects for a cluster, or one in the language that nodes are given.
pub(crate) fn convert(flags: &ConvertFlags) -> anyhow::Result<ExitCode> {
    let ConvertFlags { to, name, output, profile } = flags;
    let mut documents = document::read_all(profile)?;
    if documents.is_empty() {
        bail!("{}: there is no profile in it", profile.display());
    }
    if documents.len() > 1 && (name.is_some() || *to == Format::Raw) {
        bail!("{}: it has {} profiles, and one is needed", profile.display(), documents.len());
    }
    if let Some(name) = name {
        for document in &mut documents {
            document.rename(name);
        }
    }
    match (to, output) {
        (Format::Crd, Output::Text) => print(&yaml(&documents)?)?,
        (Format::Crd, Output::Json) => match &documents[..] {
            [one] => print_json(one)?,
            all => print_json(&all)?,
        },
        (Format::Raw, output) => {
            let [one] = &documents[..] else { bail!("one profile is needed") };
            let text = one.raw()?;
            match output {
                Output::Text => print(&text)?,
                Output::Json => {
                    print_json(&Raw { language: one.language(), name: one.name(), text: &text })?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A profile in the language that nodes are given.
#[derive(Debug, Serialize)]
struct Raw<'a> {
    /// `oci`, `apparmor` or `cil`.
    language: &'static str,
    name: &'a str,
    text: &'a str,
}

fn yaml(documents: &[Document]) -> anyhow::Result<String> {
    let texts = documents.iter().map(serde_saphyr::to_string);
    let texts = texts.collect::<Result<Vec<_>, _>>().context("cannot write YAML")?;
    Ok(texts.join("---\n"))
}

pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value).context("cannot write JSON")? + "\n"))
}

fn print_lines(lines: &[String]) -> anyhow::Result<()> {
    print(&lines.iter().flat_map(|line| [line, "\n"]).collect::<String>())
}

pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")
}
