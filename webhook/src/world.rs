//! The objects that are there now, and the snapshot made of them. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use profile::{
    bindings::{Binding, Bindings},
    kinds::ProfileKind,
    recordings::{Recording, Recordings},
    snapshot::{Invalid, Namespace, Profiles, Readiness, Snapshot, Switches},
};

/// The kinds of object that answers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Binding,
    Recording,
    Namespace,
    Profile(ProfileKind),
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Binding,
        Self::Recording,
        Self::Namespace,
        Self::Profile(ProfileKind::SeccompProfile),
        Self::Profile(ProfileKind::SelinuxProfile),
        Self::Profile(ProfileKind::RawSelinuxProfile),
        Self::Profile(ProfileKind::AppArmorProfile),
    ];

    /// The kind's name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binding => "ProfileBinding",
            Self::Recording => "ProfileRecording",
            Self::Namespace => "Namespace",
            Self::Profile(kind) => kind.as_str(),
        }
    }
}

/// What an object of ours comes down to.
#[derive(Clone, Debug)]
pub enum Item {
    Binding(Arc<Binding>),
    /// None when it takes no more pods.
    Recording(Option<Recording>),
    Switches(Switches),
    Profile(Readiness),
    Invalid(Box<str>),
}

/// Namespace (empty where there is none) and name.
pub type Key = (Box<str>, Box<str>);

/// All objects.
#[derive(Debug)]
pub struct World {
    objects: BTreeMap<Kind, BTreeMap<Key, Item>>,
    snapshot: Arc<Snapshot>,
    dirty_namespaces: BTreeSet<Box<str>>,
    dirty_profiles: bool,
}

impl World {
    /// Nothing yet; `unknown` is what holds for namespaces whose labels are not known.
    pub fn new(unknown: Switches) -> Self {
        Self {
            objects: BTreeMap::new(),
            snapshot: Arc::new(Snapshot { unknown, ..Snapshot::default() }),
            dirty_namespaces: BTreeSet::new(),
            dirty_profiles: false,
        }
    }

    /// An object is there, or has changed.
    pub fn apply(&mut self, kind: Kind, key: Key, item: Item) {
        self.touch(kind, &key);
        self.objects.entry(kind).or_default().insert(key, item);
    }

    /// An object is gone.
    pub fn delete(&mut self, kind: Kind, key: &Key) {
        self.touch(kind, key);
        self.objects.entry(kind).or_default().remove(key);
    }

    /// These are all the objects of a kind.
    pub fn replace(&mut self, kind: Kind, items: BTreeMap<Key, Item>) {
        let before = self.objects.insert(kind, items).unwrap_or_default();
        let now = std::mem::take(self.objects.entry(kind).or_default());
        for key in before.keys().chain(now.keys()) {
            self.touch(kind, key);
        }
        self.objects.insert(kind, now);
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.objects.get(&kind).map_or(0, BTreeMap::len)
    }

    /// How many objects of a kind cannot be used.
    pub fn count_invalid(&self, kind: Kind) -> usize {
        let items = self.objects.get(&kind).into_iter().flatten();
        items.filter(|(_, item)| matches!(item, Item::Invalid(_))).count()
    }

