//! What to do so that a node has what it should have, and what to say of each profile. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use profile::kinds::{ProfileState, node::NodeProfileState};

use crate::{
    artifact::Digest,
    disk::{DiskError, File},
    key::Key,
    ledger::{Entries, Entry},
};

/// A profile that an object asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub generation: Option<i64>,
    pub created: Option<String>,
    pub state: ProfileState,
    /// Of its text, or why it has none.
    pub artifact: Result<Digest, String>,
    /// The names of the profiles that must be there for it.
    pub needs: Vec<Box<str>>,
}

/// What is on the node under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub file: File,
    pub kernel: Kernel,
    /// Somebody else has this name, and where.
    pub taken: Option<String>,
    /// It is not in the ledger, but is known to be ours, or the same as ours would be.
    pub adoptable: bool,
}

/// What the kernel has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The kernel holds nothing for this mechanism: a runtime reads the file.
    NotAsked,
    Absent,
    /// With what it calls the policy, where it tells.
    Loaded(Option<String>),
}

/// Who runs under a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is not known yet which pods there are.
    Unknown,
    By(Vec<String>),
}

/// All that a plan depends on.
pub struct Situation<'a> {
    pub wanted: &'a BTreeMap<Key, Wanted>,
    /// Whether all objects are known: otherwise nothing is removed.
    pub complete: bool,
    pub found: &'a BTreeMap<Box<str>, Found>,
    pub ledger: &'a Entries,
    pub users: &'a dyn Fn(&str) -> Use,
    /// What has failed and is not to be tried again yet: the text, and why.
    pub held: &'a BTreeMap<Box<str>, (Digest, String)>,
}

impl fmt::Debug for Situation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Situation")
            .field("wanted", self.wanted)
            .field("found", self.found)
            .field("ledger", self.ledger)
            .finish_non_exhaustive()
    }
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub install: BTreeMap<Box<str>, Install>,
    pub remove: BTreeMap<Box<str>, Key>,
    pub verdicts: BTreeMap<Key, Verdict>,
}

/// A text to put on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    pub key: Key,
    pub digest: Digest,
    pub cause: Cause,
    /// Whether the node has another version of it, which stays when this one fails.
    pub stays: bool,
}

/// Why a text is put on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    New,
    Changed,
    /// It was there, and somebody has changed or removed it.
    Drift,
}

/// What to say of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub state: NodeProfileState,
    /// The generation that the node has.
    pub generation: Option<i64>,
    pub message: Option<String>,
}

/// Makes the plan.
pub fn plan(situation: &Situation<'_>) -> Plan {
    let mut plan = Plan::default();
    let claims = claims(situation, &mut plan.verdicts);
    let accepted = accepted(situation, &claims);
    for (name, key) in &claims {
        decide(situation, &accepted, name, key, &mut plan);
    }
    if situation.complete {
        for (name, entry) in situation.ledger {
            if !claims.contains_key(name) {
                // Also what is as it should be and lacks another one: it would be lost with this one, too.
                let stays = |key: &Key| {
                    let verdict = plan.verdicts.get(key);
                    accepted.contains(&*key.name)
                        || verdict.is_some_and(|v| v.state == NodeProfileState::Installed)
                };
                let needed = claims
                    .values()
                    .find(|key| stays(key) && situation.wanted[*key].needs.contains(name));
                match kept(situation, name, needed.copied()) {
                    None => drop(plan.remove.insert(name.clone(), entry.key.clone())),
                    Some(message) => {
                        let verdict = Verdict {
                            state: NodeProfileState::Terminating,
                            generation: entry.generation,
                            message: Some(message),
                        };
                        // The name may be wanted by nobody while its object is there, but Disabled.
                        plan.verdicts.insert(entry.key.clone(), verdict);
                    }
                }
            }
        }
    }
    plan
}

