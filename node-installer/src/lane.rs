//! One mechanism on one node: takes in what objects ask for, and makes the node have it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use profile::{
    kinds::{ProfileKind, ProfileState, SeccompProfileSpec, selinux::Permitted},
    mechanism::Mechanism,
};

use crate::{
    artifact::{self, Artifact},
    backend::Backend,
    key::Key,
    layout::Layout,
    ledger::{Ledger, LedgerError},
    metrics::Metrics,
    object::{Object, Spec},
    plan::{Verdict, Wanted},
    store::Store,
    users::Users,
};
use held::Held;

mod held;
mod reconcile;
pub mod thread;

/// How long to wait before objects that could not be copied are copied again.
const KEEP_AGAIN: Duration = Duration::from_secs(5);

/// One mechanism on one node.
pub struct Lane {
    backend: Box<dyn Backend>,
    store: Store,
    ledger: Ledger,
    permitted: Permitted,
    metrics: Arc<Metrics>,
    wanted: BTreeMap<Key, Wanted>,
    /// Texts that are not on the node yet; others are made anew when they are needed.
    texts: BTreeMap<Key, String>,
    /// Objects of which there is no copy yet, and when to make them again.
    unkept: BTreeMap<Key, Object>,
    keep_at: Option<Instant>,
    /// What their authors should know of profiles that can be installed.
    notes: BTreeMap<Key, String>,
    /// On what a seccomp profile builds.
    bases: BTreeMap<Key, Box<str>>,
    /// The kinds of which not all objects are known yet.
    unknown: BTreeSet<ProfileKind>,
    /// None as long as it is not known which pods there are.
    users: Option<Arc<Users>>,
    held: Held,
    /// How long the newest installation of a profile took.
    took: BTreeMap<Key, Duration>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("mechanism", &self.mechanism()).finish_non_exhaustive()
    }
}

/// What is said of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub verdict: Verdict,
    /// Where it is on the node.
    pub place: String,
    /// How long it took to put it there, if that was done since the start.
    pub took: Option<Duration>,
}

/// What is said of each profile of a mechanism.
pub type Reports = BTreeMap<Key, Report>;

/// The kinds of profile of a mechanism.
pub fn kinds(mechanism: Mechanism) -> impl Iterator<Item = ProfileKind> {
    ProfileKind::ALL.iter().copied().filter(move |kind| Mechanism::of(*kind) == mechanism)
}

impl Lane {
    /// A lane that knows what was kept of the objects when it last ran.
    pub fn open(
        backend: Box<dyn Backend>,
        layout: &Layout,
        permitted: Permitted,
        metrics: Arc<Metrics>,
    ) -> Result<Self, LedgerError> {
        let mechanism = backend.mechanism();
        let mut lane = Self {
            backend,
            store: Store::new(layout.objects()),
            ledger: Ledger::open_or_set_aside(&layout.ledger(mechanism))?,
            permitted,
            metrics,
            wanted: BTreeMap::new(),
            texts: BTreeMap::new(),
            notes: BTreeMap::new(),
            unkept: BTreeMap::new(),
            keep_at: None,
            bases: BTreeMap::new(),
            unknown: kinds(mechanism).collect(),
            users: None,
            held: Held::default(),
            took: BTreeMap::new(),
        };
        let store = lane.store.clone();
        let known = KnownBases::new(&store);
        for key in kinds(mechanism).flat_map(|kind| store.keys(kind)) {
            if let Some(object) = store.get(&key) {
                lane.want(&object, &known);
            }
        }
        // What is on the node already needs no text.
        lane.texts.clear();
        Ok(lane)
    }