    /// The snapshot of what is there now. Only what has changed since the last one is made anew.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        if self.dirty_namespaces.is_empty() && !self.dirty_profiles {
            return Arc::clone(&self.snapshot);
        }
        let mut next = Snapshot::clone(&self.snapshot);
        for name in std::mem::take(&mut self.dirty_namespaces) {
            match self.namespace(&name) {
                Some(namespace) => next.namespaces.insert(name, Arc::new(namespace)),
                None => next.namespaces.remove(&name),
            };
        }
        if std::mem::take(&mut self.dirty_profiles) {
            next.profiles = Arc::new(self.profiles());
        }
        self.snapshot = Arc::new(next);
        Arc::clone(&self.snapshot)
    }

    fn touch(&mut self, kind: Kind, (namespace, name): &Key) {
        match kind {
            Kind::Profile(_) => self.dirty_profiles = true,
            Kind::Namespace => {
                self.dirty_namespaces.insert(name.clone());
            }
            Kind::Binding | Kind::Recording => {
                self.dirty_namespaces.insert(namespace.clone());
            }
        }
    }

    fn namespace(&self, name: &str) -> Option<Namespace> {
        let switches = self.objects.get(&Kind::Namespace).and_then(|all| {
            match all.get(&(Box::default(), name.into()))? {
                Item::Switches(switches) => Some(*switches),
                _ => None,
            }
        });
        let mut invalid = Vec::new();
        let mut bindings = Vec::new();
        let mut recordings = Vec::new();
        for kind in [Kind::Binding, Kind::Recording] {
            for (object, item) in self.in_namespace(kind, name) {
                match item {
                    Item::Binding(binding) => bindings.push(Arc::clone(binding)),
                    Item::Recording(recording) => recordings.extend(recording.clone()),
                    Item::Invalid(reason) => invalid.push(Invalid {
                        kind: kind.as_str(),
                        name: object.into(),
                        reason: reason.clone(),
                    }),
                    Item::Switches(_) | Item::Profile(_) => {}
                }
            }
        }
        let empty = bindings.is_empty() && recordings.is_empty() && invalid.is_empty();
        (switches.is_some() || !empty).then(|| Namespace {
            switches,
            bindings: Bindings::new(bindings),
            recordings: Recordings::new(recordings),
            invalid,
        })
    }

    fn in_namespace<'a>(
        &'a self,
        kind: Kind,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Item)> {
        let first: Key = (name.into(), Box::default());
        let objects =
            self.objects.get(&kind).into_iter().flat_map(move |all| all.range(first.clone()..));
        objects
            .take_while(move |((namespace, _), _)| **namespace == *name)
            .map(|((_, name), item)| (&**name, item))
    }

    fn profiles(&self) -> Profiles {
        let mut profiles = Profiles::default();
        for (kind, objects) in &self.objects {
            let Kind::Profile(kind) = kind else { continue };
            for ((_, name), item) in objects {
                if let Item::Profile(readiness) = item {
                    profiles.insert(*kind, name, *readiness);
                }
            }
        }
        profiles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> Key {
        (namespace.into(), name.into())
    }

    #[test]
    fn a_namespace_that_did_not_change_is_not_made_anew() {
        let mut world = World::new(Switches::default());
        world.apply(Kind::Namespace, key("", "a"), Item::Switches(Switches::ON));
        world.apply(Kind::Namespace, key("", "b"), Item::Switches(Switches::ON));
        let before = world.snapshot();
        world.apply(Kind::Binding, key("a", "x"), Item::Invalid("why".into()));
        let after = world.snapshot();
        assert!(!Arc::ptr_eq(&before.namespaces["a"], &after.namespaces["a"]));
        assert!(Arc::ptr_eq(&before.namespaces["b"], &after.namespaces["b"]));
        assert_eq!(&*after.namespaces["a"].invalid[0].reason, "why");
    }

    #[test]
    fn replacing_forgets_what_is_not_named_any_more() {
        let mut world = World::new(Switches::default());
        world.apply(Kind::Binding, key("a", "x"), Item::Invalid("x".into()));
        drop(world.snapshot());
        world.replace(Kind::Binding, [(key("b", "y"), Item::Invalid("y".into()))].into());
        let snapshot = world.snapshot();
        assert!(!snapshot.namespaces.contains_key("a") && snapshot.namespaces.contains_key("b"));
    }

    #[test]
    fn a_namespace_of_which_nothing_is_known_follows_the_default() {
        let mut world = World::new(Switches { binding: true, recording: false });
        world.apply(Kind::Namespace, key("", "off"), Item::Switches(Switches::default()));
        let snapshot = world.snapshot();
        assert!(snapshot.switches("new").binding && !snapshot.switches("off").binding);
    }
}
