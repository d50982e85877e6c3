//! A report as a terminal shows it. Pure.

use std::fmt::Write as _;

use profile::mechanism::Mechanism;

use super::content::{Recording, Report, Totals, Violation, Workload};
use crate::table::{count, grouped, minute, plain, since, span, table};

/// Of longer lists of denials, only so many are shown.
const VIOLATIONS: usize = 50;

pub(super) fn text(report: &Report) -> String {
    let Report {
        made, totals, workloads, recordings, violations, violations_left_out, notes, ..
    } = report;
    let version = made.version.as_ref().map(|version| format!(" ({version})")).unwrap_or_default();
    let mut text = line(&format!("{}{version}, {}", made.of, minute(made.at)));
    text += &line(&summary(totals));
    if !workloads.is_empty() {
        let rows: Vec<_> = workloads.iter().map(row).collect();
        let heads = [
            "STATE",
            "NAMESPACE",
            "WORKLOAD",
            "PODS",
            "CONFINED",
            "SECCOMP",
            "APPARMOR",
            "SELINUX",
        ];
        text.push('\n');
        text += &table(&heads, &rows);
    }
    if !recordings.is_empty() {
        let rows: Vec<_> = recordings.iter().flat_map(recorded).collect();
        let heads = [
            "RECORDING",
            "KIND",
            "RECORDER",
            "PHASE",
            "CONTAINER",
            "SEEN",
            "NOTHING NEW FOR",
            "LOST",
        ];
        text.push('\n');
        text += &table(&heads, &rows);
    }
    if !violations.is_empty() {
        let rows = violations.iter().take(VIOLATIONS).map(|it| denied(it, report));
        let heads = ["DENIED", "TIMES", "PODS", "LAST", "NAMESPACE", "WORKLOAD", "CONTAINER"];
        text.push('\n');
        text += &table(&heads, &rows.collect::<Vec<_>>());
        let more = violations.len().saturating_sub(VIOLATIONS) as u64 + violations_left_out;
        if more > 0 {
            let _ = writeln!(text, "and {} more; -o json has more of them", grouped(more));
        }
    }
    if !notes.is_empty() {
        text.push('\n');
        for note in notes {
            text += &line(&format!("note: {note}"));
        }
    }
    text
}

/// On one line, and nothing that a terminal obeys.
fn line(text: &str) -> String {
    text.chars().map(plain).chain(['\n']).collect()
}

fn summary(totals: &Totals) -> String {
    let Totals { namespaces, workloads, pods, containers, denied, .. } = totals;
    format!(
        "{} in {}, with {} and {}: {} Applying, {} Recording, {} Disabled; denied {}",
        count(workloads.all(), "workload"),
        count(*namespaces, "namespace"),
        count(*pods, "pod"),
        count(*containers, "container"),
        grouped(workloads.applying),
        grouped(workloads.recording),
        grouped(workloads.disabled),
        count(*denied, "time"),
    )
}

fn row(workload: &Workload) -> Vec<String> {
    let Workload { namespace, kind, name, state, pods, running, confined, .. } = workload;
    vec![
        state.as_str().to_owned(),
        namespace.clone(),
        format!("{kind}/{name}"),
        pods.to_string(),
        format!("{confined}/{running}"),
        ways(workload, Mechanism::Seccomp),
        ways(workload, Mechanism::Apparmor),
        ways(workload, Mechanism::Selinux),
    ]
}

/// What the containers of a workload have of a mechanism, each once.
fn ways(workload: &Workload, mechanism: Mechanism) -> String {
    let mut words: Vec<String> = Vec::new();
    for used in workload.containers.iter().flat_map(|container| container.of(mechanism)) {
        let mut word = used.confinement.words();
        if let Some(recording) = &used.confinement.recording {
            let _ = write!(word, " (recorded by {recording})");
        }
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words == ["not set"] { String::new() } else { words.join(", ") }
}

fn recorded(recording: &Recording) -> Vec<Vec<String>> {
    let Recording { namespace, name, kind, recorder, phase, containers, .. } = recording;
    let head = [
        format!("{namespace}/{name}"),
        (*kind).to_owned(),
        (*recorder).to_owned(),
        phase.unwrap_or_default().to_owned(),
    ];
    let rows = containers.iter().map(|container| {
        let numbers = [
            container.name.clone(),
            container.seen.to_string(),
            span(container.stable_seconds),
            container.lost.to_string(),
        ];
        head.iter().cloned().chain(numbers).collect::<Vec<_>>()
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() { vec![head.to_vec()] } else { rows }
}

fn denied(violation: &Violation, report: &Report) -> Vec<String> {
    let Violation { namespace, kind, name, container, what, count, pods, last, .. } = violation;
    vec![
        what.clone(),
        count.to_string(),
        pods.to_string(),
        since(*last, report.made.at),
        namespace.clone(),
        format!("{kind}/{name}"),
        container.clone().unwrap_or_default(),
    ]
}