/// For each name the profile that has it: the one that has it already, else the oldest. The others are told.
fn claims<'a>(
    situation: &Situation<'a>,
    verdicts: &mut BTreeMap<Key, Verdict>,
) -> BTreeMap<Box<str>, &'a Key> {
    let mut by_name = BTreeMap::<Box<str>, Vec<(&Key, &Wanted)>>::new();
    for (key, wanted) in situation.wanted {
        if wanted.state == ProfileState::Enabled {
            by_name.entry(key.name.clone()).or_default().push((key, wanted));
        }
    }
    let mut claims = BTreeMap::new();
    for (name, mut claimants) in by_name {
        let owner = situation.ledger.get(&name).map(|entry| &entry.key);
        claimants.sort_by_key(|(key, wanted)| (Some(*key) != owner, &wanted.created, *key));
        let (winner, _) = claimants[0];
        for (key, _) in &claimants[1..] {
            let message = format!("the name {name} is taken by {winner}: give one of them another");
            verdicts.insert((*key).clone(), Verdict::failed(message));
        }
        claims.insert(name, winner);
    }
    claims
}

/// The names of profiles that have a text and all that they need.
fn accepted(situation: &Situation<'_>, claims: &BTreeMap<Box<str>, &Key>) -> BTreeSet<Box<str>> {
    let usable = |name: &str, key: &Key| match &situation.wanted[key].artifact {
        Err(_) => false,
        Ok(digest) => {
            let held = situation.held.get(name).is_some_and(|(held, _)| held == digest);
            !held && cause(situation, name, key, *digest).is_ok()
        }
    };
    let mut accepted = BTreeSet::new();
    loop {
        let before = accepted.len();
        for (name, key) in claims {
            let needs = &situation.wanted[*key].needs;
            let met = |need: &str| accepted.contains(need) || is_there(situation, need);
            if !accepted.contains(name) && usable(name, key) && needs.iter().all(|need| met(need)) {
                accepted.insert(name.clone());
            }
        }
        if accepted.len() == before {
            return accepted;
        }
    }
}

/// Decides on a profile that is to be on the node.
fn decide(
    situation: &Situation<'_>,
    accepted: &BTreeSet<Box<str>>,
    name: &str,
    key: &Key,
    plan: &mut Plan,
) {
    let wanted = &situation.wanted[key];
    let entry = situation.ledger.get(name);
    let failed = |message: String| {
        let stays = entry.filter(|entry| entry.key == *key && is_there(situation, name));
        Verdict::failed_beside(message, stays)
    };
    let verdict = match &wanted.artifact {
        Err(why) => failed(why.clone()),
        Ok(digest) => {
            let cause = cause(situation, name, key, *digest);
            let held = situation.held.get(name).filter(|(held, _)| held == digest);
            match (cause, held) {
                (Ok(None), _) => Verdict {
                    state: NodeProfileState::Installed,
                    generation: wanted.generation,
                    message: None,
                },
                (Err(taken), _) => failed(taken),
                (Ok(Some(_)), Some((_, why))) => failed(why.clone()),
                (Ok(Some(_)), None) if !accepted.contains(name) => {
                    failed(missing(situation, accepted, wanted))
                }
                (Ok(Some(cause)), None) => {
                    let stays = entry.is_some_and(|e| e.key == *key) && is_there(situation, name);
                    let install = Install { key: key.clone(), digest: *digest, cause, stays };
                    plan.install.insert(name.into(), install);
                    Verdict {
                        state: NodeProfileState::Pending,
                        generation: entry.and_then(|entry| entry.generation),
                        message: None,
                    }
                }
            }
        }
    };
    plan.verdicts.insert(key.clone(), verdict);
}

