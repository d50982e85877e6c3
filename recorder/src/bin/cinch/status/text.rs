//! A status as a terminal shows it. Pure.

use k8s_openapi::jiff::Timestamp;

use super::content::{Binding, Node, Profile, Recording, Status};
use crate::table::{plain, since, span, table};

pub(super) fn text(status: &Status, now: Timestamp) -> String {
    let Status { ready, failures, pending, nodes, profiles, bindings, recordings, notes } = status;
    let mut parts = Vec::new();
    let mut part = |heads: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            parts.push(table(heads, &rows));
        }
    };
    part(
        &["NODE", "READY", "INSTALLED", "PENDING", "FAILED", "AGE"],
        nodes.iter().map(|it| node(it, now)).collect(),
    );
    part(
        &["PROFILE", "KIND", "STATUS", "NODES", "FAILED", "AGE", "REASON"],
        profiles.iter().map(|it| profile(it, now)).collect(),
    );
    part(
        &["BINDING", "KIND", "PROFILE", "IMAGE", "WORKLOADS", "PROBLEM"],
        bindings.iter().map(binding).collect(),
    );
    part(
        &["RECORDING", "KIND", "RECORDER", "PHASE", "PODS", "SEEN", "NOTHING NEW FOR", "LOST"],
        recordings.iter().map(recording).collect(),
    );
    let mut last = String::new();
    for (what, lines) in [("failed", failures), ("pending", pending), ("note", notes)] {
        for line in lines {
            last.extend(format!("{what}: {line}").chars().map(plain).chain(['\n']));
        }
    }
    if *ready {
        last += "all is as it should be\n";
    }
    parts.push(last);
    parts.join("\n")
}

fn node(node: &Node, now: Timestamp) -> Vec<String> {
    let Node { name, ready, reports, installed, pending, failed, since: made } = node;
    let ready = match ready {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    let number = |number: &i32| if *reports { number.to_string() } else { String::new() };
    let numbers = [number(installed), number(pending), number(failed)];
    let head = [name.clone(), ready.to_owned()];
    head.into_iter().chain(numbers).chain([since(*made, now)]).collect()
}

fn profile(profile: &Profile, now: Timestamp) -> Vec<String> {
    let Profile { kind, name, status, desired, installed, failed, reason, since: made } = profile;
    vec![
        name.clone(),
        (*kind).to_owned(),
        status.clone(),
        format!("{installed}/{desired}"),
        failed.to_string(),
        since(*made, now),
        reason.clone().unwrap_or_default(),
    ]
}

fn binding(binding: &Binding) -> Vec<String> {
    let Binding { namespace, name, kind, profile, image, workloads, problem } = binding;
    vec![
        format!("{namespace}/{name}"),
        (*kind).to_owned(),
        profile.clone(),
        image.clone(),
        workloads.to_string(),
        problem.clone().unwrap_or_default(),
    ]
}

fn recording(recording: &Recording) -> Vec<String> {
    let Recording { namespace, name, kind, recorder, phase, pods, seen, stable_seconds, lost } =
        recording;
    vec![
        format!("{namespace}/{name}"),
        (*kind).to_owned(),
        (*recorder).to_owned(),
        phase.unwrap_or_default().to_owned(),
        pods.to_string(),
        seen.to_string(),
        stable_seconds.map(span).unwrap_or_default(),
        lost.to_string(),
    ]
}
