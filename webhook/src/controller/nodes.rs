//! What the nodes say of profiles, indexed so that one node's news costs no more than what it changes. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use profile::{
    kinds::{NodeProfile, node::NodeProfileState},
    mechanism::Mechanism,
};

use super::key::ProfileKey;

/// All nodes, and all that they say.
#[derive(Debug, Default)]
pub struct Nodes {
    by_name: BTreeMap<Arc<str>, Node>,
    said: BTreeMap<ProfileKey, BTreeMap<Arc<str>, Said>>,
    /// How many of those that count serve a mechanism.
    serving: [usize; Mechanism::ALL.len()],
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Whether the cluster has it, and its kubelet says that it is well.
    pub ready: bool,
    /// Whether its daemon has ever said anything.
    reports: bool,
    /// The profiles that it says something of, sorted.
    says: Vec<ProfileKey>,
    /// By mechanism, whether it says something of any profile.
    serves: [bool; Mechanism::ALL.len()],
}

/// What a node says of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub state: NodeProfileState,
    /// The generation that the node has.
    pub generation: Option<i64>,
    pub message: Option<Box<str>>,
}

/// What has become of a profile on the nodes that count for it.
///
/// Those are the nodes that the cluster has and whose kubelet says that they are well, and that say something of any
/// profile of the mechanism. So a node that is gone or is not ready holds up no profile; neither does one that is new,
/// until its daemon has said what it has, nor one that does not have the mechanism.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub desired: usize,
    /// They have it in its newest form.
    pub installed: Vec<Arc<str>>,
    pub failed: Vec<(Arc<str>, Box<str>)>,
    /// They do not have it yet, or in an older form.
    pub waiting: Vec<Arc<str>>,
    /// Whether any node that waits has begun, or has an older form.
    pub begun: bool,
    pub older: bool,
    /// How many have it, in whichever form.
    pub present: usize,
}

/// What may have to be counted again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    pub profiles: BTreeSet<ProfileKey>,
    pub mechanisms: BTreeSet<Mechanism>,
}

impl Nodes {
    /// The cluster has a node, and whether it is ready; none when it has it no more.
    pub fn node(&mut self, name: &Arc<str>, ready: Option<bool>) -> Recount {
        let before = self.is_ready(name);
        let now = ready.unwrap_or_default();
        if before == now {
            return Recount::default();
        }
        let served = self.serving;
        self.recount(name, |node| node.ready = now);
        let profiles = self.by_name.get(name).map(|node| node.says.iter().cloned().collect());
        Recount { profiles: profiles.unwrap_or_default(), mechanisms: self.changed(served) }
    }

    /// The daemon of a node says this; none when its object is gone.
    pub fn report(&mut self, name: &Arc<str>, report: Option<Vec<NodeProfile>>) -> Recount {
        let served = self.serving;
        let reports = report.is_some();
        let mut profiles = BTreeSet::new();
        let mut says = BTreeSet::new();
        for entry in report.unwrap_or_default() {
            let key = self.key(&entry);
            let said = Said {
                state: entry.state,
                generation: entry.observed_generation,
                message: entry.message.map(Into::into),
            };
            let of_profile = self.said.entry(key.clone()).or_default();
            if of_profile.get(name) != Some(&said) {
                of_profile.insert(Arc::clone(name), said);
                profiles.insert(key.clone());
            }
            says.insert(key);
        }
        let before = self.by_name.get(name).map(|node| node.says.clone()).unwrap_or_default();
        for key in before.into_iter().filter(|key| !says.contains(key)) {
            if let Some(of_profile) = self.said.get_mut(&key) {
                of_profile.remove(name);
                if of_profile.is_empty() {
                    self.said.remove(&key);
                }
            }
            profiles.insert(key);
        }
        self.recount(name, |node| {
            node.reports = reports;
            node.serves = Mechanism::ALL.map(|it| says.iter().any(|key| key.mechanism() == it));
            node.says = says.into_iter().collect();
        });
        Recount { profiles, mechanisms: self.changed(served) }
    }

    /// What has become of a profile of this generation.
    pub fn tally(&self, key: &ProfileKey, generation: i64) -> Tally {
        let mut tally =
            Tally { desired: self.serving[key.mechanism() as usize], ..Tally::default() };
        let said = self.said.get(key);
        for (name, said) in said.into_iter().flatten() {
            if !self.is_ready(name) {
                continue;
            }
            let newest = said.generation.is_some_and(|has| has >= generation);
            tally.present += usize::from(said.generation.is_some());
            match said.state {
                NodeProfileState::Installed if newest => tally.installed.push(Arc::clone(name)),
                NodeProfileState::Failed => {
                    let message = said.message.clone().unwrap_or_default();
                    tally.failed.push((Arc::clone(name), message));
                }
                NodeProfileState::Installed
                | NodeProfileState::Pending
                | NodeProfileState::Terminating => {
                    tally.begun = true;
                    tally.older |= said.generation.is_some();
                    tally.waiting.push(Arc::clone(name));
                }
            }
        }
        if tally.installed.len() + tally.failed.len() + tally.waiting.len() < tally.desired {
            let silent = self.serving(key.mechanism());
            let silent = silent.filter(|name| said.is_none_or(|said| !said.contains_key(*name)));
            tally.waiting.extend(silent.map(Arc::clone));
            tally.waiting.sort();
        }
        tally
    }

    /// What one node says of a profile.
    pub fn says(&self, node: &str, key: &ProfileKey) -> Option<&Said> {
        self.said.get(key)?.get(node)
    }

    /// The nodes that count for a mechanism, by name.
    pub fn serving(&self, mechanism: Mechanism) -> impl Iterator<Item = &Arc<str>> {
        let nodes = self.by_name.iter().filter(move |(_, node)| node.serving(mechanism));
        nodes.map(|(name, _)| name)
    }

    /// Whether the cluster has a node, and its kubelet says that it is well.
    pub fn is_ready(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|node| node.ready)
    }

    /// One text for each name, however many nodes say it.
    fn key(&self, entry: &NodeProfile) -> ProfileKey {
        let key = ProfileKey::new(entry.kind, &entry.name);
        self.said.get_key_value(&key).map(|(known, _)| known.clone()).unwrap_or(key)
    }

    fn recount(&mut self, name: &Arc<str>, change: impl FnOnce(&mut Node)) {
        let node = self.by_name.entry(Arc::clone(name)).or_default();
        let before = node.served();
        change(node);
        for (place, (before, now)) in before.into_iter().zip(node.served()).enumerate() {
            self.serving[place] += usize::from(now);
            self.serving[place] -= usize::from(before);
        }
        // One that neither counts nor says anything is as good as none.
        if !node.ready && !node.reports {
            self.by_name.remove(name);
        }
    }

    fn changed(&self, before: [usize; Mechanism::ALL.len()]) -> BTreeSet<Mechanism> {
        let all = Mechanism::ALL.into_iter();
        all.filter(|m| before[*m as usize] != self.serving[*m as usize]).collect()
    }
}

impl Node {
    fn serving(&self, mechanism: Mechanism) -> bool {
        self.ready && self.serves[mechanism as usize]
    }

    fn served(&self) -> [bool; Mechanism::ALL.len()] {
        Mechanism::ALL.map(|mechanism| self.serving(mechanism))
    }
}

#[cfg(test)]
mod tests;
