//! All that is known of the cluster, indexed by what has to be looked up, and what of it has changed. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use profile::{mechanism::Mechanism, snapshot::Switches};

use super::{
    key::{Named, ProfileKey},
    nodes::{Nodes, Recount},
    place::Places,
    pod::Pod,
    profile::Profile,
    told::{Binding, Kind, Recording, Told},
};

/// What is known.
#[derive(Debug, Default)]
pub struct State {
    pub pods: BTreeMap<Named, Pod>,
    pub bindings: BTreeMap<Named, Binding>,
    pub recordings: BTreeMap<Named, Recording>,
    pub profiles: BTreeMap<ProfileKey, Profile>,
    pub nodes: Nodes,
    pub places: Places,
    pub namespaces: BTreeMap<Arc<str>, Switches>,
    /// The pods that wait behind our scheduling gate.
    pub gated: BTreeSet<Named>,
    /// The nodes that the cluster has, ready or not.
    known_nodes: BTreeSet<Arc<str>>,
    reporting: BTreeSet<Arc<str>>,
    /// The live pods that name a profile, whether or not it is there.
    users: BTreeMap<ProfileKey, BTreeSet<Named>>,
    /// The profiles that build on one.
    built_on: BTreeMap<ProfileKey, BTreeSet<ProfileKey>>,
    told: BTreeSet<Kind>,
    changes: Changes,
}

/// What has changed since it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Pods that have come, changed or gone.
    pub pods: BTreeSet<Named>,
    /// Bindings that have come, changed or gone, be it in their status alone.
    pub bindings: BTreeSet<Named>,
    /// Namespaces in which a binding asks for something else than before.
    pub rules: BTreeSet<Arc<str>>,
    pub recordings: BTreeSet<Named>,
    /// Profiles that have come, changed or gone, be it in their status alone.
    pub profiles: BTreeSet<ProfileKey>,
    /// Profiles that other pods use than before.
    pub used: BTreeSet<ProfileKey>,
    /// Profiles of which nodes say something else, or that other nodes count for.
    pub said: BTreeSet<ProfileKey>,
    /// Nodes that have come, changed, said something or gone.
    pub nodes: BTreeSet<Arc<str>>,
    /// Whether any pod may go to other nodes than before, be it for what is ready alone.
    pub places: bool,
    /// Namespaces that have come, opted in to something else or gone.
    pub namespaces: BTreeSet<Arc<str>>,
}

impl Changes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl State {
    /// Takes a piece of news.
    pub fn take(&mut self, told: Told) {
        match told {
            Told::Pod(key, pod) => self.pod(key, pod.map(|pod| *pod)),
            Told::Node(name, node) => {
                match node {
                    Some(_) => self.known_nodes.insert(Arc::clone(&name)),
                    None => self.known_nodes.remove(&name),
                };
                let was_ready = self.nodes.is_ready(&name);
                let recount = self.nodes.node(&name, node.as_ref().map(|node| node.ready));
                let changed = self.places.put(&name, node.map(|node| node.place));
                self.changes.places |= changed || was_ready != self.nodes.is_ready(&name);
                self.recounted(name, recount);
            }
            Told::Report(name, report) => {
                match report {
                    Some(_) => self.reporting.insert(Arc::clone(&name)),
                    None => self.reporting.remove(&name),
                };
                let recount = self.nodes.report(&name, report);
                self.recounted(name, recount);
            }
            Told::Namespace(name, switches) => {
                if self.namespaces.get(&name) != switches.as_ref() {
                    self.changes.namespaces.insert(Arc::clone(&name));
                }
                put(&mut self.namespaces, name, switches);
            }
            Told::Binding(key, binding) => self.binding(key, binding.map(|binding| *binding)),
            Told::Recording(key, recording) => {
                put(&mut self.recordings, key.clone(), recording.map(|recording| *recording));
                self.changes.recordings.insert(key);
            }
            Told::Profile(key, profile) => self.profile(key, profile.map(|profile| *profile)),
            Told::AllNamed(kind, there) => self.all_named(kind, &there),
            Told::AllOfCluster(kind, there) => self.all_of_cluster(kind, &there),
        }
    }

