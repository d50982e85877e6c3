//! The status of profiles, from what the nodes say of them. Pure.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc, time::Duration};

use profile::{
    kinds::{NodeCount, ProfilePhase},
    mechanism::Mechanism,
};
use serde_json::{Value, json};

use super::{Part, View, in_use, profile_object};
use crate::controller::{
    key::{Named, ProfileKey},
    nodes::Tally,
    outbox::{About, Call, News, Outbox, PACE},
    profile::Profile,
    state::State,
};

/// So many nodes or pods are named.
const NAMED: usize = 5;
/// So much of what a node says is passed on.
const SAID: usize = 200;

/// Numbers alone are written less often: when nodes come and go, those of every profile change.
const PACE_OF_NUMBERS: Duration = Duration::from_secs(10);

/// Statuses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statuses;

/// What a status should say.
#[derive(Clone, Debug, PartialEq)]
struct Desired {
    phase: ProfilePhase,
    ready: bool,
    reason: &'static str,
    message: String,
    nodes: NodeCount,
}

impl Part for Statuses {
    fn step(&mut self, view: &View<'_>, outbox: &mut Outbox) {
        let mut keys: BTreeSet<_> = in_use::affected(view);
        keys.extend(view.changes.said.iter().cloned());
        for key in keys {
            let object = profile_object(&key);
            let Some(profile) = view.state.profiles.get(&key) else {
                outbox.want(&object, "status", None, view.now);
                continue;
            };
            let desired = desired(view.state, &key, profile);
            if let Some(news) = news(&key, profile, &desired) {
                outbox.tell(news, view.now);
            }
            let call = (!said(&key, profile, &desired)).then(|| call(&key, profile, &desired));
            let same = profile.status.status.as_deref() == Some(desired.phase.as_str())
                && profile.status.observed_generation == Some(profile.generation);
            let pace = if same { PACE_OF_NUMBERS } else { PACE };
            outbox.want_paced(&object, "status", call, pace, view.now);
        }
    }
}

fn desired(state: &State, key: &ProfileKey, profile: &Profile) -> Desired {
    let tally = state.nodes.tally(key, profile.generation);
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let nodes = NodeCount {
        desired: number(tally.desired),
        installed: number(tally.installed.len()),
        failed: number(tally.failed.len()),
    };
    if profile.deleting {
        let users: Vec<_> = in_use::users(state, key).collect();
        return Desired {
            phase: ProfilePhase::Terminating,
            ready: false,
            reason: "Deleting",
            message: leaving(profile, &users),
            nodes,
        };
    }
    if !profile.enabled {
        return Desired {
            phase: ProfilePhase::Disabled,
            ready: false,
            reason: "Unavailable",
            message: match tally.present {
                0 => "disabled: it is put on no node".to_owned(),
                1 => "disabled: it is put on no node, and one still has it for its pods".to_owned(),
                n => {
                    format!("disabled: it is put on no node, and {n} still have it for their pods")
                }
            },
            nodes: NodeCount { desired: 0, installed: number(tally.present), failed: 0 },
        };
    }
    if profile.part_of.is_some() {
        return Desired {
            phase: ProfilePhase::Partial,
            ready: false,
            reason: "Pending",
            message: "it is being recorded: more may come".to_owned(),
            nodes,
        };
    }
    of_nodes(&tally, nodes)
}

fn of_nodes(tally: &Tally, nodes: NodeCount) -> Desired {
    let (desired, installed) = (tally.desired, tally.installed.len());
    let (phase, reason, message) = if desired == 0 {
        (ProfilePhase::Pending, "Pending", "no node that is ready has said what it has".to_owned())
    } else if !tally.failed.is_empty() {
        let mut message = format!("failed on {} of {}", tally.failed.len(), count(desired, "node"));
        list(&mut message, &tally.failed, |(node, why)| {
            let why: String = why.chars().take(SAID).collect();
            if why.is_empty() { node.to_string() } else { format!("{node} ({why})") }
        });
        (ProfilePhase::Error, "Unavailable", message)
    } else if installed >= desired {
        let message = format!("installed on {}", count(desired, "node"));
        (ProfilePhase::Installed, "Available", message)
    } else {
        let mut message =
            format!("installed on {installed} of {}; waits for", count(desired, "node"));
        list(&mut message, &tally.waiting, ToString::to_string);
        if installed == 0 && !tally.begun {
            (ProfilePhase::Pending, "Pending", message)
        } else {
            let reason = if tally.older { "Updating" } else { "Creating" };
            (ProfilePhase::InProgress, reason, message)
        }
    };
    Desired { phase, ready: phase == ProfilePhase::Installed, reason, message, nodes }
}