    /// Which mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.backend.mechanism()
    }

    /// Objects are there, or have changed. Of one that is there twice the second is the newer.
    pub fn apply(&mut self, objects: &[Object]) {
        let newest: BTreeMap<&Key, &Object> =
            objects.iter().map(|object| (&object.key, object)).collect();
        let objects: Vec<&Object> = newest.into_values().collect();
        let new = match self.store.put(objects.iter().copied()) {
            Ok(new) => {
                for object in &objects {
                    self.unkept.remove(&object.key);
                }
                new
            }
            Err(error) => {
                let error = daemon::error::chain(&error);
                tracing::warn!(error, "objects are not copied for times without an API server");
                self.unkept.extend(objects.iter().map(|&o| (o.key.clone(), o.clone())));
                objects.iter().map(|object| object.key.clone()).collect()
            }
        };
        let changed: Vec<_> = objects
            .iter()
            .filter(|object| new.contains(&object.key) || !self.wanted.contains_key(&object.key))
            .collect();
        let known = self.bases_among(&objects);
        for object in &changed {
            self.want(object, &known);
        }
        let names = changed.iter().map(|object| object.key.clone()).collect();
        self.renew_dependants(names, &known);
    }

    /// Makes copies that could not be made.
    fn keep_again(&mut self, now: Instant) {
        if self.unkept.is_empty() || self.keep_at.is_some_and(|at| at > now) {
            return;
        }
        match self.store.put(self.unkept.values()) {
            Ok(_) => self.unkept.clear(),
            Err(error) => {
                let error = daemon::error::chain(&error);
                tracing::warn!(error, "objects are still not copied");
            }
        }
        self.keep_at = Some(now + KEEP_AGAIN).filter(|_| !self.unkept.is_empty());
    }

    /// An object is gone.
    pub fn delete(&mut self, key: &Key) {
        self.forget(key);
        let known = self.bases_among(&[]);
        self.renew_dependants([key.clone()].into(), &known);
    }

    /// These are all the objects of a kind.
    pub fn all(&mut self, kind: ProfileKind, keys: &BTreeSet<Key>) {
        self.unknown.remove(&kind);
        let gone: Vec<_> = self
            .wanted
            .keys()
            .filter(|key| key.kind == kind && !keys.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            self.delete(&key);
        }
    }

    /// Whether all objects are known.
    pub fn is_complete(&self) -> bool {
        self.unknown.is_empty()
    }

    /// Whether there is anything on the node for which it matters what pods use.
    pub fn asks_for_users(&self) -> bool {
        let names: BTreeSet<_> = self
            .wanted
            .iter()
            .filter(|(_, wanted)| wanted.state == ProfileState::Enabled)
            .map(|(key, _)| &key.name)
            .collect();
        self.ledger.entries.keys().any(|name| !names.contains(name))
    }

    /// Whether it is known what pods use.
    pub fn knows_users(&self) -> bool {
        self.users.is_some()
    }

    /// What pods use.
    pub fn set_users(&mut self, users: Arc<Users>) {
        self.users = Some(users);
    }

    /// When something that has failed is to be tried again.
    pub fn next_try(&self) -> Option<Instant> {
        self.held.next().into_iter().chain(self.keep_at).min()
    }

    fn forget(&mut self, key: &Key) {
        self.wanted.remove(key);
        self.texts.remove(key);
        self.notes.remove(key);
        self.bases.remove(key);
        self.took.remove(key);
        self.unkept.remove(key);
        // Whatever did not go well with it: that it goes is something else.
        self.held.release(&key.name);
        if let Err(error) = self.store.remove(key) {
            let error = daemon::error::chain(&error);
            tracing::warn!(error, "the copy of an object that is gone stays");
        }
    }

    /// Takes in what an object asks for.
    fn want(&mut self, object: &Object, bases: &KnownBases) {
        let artifact = match object.spec.state() {
            ProfileState::Enabled => Artifact::of(object, &|name| bases.get(name), &self.permitted),
            ProfileState::Disabled => Err("the profile is disabled".to_owned()),
        };
        let key = object.key.clone();
        match artifact::base(object) {
            Some(base) => drop(self.bases.insert(key.clone(), base.into())),
            None => drop(self.bases.remove(&key)),
        }
        let wanted = Wanted {
            generation: object.generation,
            created: object.created.clone(),
            state: object.spec.state(),
            artifact: artifact.as_ref().map(|artifact| artifact.digest).map_err(Clone::clone),
            needs: artifact::needs(object),
        };
        self.wanted.insert(key.clone(), wanted);
        let (text, note) = artifact.map_or((None, None), |made| (Some(made.text), made.note));
        set(&mut self.notes, &key, note);
        set(&mut self.texts, &key, text);
    }

    /// The profiles that build on ones that have changed are made anew.
    fn renew_dependants(&mut self, changed: BTreeSet<Key>, known: &KnownBases) {
        let mut names: BTreeSet<Box<str>> = changed.iter().map(|key| key.name.clone()).collect();
        let mut renewed = changed;
        loop {
            let next: Vec<_> = self
                .bases
                .iter()
                .filter(|(key, base)| names.contains(*base) && !renewed.contains(*key))
                .map(|(key, _)| key.clone())
                .collect();
            if next.is_empty() {
                return;
            }
            for key in next {
                if let Some(object) = self.object(&key) {
                    self.want(&object, known);
                }
                names.insert(key.name.clone());
                renewed.insert(key);
            }
        }
    }

    /// The text of a profile.
    fn text(&mut self, key: &Key) -> Option<String> {
        if !self.texts.contains_key(key) {
            let object = self.object(key)?;
            let known = self.bases_among(&[]);
            let artifact = Artifact::of(&object, &|name| known.get(name), &self.permitted).ok()?;
            let digest = self.wanted.get(key)?.artifact.as_ref().ok()?;
            return (artifact.digest == *digest).then_some(artifact.text);
        }
        self.texts.get(key).cloned()
    }

    /// An object as it was last told of.
    fn object(&self, key: &Key) -> Option<Object> {
        self.unkept.get(key).cloned().or_else(|| self.store.get(key))
    }

    /// Finds specs among objects at hand, then among copies.
    fn bases_among(&self, objects: &[&Object]) -> KnownBases {
        let known = KnownBases::new(&self.store);
        if objects.is_empty() && self.unkept.is_empty() {
            return known;
        }
        let spec = |object: &Object| match &object.spec {
            Spec::Seccomp(spec) => Some((object.key.name.clone(), Some(Arc::new(spec.clone())))),
            _ => None,
        };
        // Only few are bases of others.
        let used: BTreeSet<_> = self
            .bases
            .values()
            .map(|base| &**base)
            .chain(objects.iter().filter_map(|object| artifact::base(object)))
            .collect();
        let given = self.unkept.values().chain(objects.iter().copied());
        let given = given.filter(|object| used.contains(&*object.key.name));
        known.specs.borrow_mut().extend(given.filter_map(spec));
        known
    }
}

/// Puts a value into a map, or takes it out.
fn set<V>(map: &mut BTreeMap<Key, V>, key: &Key, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key.clone(), value)),
        None => drop(map.remove(key)),
    }
}

/// Specs of seccomp profiles, each read once.
struct KnownBases {
    store: Store,
    specs: RefCell<HashMap<Box<str>, Option<Arc<SeccompProfileSpec>>>>,
}

impl KnownBases {
    fn new(store: &Store) -> Self {
        Self { store: store.clone(), specs: RefCell::default() }
    }

    fn get(&self, name: &str) -> Option<Arc<SeccompProfileSpec>> {
        if let Some(known) = self.specs.borrow().get(name) {
            return known.clone();
        }
        let key = Key::new(ProfileKind::SeccompProfile, name).ok()?;
        let spec = match self.store.get(&key)?.spec {
            Spec::Seccomp(spec) => Some(Arc::new(spec)),
            _ => None,
        };
        self.specs.borrow_mut().insert(name.into(), spec.clone());
        spec
    }
}

#[cfg(test)]
mod tests;