    /// Whether all there is has been told once.
    pub fn is_complete(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.told.contains(kind))
    }

    /// What has changed since this was last called.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Pod => self.pods.len(),
            Kind::Node => self.known_nodes.len(),
            Kind::Report => self.reporting.len(),
            Kind::Namespace => self.namespaces.len(),
            Kind::Binding => self.bindings.len(),
            Kind::Recording => self.recordings.len(),
            Kind::Profile(kind) => self.profiles.keys().filter(|key| key.kind == kind).count(),
        }
    }

    /// Whether the cluster has a node, ready or not.
    pub fn has_node(&self, name: &str) -> bool {
        self.known_nodes.contains(name)
    }

    /// The pods of a namespace.
    pub fn pods_of<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = (&'a Named, &'a Pod)> {
        of_namespace(&self.pods, namespace)
    }

    /// The bindings of a namespace.
    pub fn bindings_of<'a>(
        &'a self,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Named, &'a Binding)> {
        of_namespace(&self.bindings, namespace)
    }

    /// The live pods that name a profile.
    pub fn users(&self, key: &ProfileKey) -> impl Iterator<Item = &Named> {
        self.users.get(key).into_iter().flatten()
    }

    /// The profiles that build on one, itself included, however many are between.
    pub fn builders(&self, key: &ProfileKey) -> BTreeSet<ProfileKey> {
        closure(key, |key| self.built_on.get(key).into_iter().flatten())
    }

    /// The profiles that one builds on, itself included, however many are between.
    pub fn bases(&self, key: &ProfileKey) -> BTreeSet<ProfileKey> {
        closure(key, |key| self.profiles.get(key).into_iter().flat_map(|profile| &profile.bases))
    }

    fn pod(&mut self, key: Named, pod: Option<Pod>) {
        let none = BTreeSet::new();
        let before = self.pods.get(&key);
        if before == pod.as_ref() {
            return;
        }
        let uses = pod.as_ref().map_or(&none, |pod| &pod.uses);
        let used = before.map_or(&none, |pod| &pod.uses);
        for profile in used.difference(uses) {
            if let Some(users) = self.users.get_mut(profile) {
                users.remove(&key);
                if users.is_empty() {
                    self.users.remove(profile);
                }
            }
        }
        for profile in uses.difference(used) {
            self.users.entry(profile.clone()).or_default().insert(key.clone());
        }
        self.changes.used.extend(used.symmetric_difference(uses).cloned());
        self.changes.pods.insert(key.clone());
        if pod.as_ref().is_some_and(|pod| pod.gated.is_some()) {
            self.gated.insert(key.clone());
        } else {
            self.gated.remove(&key);
        }
        put(&mut self.pods, key, pod);
    }

    fn binding(&mut self, key: Named, binding: Option<Binding>) {
        let before = self.bindings.get(&key);
        if before.and_then(|it| it.rule.as_ref())
            != binding.as_ref().and_then(|it| it.rule.as_ref())
        {
            self.changes.rules.insert(Arc::clone(&key.namespace));
        }
        self.changes.bindings.insert(key.clone());
        put(&mut self.bindings, key, binding);
    }

    fn profile(&mut self, key: ProfileKey, profile: Option<Profile>) {
        let bases = |profile: Option<&Profile>| -> BTreeSet<ProfileKey> {
            profile.map(|profile| profile.bases.iter().cloned().collect()).unwrap_or_default()
        };
        let (before, now) = (bases(self.profiles.get(&key)), bases(profile.as_ref()));
        for base in before.difference(&now) {
            if let Some(builders) = self.built_on.get_mut(base) {
                builders.remove(&key);
                if builders.is_empty() {
                    self.built_on.remove(base);
                }
            }
        }
        for base in now.difference(&before) {
            self.built_on.entry(base.clone()).or_default().insert(key.clone());
        }
        self.changes.used.extend(before.symmetric_difference(&now).cloned());
        self.changes.profiles.insert(key.clone());
        put(&mut self.profiles, key, profile);
    }

    fn recounted(&mut self, name: Arc<str>, Recount { profiles, mechanisms }: Recount) {
        self.changes.nodes.insert(name);
        self.changes.said.extend(profiles);
        if !mechanisms.is_empty() {
            let of = |key: &&ProfileKey| mechanisms.contains(&key.mechanism());
            self.changes.said.extend(self.profiles.keys().filter(of).cloned());
        }
    }

    fn all_named(&mut self, kind: Kind, there: &BTreeSet<Named>) {
        fn gone<T>(of: &BTreeMap<Named, T>, there: &BTreeSet<Named>) -> Vec<Named> {
            of.keys().filter(|key| !there.contains(key)).cloned().collect()
        }
        match kind {
            Kind::Pod => {
                for key in gone(&self.pods, there) {
                    self.pod(key, None);
                }
            }
            Kind::Binding => {
                for key in gone(&self.bindings, there) {
                    self.binding(key, None);
                }
            }
            Kind::Recording => {
                for key in gone(&self.recordings, there) {
                    self.take(Told::Recording(key, None));
                }
            }
            Kind::Node | Kind::Report | Kind::Namespace | Kind::Profile(_) => {}
        }
        self.told.insert(kind);
    }

    fn all_of_cluster(&mut self, kind: Kind, there: &BTreeSet<Arc<str>>) {
        let gone = |of: &BTreeSet<Arc<str>>| -> Vec<_> { of.difference(there).cloned().collect() };
        match kind {
            Kind::Node => {
                for name in gone(&self.known_nodes) {
                    self.take(Told::Node(name, None));
                }
            }
            Kind::Report => {
                for name in gone(&self.reporting) {
                    self.take(Told::Report(name, None));
                }
            }
            Kind::Namespace => {
                let gone = self.namespaces.keys().filter(|name| !there.contains(*name));
                for name in gone.cloned().collect::<Vec<_>>() {
                    self.take(Told::Namespace(name, None));
                }
            }
            Kind::Profile(kind) => {
                let of_kind = self.profiles.keys().filter(|key| key.kind == kind);
                let gone: Vec<_> =
                    of_kind.filter(|key| !there.contains(&key.name)).cloned().collect();
                for key in gone {
                    self.profile(key, None);
                }
            }
            Kind::Pod | Kind::Binding | Kind::Recording => {}
        }
        self.told.insert(kind);
    }

    /// How many nodes that count serve a mechanism.
    pub fn serving(&self, mechanism: Mechanism) -> usize {
        self.nodes.serving(mechanism).count()
    }
}

fn put<K: Ord, V>(into: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(into.insert(key, value)),
        None => drop(into.remove(&key)),
    }
}

fn of_namespace<'a, V>(
    of: &'a BTreeMap<Named, V>,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a Named, &'a V)> {
    let first = Named::new(namespace, "");
    of.range(first..).take_while(move |(key, _)| *key.namespace == *namespace)
}

fn closure<'a, I: Iterator<Item = &'a ProfileKey>>(
    from: &ProfileKey,
    next: impl Fn(&ProfileKey) -> I,
) -> BTreeSet<ProfileKey> {
    let (mut all, mut rest) = (BTreeSet::from([from.clone()]), vec![from.clone()]);
    while let Some(key) = rest.pop() {
        for other in next(&key) {
            // One that builds on itself, by however many others, is looked at once.
            if all.insert(other.clone()) {
                rest.push(other.clone());
            }
        }
    }
    all
}
