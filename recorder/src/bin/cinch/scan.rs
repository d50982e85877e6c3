//! `cinch scan`: which system calls programs can make at most, and how a profile compares with that.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use recorder::scan::{
    self, At, Reached, Report, Scope,
    compare::{self, Comparison},
    root::Root,
};
use serde::Serialize;

use crate::{
    args::{Output, ScanFlags},
    document::{self, Document},
};

/// What scripts read.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<&'a Comparison>,
}

/// Scans a root file system, or a program on this machine.
pub(crate) fn scan(flags: &ScanFlags) -> anyhow::Result<ExitCode> {
    let ScanFlags { output, entrypoints, plugins, root, unseen, path } = flags;
    let is_folder = path.is_dir();
    let (folder, entrypoints) = match (is_folder, root) {
        (true, None) => (path.clone(), entrypoints.clone()),
        (true, Some(_)) => bail!("{}: with --root, a program is to be named", path.display()),
        (false, None) => {
            let program = std::path::absolute(path)
                .with_context(|| format!("cannot tell where {} is", path.display()))?;
            (PathBuf::from("/"), with(&program, entrypoints))
        }
        (false, Some(root)) => (root.clone(), with(path, entrypoints)),
    };
    let profile = unseen.as_deref().map(seccomp).transpose()?;
    let root = Root::open(&folder).with_context(|| format!("cannot open {}", folder.display()))?;
    let report = scan::scan(&root, &Scope { entrypoints, plugins: plugins.clone() })?;
    let compared = profile.map(|profile| compare::compare(&report, &profile));
    let text = match output {
        Output::Json => {
            let answer = Answer { report: &report, compared: compared.as_ref() };
            serde_json::to_string_pretty(&answer).context("cannot write JSON")? + "\n"
        }
        Output::Text => match &compared {
            Some(compared) => compared_text(&report, compared),
            None => table(&report),
        },
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")?;
    if *output == Output::Text {
        std::io::stderr().write_all(said(&report).as_bytes()).context("cannot print")?;
    }
    let beyond = compared.is_some_and(|compared| !compared.unreachable.is_empty());
    Ok(if beyond { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn with(program: &Path, entrypoints: &[String]) -> Vec<String> {
    let program = program.display().to_string();
    std::iter::once(program).chain(entrypoints.iter().cloned()).collect()
}

fn seccomp(path: &Path) -> anyhow::Result<profile::kinds::SeccompProfileSpec> {
    match document::read(path)? {
        Document::Seccomp(profile) => Ok(profile.spec),
        _ => bail!("{}: only a seccomp profile says which calls there are", path.display()),
    }
}

/// A line for each call, with one way to it.
fn table(report: &Report) -> String {
    // What the kernel itself does, it does by the numbers of the program's own machine.
    let own = report.calls.iter().find(|call| call.path.is_empty()).map(|call| call.arch);
    let name = |call: &Reached| match own {
        Some(own) if own != call.arch => format!("{} ({})", call.name, call.arch),
        _ => call.name.to_owned(),
    };
    let width = report.calls.iter().map(|call| name(call).len()).max().unwrap_or(0);
    let mut text = String::new();
    for call in &report.calls {
        let way = way(&call.program, &call.path);
        // Writing into a string does not fail.
        let _ = writeln!(text, "{:width$}  {way}", name(call));
    }
    text
}

/// A way from function to function; a file is named where another one was before.
fn way(program: &str, path: &[At]) -> String {
    if path.is_empty() {
        return format!("{program}: the kernel itself");
    }
    let mut shown = String::new();
    let mut file = "";
    for at in path {
        if !shown.is_empty() {
            shown += " > ";
        }
        if at.file != file {
            file = &at.file;
            let whole = shown.is_empty();
            shown += if whole { file } else { file.rsplit('/').next().unwrap_or(file) };
            shown += ":";
        }
        shown += &at.function;
    }
    shown
}

fn compared_text(report: &Report, compared: &Comparison) -> String {
    let mut text = String::new();
    for (title, names) in [
        ("reachable, and not in the profile", &compared.unseen),
        ("in the profile, and not reachable", &compared.unreachable),
        ("in the profile, not reachable, and needed by container runtimes", &compared.for_runtimes),
    ] {
        let _ = writeln!(text, "{title}: {}", names.len());
        for name in names {
            let reached = report.calls.iter().find(|call| call.name == name);
            let way = reached.map(|call| way(&call.program, &call.path)).unwrap_or_default();
            let _ = writeln!(text, "{}", format!("  {name:24} {way}").trim_end());
        }
    }
    text
}

/// How sure it is.
fn said(report: &Report) -> String {
    let mut text = String::new();
    for place in &report.unresolved {
        let At { file, function } = &place.at;
        let _ =
            writeln!(text, "unresolved: {file} {:#x} in {function}: {}", place.address, place.why);
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let _ = writeln!(
        text,
        "{} system calls in {} programs and libraries; {} places unresolved",
        report.calls.len(),
        report.files.len(),
        report.unresolved.len()
    );
    text
}
