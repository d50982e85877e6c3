//! Objects in, a report out. Pure.
//!
//! What is known of the cluster comes first, then its pods, each of which is reduced to counts at once, then Events.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::{
    api::events::v1::Event, apimachinery::pkg::apis::meta::v1::OwnerReference, jiff::Timestamp,
};
use kube::{
    ResourceExt as _,
    api::{Object, ObjectMeta},
};
use profile::{
    kinds::{ProfileBinding, ProfileRecording},
    mechanism::Mechanism,
};

use super::{
    confinement::{Class, Confinement, Subject},
    content::{Container, Made, Namespace, Report, State, Totals, Used, Workload},
    known::{Known, Owner, Space},
    pod::{PodSpec, PodStatus, Role},
    violations::Violations,
};
use crate::{profile_head::Head, table::count};

/// So many different images, and so many different ways to be confined, are told apart for the containers of one name.
const IMAGES: usize = 4;
const WAYS: usize = 8;

/// A pod, as far as a report reads it.
pub(crate) type Pod = Object<PodSpec, PodStatus>;

/// An object that a report is made of.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Namespace(Box<ObjectMeta>),
    Binding(Box<ProfileBinding>),
    Recording(Box<ProfileRecording>),
    Profile(Head),
    /// A `ReplicaSet` or a Job: its kind, and what is known of it.
    Part(&'static str, Box<ObjectMeta>),
    Pod(Box<Pod>),
    Event(Box<Event>),
}

/// All that was taken in so far.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    known: Known,
    workloads: Vec<Workload>,
    places: HashMap<(String, Owner), usize>,
    /// The workload of each pod, by `namespace/name`.
    of_pod: HashMap<String, usize>,
    shares: BTreeMap<String, Namespace>,
    violations: Violations,
    finished: u64,
    windows: u64,
}

impl Item {
    /// The order in which objects have to come.
    pub(crate) fn turn(&self) -> u8 {
        match self {
            Self::Pod(_) => 1,
            Self::Event(_) => 2,
            _ => 0,
        }
    }
}

impl Gather {
    pub(crate) fn take(&mut self, item: Item) {
        match item {
            Item::Namespace(meta) => {
                let labels = meta.labels.unwrap_or_default();
                self.known.namespace(&meta.name.unwrap_or_default(), &labels);
            }
            Item::Binding(binding) => self.known.binding(&binding),
            Item::Recording(recording) => self.known.recording(*recording),
            Item::Profile(head) => self.known.profile(&head),
            Item::Part(kind, meta) => {
                let namespace = meta.namespace.as_deref().unwrap_or_default();
                let name = meta.name.as_deref().unwrap_or_default();
                if let Some(owner) = controller(meta.owner_references.as_deref()) {
                    self.known.owner(namespace, kind, name, owner);
                }
            }
            Item::Pod(pod) => self.pod(&pod),
            Item::Event(event) => self.event(&event),
        }
    }

    /// Something that whoever reads the report has to know.
    pub(crate) fn note(&mut self, text: String) {
        self.known.notes.push(text);
    }

    fn pod(&mut self, pod: &Pod) {
        if pod.status.as_ref().is_some_and(PodStatus::is_finished) {
            self.finished += 1;
            return;
        }
        if pod.spec.is_windows() {
            self.windows += 1;
            return;
        }
        let namespace = pod.namespace().unwrap_or_default();
        let (name, labels) = (pod.name_any(), pod.labels());
        let owner = controller(pod.metadata.owner_references.as_deref());
        let owner = self.known.workload(&namespace, &name, labels, owner);
        let place = self.place(&namespace, owner);
        let share = self.shares.entry(namespace.clone()).or_default();
        share.pods += 1;
        let workload = &mut self.workloads[place];
        workload.pods += 1;
        workload.gated += u64::from(pod.spec.is_gated());
        for (role, container) in pod.spec.containers() {
            let subject = Subject {
                space: self.known.spaces.get(&namespace),
                namespace: &namespace,
                pod: &name,
                labels,
                annotations: pod.annotations(),
                spec: &pod.spec,
                container,
            };
            share.containers += 1;
            workload.running += 1;
            let into = workload.container(&container.name, role, &container.image);
            let mut confined = false;
            for mechanism in Mechanism::ALL {
                let confinement = Confinement::of(&self.known, &subject, mechanism);
                confined |= confinement.class == Class::Profile;
                confinement.count(share.shares.of_mut(mechanism));
                add(into.of_mut(mechanism), confinement);
            }
            workload.confined += u64::from(confined);
        }
        self.of_pod.insert(format!("{namespace}/{name}"), place);
    }

    fn place(&mut self, namespace: &str, owner: Owner) -> usize {
        let workloads = &mut self.workloads;
        *self.places.entry((namespace.to_owned(), owner)).or_insert_with_key(|(_, owner)| {
            workloads.push(Workload {
                namespace: namespace.to_owned(),
                kind: owner.kind.clone(),
                name: owner.name.clone(),
                state: State::Disabled,
                pods: 0,
                gated: 0,
                running: 0,
                confined: 0,
                denied: 0,
                containers: Vec::new(),
            });
            workloads.len() - 1
        })
    }

