//! Whether a pod still has to wait: for what it carries, on the nodes that it may go to. Pure.

use std::{collections::BTreeMap, sync::Arc};

use profile::{
    bindings::{Bindings, Target},
    image::Reference,
    kinds::{WhenNotReady, node::NodeProfileState},
    mechanism::Mechanism,
    recordings::Mark,
};

use crate::controller::{
    key::ProfileKey,
    place::Placement,
    pod::{Container, Pod},
    state::State,
};

/// What is to become of a pod behind our gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep(Wait),
    Open(Reason),
}

/// What a pod waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// No node that is ready takes the pod.
    NoNode,
    /// So many of the nodes do not have a profile yet, this one first.
    Missing { profile: ProfileKey, node: Arc<str>, lacking: usize, nodes: usize },
    /// A node cannot have it.
    Failed { profile: ProfileKey, node: Arc<str>, message: Box<str> },
}

/// Why a gate is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// All nodes that the pod may go to have its profiles.
    Ready,
    /// No binding asks for it to wait, be it no more or never.
    NotAsked,
    /// The namespace has not opted in to bindings, be it no more or never.
    SwitchedOff,
    /// This profile will not come, and there is no other to wait for.
    Gone(ProfileKey),
}

/// The profiles that a pod waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// They are there, or will be.
    pub(super) profiles: Vec<ProfileKey>,
    /// They are neither and never will be: deleted, being deleted, or disabled.
    pub(super) gone: Vec<ProfileKey>,
}

impl Wanted {
    /// The profiles that the pod's containers carry by the wish of bindings that ask for it to wait.
    ///
    /// What it carries is read from the pod: a binding may have been changed since. Whether it waits at all is read from
    /// the bindings of now, since nothing of what was at admission is remembered.
    pub(super) fn of(pod: &Pod, bindings: &Bindings, state: &State) -> Self {
        let mut wanted = Self::default();
        for container in &pod.containers {
            for mechanism in Mechanism::ALL {
                wanted.add(pod, container, mechanism, bindings, state);
            }
        }
        wanted.profiles.sort();
        wanted.profiles.dedup();
        wanted.gone.sort();
        wanted.gone.dedup();
        wanted
    }

    fn add(
        &mut self,
        pod: &Pod,
        container: &Container,
        mechanism: Mechanism,
        bindings: &Bindings,
        state: &State,
    ) {
        let Some(carried) = container.under[mechanism as usize].as_deref() else { return };
        let image = Reference::parse(&container.image).ok();
        let target =
            Target { image: image.as_ref(), container: &container.name, labels: &pod.labels };
        let winner = bindings.winner(mechanism, &target);
        let Some(winner) = winner.filter(|it| it.when_not_ready == WhenNotReady::Gate) else {
            return;
        };
        let bound = ProfileKey::new(winner.kind, &winner.profile);
        if container.is_under(mechanism, &bound.local_name()) {
            let list = if will_come(&bound, state) { &mut self.profiles } else { &mut self.gone };
            list.push(bound);
        } else if !Mark::prepares(mechanism, carried) {
            // It was bound to another profile of ours, or has one that is none of ours and never was waited for.
            let mut meant = ProfileKey::meant(mechanism, carried);
            self.profiles.extend(meant.find(|key| will_come(key, state)));
        }
    }
}

fn will_come(key: &ProfileKey, state: &State) -> bool {
    state.profiles.get(key).is_some_and(|profile| profile.enabled && !profile.deleting)
}

/// What is found out once for all pods that ask the same.
#[derive(Debug, Default)]
pub(super) struct Judge<'a> {
    candidates: BTreeMap<&'a Placement, Vec<&'a Arc<str>>>,
    waits: BTreeMap<(&'a Placement, Vec<ProfileKey>), Option<Wait>>,
}

impl<'a> Judge<'a> {
    /// Judges a pod that wants these profiles; None is what a pod wants in a namespace that has not opted in.
    pub(super) fn verdict(
        &mut self,
        placement: &'a Placement,
        wanted: Option<&Wanted>,
        state: &'a State,
    ) -> Verdict {
        let Some(Wanted { profiles, gone }) = wanted else {
            return Verdict::Open(Reason::SwitchedOff);
        };
        if profiles.is_empty() {
            let gone = gone.first().cloned();
            return Verdict::Open(gone.map_or(Reason::NotAsked, Reason::Gone));
        }
        match self.wait(placement, profiles, state) {
            Some(wait) => Verdict::Keep(wait),
            None => Verdict::Open(Reason::Ready),
        }
    }

    fn wait(
        &mut self,
        placement: &'a Placement,
        profiles: &[ProfileKey],
        state: &'a State,
    ) -> Option<Wait> {
        let key = (placement, profiles.to_owned());
        if let Some(known) = self.waits.get(&key) {
            return known.clone();
        }
        let nodes =
            self.candidates.entry(placement).or_insert_with(|| candidates(placement, state));
        let wait = wait(nodes, profiles, state);
        self.waits.insert(key, wait.clone());
        wait
    }
}

/// The nodes that a pod may go to: one that is not ready takes no pods.
fn candidates<'a>(placement: &Placement, state: &'a State) -> Vec<&'a Arc<str>> {
    let ready = state.places.iter().filter(|(name, _)| state.nodes.is_ready(name));
    ready.filter(|(name, place)| placement.admits(name, place)).map(|(name, _)| name).collect()
}

fn wait(nodes: &[&Arc<str>], profiles: &[ProfileKey], state: &State) -> Option<Wait> {
    if nodes.is_empty() {
        return Some(Wait::NoNode);
    }
    let mut missing = None;
    for profile in profiles {
        let generation = state.profiles.get(profile).map_or(i64::MAX, |it| it.generation);
        let (mut lacking, mut first) = (0, None);
        for node in nodes {
            let said = state.nodes.says(node, profile);
            let newest = said.and_then(|said| said.generation).is_some_and(|it| it >= generation);
            match said.map(|said| said.state) {
                Some(NodeProfileState::Installed) if newest => continue,
                Some(NodeProfileState::Failed) => {
                    let message = said.and_then(|said| said.message.clone()).unwrap_or_default();
                    let (profile, node) = (profile.clone(), Arc::clone(node));
                    return Some(Wait::Failed { profile, node, message });
                }
                _ => {}
            }
            lacking += 1;
            first.get_or_insert(*node);
        }
        if let (None, Some(node)) = (&missing, first) {
            let (profile, node) = (profile.clone(), Arc::clone(node));
            missing = Some(Wait::Missing { profile, node, lacking, nodes: nodes.len() });
        }
    }
    missing
}