/// Why the text is to be put on the node; none when it is there, an error when the name is somebody else's.
fn cause(
    situation: &Situation<'_>,
    name: &str,
    key: &Key,
    digest: Digest,
) -> Result<Option<Cause>, String> {
    let absent =
        Found { file: File::Absent, kernel: Kernel::NotAsked, taken: None, adoptable: false };
    let found = situation.found.get(name).unwrap_or(&absent);
    if let Some(taken) = &found.taken {
        return Err(taken.clone());
    }
    let Some(entry) = situation.ledger.get(name) else {
        let free = found.file == File::Absent && !matches!(found.kernel, Kernel::Loaded(_));
        return if free || found.adoptable {
            Ok(Some(Cause::New))
        } else {
            let what = match &found.file {
                File::Other(what) => what,
                File::Content(_) => "a file",
                File::Absent => "a profile in the kernel",
            };
            Err(format!(
                "{what} of this name was not put on the node by Cinch and is left alone: remove it, or choose another name"
            ))
        };
    };
    if entry.key != *key || entry.digest != digest {
        return Ok(Some(Cause::Changed));
    }
    let loaded = match &found.kernel {
        Kernel::NotAsked => true,
        Kernel::Absent => false,
        Kernel::Loaded(fingerprint) => *fingerprint == entry.fingerprint,
    };
    let intact = found.file == File::Content(digest) && loaded;
    Ok(if intact { None } else { Some(Cause::Drift) })
}

/// What a profile lacks.
fn missing(situation: &Situation<'_>, accepted: &BTreeSet<Box<str>>, wanted: &Wanted) -> String {
    let met = |need: &str| accepted.contains(need) || is_there(situation, need);
    let lacking = wanted.needs.iter().filter(|need| !met(need));
    let known = |name: &str| situation.wanted.keys().any(|key| *key.name == *name);
    let each = lacking.map(|name| {
        if known(name) {
            format!("it inherits {name}, which is not on the node itself")
        } else {
            format!("it inherits {name}, and there is no such profile")
        }
    });
    each.collect::<Vec<_>>().join("; ")
}

/// Why a profile that no object asks for stays; none when it goes.
fn kept(situation: &Situation<'_>, name: &str, needed: Option<&Key>) -> Option<String> {
    if let Some(key) = needed {
        return Some(format!("stays as long as {key} inherits it"));
    }
    match (situation.users)(name) {
        Use::Unknown => Some("stays until it is known which pods use it".to_owned()),
        Use::By(users) => match &users[..] {
            [] => {
                let entry = situation.ledger.get(name)?;
                let held = situation.held.get(name).filter(|(held, _)| *held == entry.digest);
                held.map(|(_, why)| format!("cannot be removed: {why}"))
            }
            [one] => Some(format!("stays as long as {one} uses it")),
            [one, more @ ..] => {
                Some(format!("stays as long as {one} and {} more use it", more.len()))
            }
        },
    }
}

/// Whether the node has a profile of ours by this name, in whatever version.
fn is_there(situation: &Situation<'_>, name: &str) -> bool {
    let found = situation.found.get(name);
    situation.ledger.contains_key(name)
        && found.is_some_and(|found| matches!(found.file, File::Content(_)))
}

impl Found {
    /// Nobody else has the name.
    pub fn new(file: File, kernel: Kernel) -> Self {
        Self { file, kernel, taken: None, adoptable: false }
    }

    /// What is there cannot be looked at: nothing is done about it, and others go on.
    pub fn hidden(error: &DiskError) -> Self {
        let taken = Some(daemon::error::chain(error));
        Self { file: File::Other("something"), kernel: Kernel::NotAsked, taken, adoptable: false }
    }
}

impl Verdict {
    /// It could not be installed, and this version of it, if any, is what the node still has.
    pub fn failed_beside(message: String, stays: Option<&Entry>) -> Self {
        let generation = stays.and_then(|entry| entry.generation);
        let message = match (stays, generation) {
            (None, _) => message,
            (Some(_), None) => format!("{message}; what was there before stays"),
            (Some(_), Some(generation)) => format!("{message}; generation {generation} stays"),
        };
        Self { generation, ..Self::failed(message) }
    }

    /// It could not be installed.
    pub fn failed(message: String) -> Self {
        Self { state: NodeProfileState::Failed, generation: None, message: Some(message) }
    }
}

#[cfg(test)]
mod tests;
