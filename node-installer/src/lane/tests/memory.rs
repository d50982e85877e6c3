//! A node in memory, and the lane that cares for it.

use std::sync::{Mutex, MutexGuard};

use daemon::manifests::Manifest as _;
use serde_json::json;

use super::*;
use crate::{
    artifact::Digest,
    backend::{Change, Changed, Failure},
    disk::File,
    ledger::Entries,
    plan::{Found, Kernel},
};

/// What a node has, and what goes wrong on it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) texts: BTreeMap<Box<str>, String>,
    /// Why a profile cannot be installed.
    pub(super) fails: BTreeMap<Box<str>, Failure>,
    /// Why nothing can be removed.
    pub(super) stuck: Option<Failure>,
    /// What fails leaves its text behind all the same.
    pub(super) leaves: bool,
    pub(super) unavailable: Option<String>,
    pub(super) blind: Option<Failure>,
    /// How often a profile was tried.
    pub(super) tries: BTreeMap<Box<str>, usize>,
}

/// A backend that puts profiles into memory.
#[derive(Clone, Debug, Default)]
pub(super) struct InMemory(Arc<Mutex<Memory>>);

impl InMemory {
    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Memory {
    fn install(&mut self, name: &str, text: &str) -> Result<Option<String>, Failure> {
        *self.tries.entry(name.into()).or_default() += 1;
        let failure = self.fails.get(name).cloned();
        if failure.is_none() || self.leaves {
            self.texts.insert(name.into(), text.to_owned());
        }
        failure.map_or(Ok(None), Err)
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        *self.tries.entry(name.into()).or_default() += 1;
        self.stuck.clone().map_or(Ok(()), Err)?;
        self.texts.remove(name);
        Ok(())
    }
}

impl Backend for InMemory {
    fn mechanism(&self) -> Mechanism {
        Mechanism::Seccomp
    }

    fn unavailable(&self) -> Option<String> {
        self.lock().unavailable.clone()
    }

    fn observe(
        &mut self,
        names: &BTreeSet<Box<str>>,
    ) -> Result<BTreeMap<Box<str>, Found>, Failure> {
        let blind = self.lock().blind.clone();
        blind.map_or(Ok(()), Err)?;
        let found = |name: &str| {
            let text = self.lock().texts.get(name).cloned();
            let file = text.map_or(File::Absent, |text| File::Content(Digest::of(text.as_bytes())));
            (name.into(), Found::new(file, Kernel::NotAsked))
        };
        Ok(names.iter().map(|name| found(name)).collect())
    }

    fn adoptable(&self, name: &str, text: &str) -> bool {
        self.lock().texts.get(name).is_some_and(|there| there == text)
    }

    fn change(&mut self, change: &Change) -> Changed {
        let mut changed = Changed::default();
        for (name, text) in &change.install {
            changed.installed.insert(name.clone(), self.lock().install(name, text));
        }
        for name in &change.remove {
            changed.removed.insert(name.clone(), self.lock().remove(name));
        }
        changed
    }

    fn running(&self) -> BTreeSet<Box<str>> {
        BTreeSet::new()
    }

    fn place(&self, name: &str) -> String {
        name.to_owned()
    }

    fn needed(&self) -> Vec<std::path::PathBuf> {
        Vec::new()
    }

    fn watched(&self) -> Vec<std::path::PathBuf> {
        Vec::new()
    }
}

/// A node in memory with its state on a disk.
pub(super) struct Node {
    folder: tempfile::TempDir,
    pub(super) memory: InMemory,
    pub(super) lane: Lane,
    pub(super) now: Instant,
}

impl Node {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memory = InMemory::default();
        let lane = open(&folder, &memory);
        Self { folder, memory, lane, now: Instant::now() }
    }

    /// As after the process was ended and started: no source has spoken yet.
    pub(super) fn restart(&mut self) {
        self.lane = open(&self.folder, &self.memory);
    }

    pub(super) fn layout(&self) -> Layout {
        layout(&self.folder)
    }

    /// What was written down as ours.
    pub(super) fn ledger(&self) -> Entries {
        Ledger::open(&self.layout().ledger(Mechanism::Seccomp)).unwrap().entries
    }

    pub(super) fn apply(&mut self, objects: &[Object]) {
        self.lane.apply(objects);
    }

    /// These objects are all that there are, and no pod is.
    pub(super) fn all(&mut self, objects: &[Object]) -> Reports {
        self.lane.apply(objects);
        let keys = objects.iter().map(|object| object.key.clone()).collect();
        self.lane.all(ProfileKind::SeccompProfile, &keys);
        self.lane.set_users(Arc::default());
        self.reconcile()
    }

    pub(super) fn reconcile(&mut self) -> Reports {
        self.lane.reconcile(self.now, &|_| ())
    }

    pub(super) fn later(&mut self, seconds: u64) -> Reports {
        self.now += Duration::from_secs(seconds);
        self.reconcile()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.memory.lock().texts.get(name).cloned()
    }

    pub(super) fn has(&self, name: &str, part: &str) -> bool {
        self.text(name).is_some_and(|text| text.contains(part))
    }

    pub(super) fn tries(&self, name: &str) -> usize {
        self.memory.lock().tries.get(name).copied().unwrap_or_default()
    }

    pub(super) fn fail(&self, name: &str, failure: Failure) {
        self.memory.lock().fails.insert(name.into(), failure);
    }

    pub(super) fn mend(&self) {
        self.memory.lock().fails.clear();
    }
}

fn layout(folder: &tempfile::TempDir) -> Layout {
    Layout::new(folder.path(), std::path::Path::new("/var/lib/kubelet"))
}

fn open(folder: &tempfile::TempDir, memory: &InMemory) -> Lane {
    let backend = Box::new(memory.clone());
    Lane::open(backend, &layout(folder), Permitted::default(), Arc::default()).unwrap()
}

/// What is said of a profile.
pub(super) fn said(reports: &Reports, name: &str) -> (NodeProfileState, String) {
    let verdict = &reports[&key(name)].verdict;
    (verdict.state, verdict.message.clone().unwrap_or_default())
}

pub(super) fn key(name: &str) -> Key {
    Key::new(ProfileKind::SeccompProfile, name).unwrap()
}

/// A profile that allows one call, at a generation.
pub(super) fn allowing(name: &str, generation: i64, call: &str) -> Object {
    on_base(name, generation, call, None)
}

/// The same, built on another one.
pub(super) fn on_base(name: &str, generation: i64, call: &str, base: Option<&str>) -> Object {
    let object = Object::read(json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1",
        "kind": "SeccompProfile",
        "metadata": { "name": name },
        "spec": {
            "defaultAction": "SCMP_ACT_ERRNO",
            "baseProfileName": base,
            "syscalls": [{ "names": [call], "action": "SCMP_ACT_ALLOW" }],
        },
    }));
    Object { generation: Some(generation), ..object.unwrap().unwrap() }
}
