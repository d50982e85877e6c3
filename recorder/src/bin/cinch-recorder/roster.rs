//! What containers of this node are called: by the pods that are known, or else as the container runtime says. Whoever asks
//! does not wait; of whom it cannot say anything is asked elsewhere later.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use recorder::{
    cgroup,
    cri::Named,
    logs::names::{Name, Names},
};

use crate::tracker::{Moment, Object, Pod};

/// After this the runtime is asked, and again.
const ASK: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(10);

/// After this the name of the pod has to do, where nobody tells that of the container.
const POD_ALONE: Duration = Duration::from_secs(3);

/// For how long a container without a name is remembered, and how many are.
const PATIENCE: Duration = Duration::from_mins(1);
const MOST: usize = 1024;

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    /// Of the pod's object.
    pub(crate) uid: String,
    /// What has made the pod, and others like it.
    pub(crate) owner: Option<Object>,
    /// Empty for the sandbox of a pod, and where it is not known.
    pub(crate) container: String,
}

/// The names of a node.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    now: Duration,
    /// By the id of a container.
    told: BTreeMap<String, Who>,
    /// By the uid that a cgroup carries; without a container.
    pods: BTreeMap<String, Who>,
    /// What the runtime has said last: uid in the cgroup, and container.
    runtime: BTreeMap<String, (String, String)>,
    /// Ids without a name: since when, and when the runtime was asked.
    wanted: BTreeMap<String, (Duration, Option<Duration>)>,
}

impl Roster {
    /// These pods are known now.
    pub(crate) fn turn<'p>(&self, pods: impl Iterator<Item = &'p Pod>, now: Moment) {
        let (mut told, mut uids) = (BTreeMap::new(), BTreeMap::new());
        for pod in pods {
            let who = Who {
                namespace: pod.namespace.clone(),
                pod: pod.name.clone(),
                uid: pod.uid.clone(),
                owner: pod.owner.clone(),
                container: String::new(),
            };
            for (id, container) in &pod.ids {
                told.insert(id.clone(), Who { container: container.clone(), ..who.clone() });
            }
            uids.extend(pod.uids().into_iter().map(|uid| (uid.to_owned(), who.clone())));
        }
        self.lists().turn(told, uids, now);
    }

    /// The runtime has said how its containers are called.
    pub(crate) fn named(&self, names: &[Named]) {
        let names = names.iter().map(|named| {
            let container = named.container.clone().unwrap_or_default();
            (named.id.clone(), (named.pod_uid.clone(), container))
        });
        self.lists().runtime = names.collect();
    }

    /// Whether the runtime has to be asked now.
    pub(crate) fn ask(&self) -> bool {
        self.lists().ask()
    }

    /// Whose container it is; none while that is not known.
    pub(crate) fn who(&self, container: &cgroup::Container) -> Option<Who> {
        self.lists().who(container)
    }

    /// The uids of all pods that are known, and of what has made them.
    pub(crate) fn uids(&self) -> BTreeSet<String> {
        let lists = self.lists();
        let owners = lists.pods.values().filter_map(|who| Some(who.owner.as_ref()?.uid.clone()));
        lists.pods.values().map(|who| who.uid.clone()).chain(owners).collect()
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    fn turn(&mut self, told: BTreeMap<String, Who>, pods: BTreeMap<String, Who>, now: Moment) {
        (self.now, self.told, self.pods) = (now.uptime, told, pods);
        let Self { told, wanted, .. } = self;
        wanted.retain(|id, (since, _)| !told.contains_key(id) && now.since(*since) < PATIENCE);
    }

    fn ask(&mut self) -> bool {
        let Self { now, runtime, wanted, .. } = self;
        let mut ask = false;
        for (id, (since, asked)) in wanted {
            let due = match asked {
                Some(asked) => now.saturating_sub(*asked) >= AGAIN,
                None => now.saturating_sub(*since) >= ASK,
            };
            if due && !runtime.contains_key(id) {
                *asked = Some(*now);
                ask = true;
            }
        }
        ask
    }

    fn who(&mut self, container: &cgroup::Container) -> Option<Who> {
        let Self { now, told, pods, runtime, wanted } = self;
        let id = &container.id;
        if let Some(who) = told.get(id) {
            return Some(who.clone());
        }
        if let Some((uid, name)) = runtime.get(id)
            && let Some(pod) = pods.get(uid)
        {
            return Some(Who { container: name.clone(), ..pod.clone() });
        }
        if wanted.len() < MOST || wanted.contains_key(id) {
            let (since, _) = wanted.entry(id.clone()).or_insert((*now, None));
            let waited = now.saturating_sub(*since) >= POD_ALONE;
            let pod = container.pod.as_ref().filter(|_| waited);
            return pod.and_then(|uid| pods.get(uid)).cloned();
        }
        None
    }
}

