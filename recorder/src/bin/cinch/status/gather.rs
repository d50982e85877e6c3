//! Objects in, a status out. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use kube::ResourceExt as _;
use profile::{
    bindings,
    kinds::{
        NodeSecurityProfiles, ProfileBinding, ProfileKind, ProfileRecording, RecordingPhase,
        node::NodeProfileState,
    },
};

use super::content::{Binding, Node, Profile, Recording, Status};
use crate::profile_head::Head;

/// All that was taken in so far.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    heads: BTreeMap<(ProfileKind, String), Head>,
    nodes: BTreeMap<String, Node>,
    /// Whether the nodes of the cluster are known, and not only those that report.
    nodes_known: bool,
    counts: BTreeMap<(ProfileKind, String), Count>,
    bindings: Vec<Binding>,
    recordings: Vec<Recording>,
    notes: Vec<String>,
}

/// What nodes say of one profile.
#[derive(Debug, Default)]
struct Count {
    installed: i32,
    failed: i32,
    why: Option<String>,
}

impl Gather {
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    pub(crate) fn profile(&mut self, head: Head) {
        self.heads.insert((head.kind, head.name.clone()), head);
    }

    pub(crate) fn node(&mut self, object: &core::Node) {
        self.nodes_known = true;
        let conditions = object.status.as_ref().and_then(|status| status.conditions.as_ref());
        let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
        let node = self.node_mut(&object.name_any());
        node.ready = Some(ready.is_some_and(|condition| condition.status == "True"));
        node.since = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    }

    /// Profiles have to be known before.
    pub(crate) fn said(&mut self, object: &NodeSecurityProfiles) {
        let name = object.name_any();
        let status = object.status.clone().unwrap_or_default();
        let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let node = self.node_mut(&name);
        node.reports = true;
        (node.installed, node.pending, node.failed) =
            (status.installed, status.pending, status.failed);
        node.since = node.since.or(created);
        for said in status.profiles {
            let key = (said.kind, said.name);
            let newest = self.heads.get(&key).and_then(|head| head.generation);
            let count = self.counts.entry(key).or_default();
            match said.state {
                // An older form of it is one that is still to be replaced.
                NodeProfileState::Installed => {
                    let current = newest.is_none() || said.observed_generation >= newest;
                    count.installed += i32::from(current);
                }
                NodeProfileState::Failed => {
                    count.failed += 1;
                    let message = said.message.unwrap_or_else(|| "no reason is given".to_owned());
                    count.why.get_or_insert_with(|| format!("{name}: {message}"));
                }
                NodeProfileState::Pending | NodeProfileState::Terminating => {}
            }
        }
    }

    fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.entry(name.to_owned()).or_insert_with(|| Node {
            name: name.to_owned(),
            ready: None,
            reports: false,
            installed: 0,
            pending: 0,
            failed: 0,
            since: None,
        })
    }

    pub(crate) fn binding(&mut self, object: &ProfileBinding) {
        let status = object.status.clone().unwrap_or_default();
        let counted = status.workload_count.and_then(|count| usize::try_from(count).ok());
        let spec = &object.spec;
        let (kind, profile) = (spec.profile_ref.kind, spec.profile_ref.name.clone());
        let problem = match self.heads.get(&(kind, profile.clone())) {
            None => Some(format!("there is no {kind} {profile}")),
            Some(head) if head.disabled => Some(format!("{kind} {profile} is disabled")),
            Some(_) => bindings::Binding::new(object).err().map(|error| error.to_string()),
        };
        self.bindings.push(Binding {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            kind: kind.as_str(),
            profile,
            image: spec.image.clone(),
            workloads: counted.unwrap_or(status.active_workloads.len()),
            problem,
        });
    }

    pub(crate) fn recording(&mut self, object: &ProfileRecording) {
        let status = object.status.clone().unwrap_or_default();
        let containers = &status.containers;
        self.recordings.push(Recording {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            kind: object.spec.kind.as_str(),
            recorder: object.spec.recorder.as_str(),
            phase: status.phase.map(RecordingPhase::as_str),
            pods: status.active_workloads.len(),
            seen: containers.iter().map(|container| container.seen).max().unwrap_or_default(),
            stable_seconds: containers.iter().map(|container| container.stable_seconds).min(),
            lost: containers.iter().fold(0, |sum, container| sum.saturating_add(container.lost)),
        });
    }

    /// The status of all that was taken in.
    pub(crate) fn status(self) -> Status {
        let Self { heads, nodes, nodes_known, mut counts, bindings, recordings, mut notes } = self;
        let reporting = nodes.values().filter(|node| node.reports).count();
        let reporting = i32::try_from(reporting).unwrap_or(i32::MAX);
        let (mut failures, mut pending) = (Vec::new(), Vec::new());
        let mut profiles = Vec::new();
        for (key, head) in heads {
            let count = counts.remove(&key).unwrap_or_default();
            let profile = profile(head, count, reporting);
            let Profile { kind, name, status, desired, installed, failed, reason, .. } = &profile;
            let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            match status.as_str() {
                "Disabled" | "Partial" | "Installed" => {}
                "Error" => failures.push(format!("{kind} {name} failed{why}")),
                _ if *failed > 0 => {
                    failures
                        .push(format!("{kind} {name} failed on {failed} of {desired} nodes{why}"));
                }
                _ => pending.push(format!("{kind} {name} is on {installed} of {desired} nodes")),
            }
            profiles.push(profile);
        }
        for Binding { namespace, name, problem, .. } in &bindings {
            let told =
                |problem| format!("ProfileBinding {namespace}/{name} has no effect: {problem}");
            failures.extend(problem.as_ref().map(told));
        }
        let silent = nodes.values().filter(|node| !node.reports).count();
        if silent > 0 && nodes_known {
            notes.push(format!("no installer has said anything of {silent} of the nodes"));
        }
        for node in nodes.values().filter(|node| node.reports && node.ready == Some(false)) {
            notes.push(format!("node {} is not ready: what it says may be old", node.name));
        }
        if nodes_known {
            for node in nodes.values().filter(|node| node.ready.is_none()) {
                notes.push(format!("node {} is gone, and what it said is still there", node.name));
            }
        }
        let ready = failures.is_empty() && pending.is_empty();
        let nodes = nodes.into_values().collect();
        Status { ready, failures, pending, nodes, profiles, bindings, recordings, notes }
    }
}

/// What the controller says of a profile, and where it says nothing what the nodes do.
fn profile(head: Head, count: Count, reporting: i32) -> Profile {
    let said = head.nodes.filter(|nodes| nodes.desired > 0);
    let desired = said.map_or(reporting, |nodes| nodes.desired);
    let installed = said.map_or(count.installed, |nodes| nodes.installed);
    let failed = said.map_or(0, |nodes| nodes.failed).max(count.failed);
    let by_nodes = || match () {
        () if head.disabled => "Disabled",
        () if head.partial => "Partial",
        () if failed > 0 => "Error",
        () if desired > 0 && installed >= desired => "Installed",
        () if installed > 0 => "InProgress",
        () => "Pending",
    };
    let status = match head.status.as_deref() {
        Some(status) if !status.is_empty() => status.to_owned(),
        _ => by_nodes().to_owned(),
    };
    let reason = count.why.or(head.message).filter(|_| status != "Installed");
    Profile {
        kind: head.kind.as_str(),
        name: head.name,
        status,
        desired,
        installed,
        failed,
        reason,
        since: head.created,
    }
}