/// What is said of a profile that is being deleted.
fn leaving(profile: &Profile, users: &[&Named]) -> String {
    if users.is_empty() {
        let text = if profile.others.is_empty() {
            "no pod uses it any more"
        } else {
            "no pod uses it; it goes when nobody else holds it any more"
        };
        return text.to_owned();
    }
    let mut message = format!(
        "kept while {} it",
        match users.len() {
            1 => "1 pod uses".to_owned(),
            n => format!("{n} pods use"),
        }
    );
    list(&mut message, users, ToString::to_string);
    message
}

/// Whether a profile's status says this already.
fn said(key: &ProfileKey, profile: &Profile, desired: &Desired) -> bool {
    let status = &profile.status;
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let usage = usage(key).map(|(_, usage)| usage);
    status.status.as_deref() == Some(desired.phase.as_str())
        && status.nodes == Some(desired.nodes)
        && status.observed_generation == Some(profile.generation)
        && status.localhost_profile.as_ref().or(status.usage.as_ref()) == usage.as_ref()
        && ready.is_some_and(|ready| {
            ready.status == truth(desired.ready)
                && ready.reason == desired.reason
                && ready.message == desired.message
                && ready.observed_generation == Some(profile.generation)
        })
}

fn call(key: &ProfileKey, profile: &Profile, desired: &Desired) -> Call {
    let Desired { phase, ready, reason, message, nodes } = desired;
    let before = profile.status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let since = before.filter(|before| before.status == truth(*ready));
    let mut status = json!({
        "status": phase,
        "conditions": [{
            "type": "Ready",
            "status": truth(*ready),
            "reason": reason,
            "message": message,
            "observedGeneration": profile.generation,
            "lastTransitionTime": since.map_or(Value::Null, |it| json!(it.last_transition_time)),
        }],
        "nodes": nodes,
        "observedGeneration": profile.generation,
    });
    if let Some((field, usage)) = usage(key) {
        status[field] = json!(usage);
    }
    Call::ApplyStatus(json!({ "metadata": { "uid": profile.uid }, "status": status }))
}

/// The field of the status that says what a pod writes.
fn usage(key: &ProfileKey) -> Option<(&'static str, String)> {
    match key.mechanism() {
        Mechanism::Seccomp => Some(("localhostProfile", key.local_name())),
        Mechanism::Selinux => Some(("usage", key.local_name())),
        Mechanism::Apparmor => None,
    }
}

/// What people should know, where the status does not say it yet.
fn news(key: &ProfileKey, profile: &Profile, desired: &Desired) -> Option<News> {
    let before = profile.status.status.as_deref();
    let failed_before = profile.status.nodes.map_or(0, |nodes| nodes.failed);
    let is_new = before != Some(desired.phase.as_str());
    let (reason, action) = match desired.phase {
        ProfilePhase::Error if is_new || desired.nodes.failed > failed_before => {
            ("InstallFailed", "Install")
        }
        ProfilePhase::Terminating if is_new && desired.message.starts_with("kept") => {
            ("KeptInUse", "Delete")
        }
        _ => return None,
    };
    Some(News {
        about: About { object: profile_object(key), uid: Arc::from(&*profile.uid) },
        warning: true,
        reason,
        action,
        note: desired.message.clone(),
    })
}

fn truth(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}

fn count(count: usize, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{count} {of}s") }
}

/// Adds the first of a list, and how many more there are.
fn list<T>(to: &mut String, all: &[T], text: impl Fn(&T) -> String) {
    let first: Vec<_> = all.iter().take(NAMED).map(text).collect();
    let introduced = if to.ends_with("for") { " " } else { ": " };
    write!(to, "{introduced}{}", first.join(", ")).expect("into memory");
    if all.len() > NAMED {
        write!(to, " and {} more", all.len() - NAMED).expect("into memory");
    }
}

#[cfg(test)]
mod tests;