impl Names for Roster {
    fn of(&self, container: &cgroup::Container) -> Option<Name> {
        let Who { namespace, pod, container, .. } = self.who(container)?;
        Some(Name { namespace, pod, container })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn at(second: u64) -> Moment {
        Moment { uptime: Duration::from_secs(second), wall: Timestamp::UNIX_EPOCH }
    }

    fn pod() -> Pod {
        Pod {
            uid: "u".into(),
            static_uid: Some("hash".into()),
            namespace: "shop".into(),
            name: "cart-0".into(),
            ids: [("1".to_owned(), "web".to_owned())].into(),
            ..Pod::default()
        }
    }

    fn container(pod: &str, id: &str) -> cgroup::Container {
        cgroup::Container { pod: Some(pod.to_owned()), id: id.to_owned() }
    }

    /// Namespace, pod and container.
    fn names(roster: &Roster, pod: &str, id: &str) -> Option<String> {
        let Name { namespace, pod, container } = roster.of(&container(pod, id))?;
        Some(format!("{namespace}/{pod}/{container}"))
    }

    #[test]
    fn names_are_those_of_the_status_and_else_the_runtimes() {
        let roster = Roster::default();
        roster.turn([pod()].iter(), at(10));
        assert_eq!(names(&roster, "u", "1").as_deref(), Some("shop/cart-0/web"));
        assert_eq!(names(&roster, "u", "2"), None);
        assert!(!roster.ask(), "a status may come");
        roster.turn([pod()].iter(), at(11));
        assert!(roster.ask());
        assert!(!roster.ask(), "once");
        let named = |id: &str, container: Option<&str>| Named {
            id: id.into(),
            pod_uid: "hash".into(),
            container: container.map(str::to_owned),
        };
        roster.named(&[named("2", Some("side")), named("3", None)]);
        assert_eq!(names(&roster, "hash", "2").as_deref(), Some("shop/cart-0/side"));
        assert_eq!(names(&roster, "hash", "3").as_deref(), Some("shop/cart-0/"), "its sandbox");
    }

    #[test]
    fn where_nobody_tells_the_container_the_pod_is_told_after_a_while() {
        let roster = Roster::default();
        roster.turn([pod()].iter(), at(10));
        assert_eq!(names(&roster, "u", "2"), None);
        assert_eq!(names(&roster, "another", "4"), None);
        roster.turn([pod()].iter(), at(13));
        assert_eq!(names(&roster, "u", "2").as_deref(), Some("shop/cart-0/"));
        assert_eq!(names(&roster, "another", "4"), None);
    }

    #[test]
    fn ids_that_nobody_knows_are_bounded_and_forgotten() {
        let roster = Roster::default();
        for id in 0..2 * MOST {
            assert_eq!(names(&roster, "x", &id.to_string()), None);
        }
        assert_eq!(roster.lists().wanted.len(), MOST);
        roster.turn(std::iter::empty(), at(60));
        assert_eq!(roster.lists().wanted.len(), 0);
    }
}