    fn event(&mut self, event: &Event) {
        let Self { workloads, of_pod, violations, .. } = self;
        let place = |namespace: &str, pod: &str| of_pod.get(&format!("{namespace}/{pod}")).copied();
        let count = violations.add(event, |namespace, pod| match place(namespace, pod) {
            Some(at) => {
                Owner { kind: workloads[at].kind.clone(), name: workloads[at].name.clone() }
            }
            None => Owner { kind: "Pod".to_owned(), name: pod.to_owned() },
        });
        let regarding = event.regarding.as_ref();
        let of = regarding.and_then(|it| place(it.namespace.as_deref()?, it.name.as_deref()?));
        if let Some(at) = of {
            workloads[at].denied += count;
        }
    }

    /// The report on all that was taken in.
    pub(crate) fn report(self, made: Made) -> Report {
        let Self { known, mut workloads, mut shares, violations, finished, windows, .. } = self;
        let used = known.spaces.iter().filter(|(_, space)| space.is_used());
        for (name, _) in used {
            shares.entry(name.clone()).or_default();
        }
        for (name, share) in &mut shares {
            share.name.clone_from(name);
            let switches = known.spaces.get(name).map(|space: &Space| space.switches);
            let switches = switches.unwrap_or_default();
            (share.binding, share.recording) = (switches.binding, switches.recording);
        }
        let mut totals = Totals { denied: violations.denied, ..Totals::default() };
        for workload in &mut workloads {
            workload.state = workload.state_of();
            totals.workloads.add(workload.state);
            if let Some(share) = shares.get_mut(&workload.namespace) {
                share.workloads.add(workload.state);
            }
        }
        workloads.sort_by(|a, b| key(a).cmp(&key(b)));
        let namespaces: Vec<_> = shares.into_values().collect();
        totals.namespaces = namespaces.len() as u64;
        for share in &namespaces {
            totals.pods += share.pods;
            totals.containers += share.containers;
            totals.shares.union(&share.shares);
        }
        let mut notes = known.notes;
        if finished > 0 {
            notes.push(format!(
                "not counted: {} whose containers have ended",
                count(finished, "pod")
            ));
        }
        if windows > 0 {
            let pods = count(windows, "pod");
            notes.push(format!("not counted: {pods} for Windows, which has no such profiles"));
        }
        let mut recordings = known.recordings;
        recordings.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let violations_left_out = violations.left_out;
        let violations = violations.sorted();
        Report {
            made,
            totals,
            namespaces,
            workloads,
            recordings,
            violations,
            violations_left_out,
            notes,
        }
    }
}

fn key(workload: &Workload) -> (&str, State, &str, &str) {
    (&workload.namespace, workload.state, &workload.name, &workload.kind)
}

impl Workload {
    fn container(&mut self, name: &str, role: Role, image: &str) -> &mut Container {
        let there = |container: &Container| container.name == name && container.role == role;
        let at = self.containers.iter().position(there).unwrap_or_else(|| {
            self.containers.push(Container {
                name: name.to_owned(),
                role,
                images: Vec::new(),
                seccomp: Vec::new(),
                apparmor: Vec::new(),
                selinux: Vec::new(),
            });
            self.containers.len() - 1
        });
        let container = &mut self.containers[at];
        let images = &mut container.images;
        if images.len() < IMAGES && !images.iter().any(|known| known == image) {
            images.push(image.to_owned());
        }
        container
    }

    /// Recording comes first: what it does is being learned, whatever else there is.
    fn state_of(&self) -> State {
        let used = || {
            let of = |container| {
                Mechanism::ALL.into_iter().flat_map(move |it| Container::of(container, it))
            };
            self.containers.iter().flat_map(of).map(|used| &used.confinement)
        };
        if used().any(|confinement| confinement.recording.is_some()) {
            State::Recording
        } else if used().any(|confinement| confinement.class == Class::Profile) {
            State::Applying
        } else {
            State::Disabled
        }
    }
}

fn add(ways: &mut Vec<Used>, confinement: Confinement) {
    let known =
        |ways: &[Used], this: &Confinement| ways.iter().position(|used| used.confinement == *this);
    let mut confinement = confinement;
    if known(ways, &confinement).is_none() && ways.len() >= WAYS {
        confinement = confinement.class.of_several();
    }
    match known(ways, &confinement) {
        Some(at) => ways[at].pods += 1,
        None => ways.push(Used { pods: 1, confinement }),
    }
}

fn controller(owners: Option<&[OwnerReference]>) -> Option<Owner> {
    let owner = owners?.iter().find(|owner| owner.controller == Some(true))?;
    Some(Owner { kind: owner.kind.clone(), name: owner.name.clone() })
}

/// When, by whom and of what a report is made.
pub(crate) fn made(
    at: Timestamp,
    of: String,
    version: Option<String>,
    namespaces: &[String],
) -> Made {
    let by = concat!("cinch ", env!("CARGO_PKG_VERSION")).to_owned();
    Made { at, by, of, version, namespaces: namespaces.to_vec() }
}
