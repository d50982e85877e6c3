//! A node in memory: recordings, pods, slots, and a clock.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::jiff::Timestamp;
use profile::{kinds::seccomp::Arch, syscall};
use recorder::kernel::{Calls, Muted, Slot};
use serde_json::{Value, json};

use recorder::cri::Named;

use super::{due::status::Entry, *};

mod life;
mod names;
mod writes;

const NAMESPACE: &str = "shop";
const PACE: Duration = Duration::from_secs(10);

/// What happens on a node, second by second.
struct World {
    tracker: Tracker,
    second: u64,
    slots: BTreeMap<u64, Slot>,
    losses: Losses,
    /// What was written, by name of the profile, as it was last.
    profiles: BTreeMap<String, Publication>,
    writes: usize,
    statuses: usize,
    muted: BTreeMap<u32, Muted>,
}

impl World {
    fn new() -> Self {
        let mut tracker = Tracker::new(Arch::X86_64, PACE);
        tracker.all_recordings(&BTreeSet::new());
        tracker.namespaces(None);
        let mut world = Self {
            tracker,
            second: 1000,
            slots: BTreeMap::new(),
            losses: Losses::default(),
            profiles: BTreeMap::new(),
            writes: 0,
            statuses: 0,
            muted: BTreeMap::new(),
        };
        let now = world.now();
        world.tracker.all_pods(&BTreeSet::new(), now);
        world
    }

    fn now(&self) -> Moment {
        let wall = 1_800_000_000 + i64::try_from(self.second).unwrap();
        Moment {
            uptime: Duration::from_secs(self.second),
            wall: Timestamp::from_second(wall).unwrap(),
        }
    }

    /// One turn, without writes.
    fn turn(&mut self) -> Vec<String> {
        self.second += 1;
        let now = self.now();
        self.tracker.step(now);
        let slots: Vec<_> = (0..).zip(self.slots.values().cloned()).collect();
        self.tracker.look(slots, self.losses, &|_| None, now);
        self.tracker.step(now);
        let wanted = self.tracker.wanted(None, now);
        self.muted.extend(wanted.mute);
        wanted.ask
    }

    /// One turn, and all that is due is written.
    fn pass(&mut self) {
        self.turn();
        let now = self.now();
        for publication in self.tracker.publications(now) {
            self.writes += 1;
            self.profiles.insert(publication.target.name.clone(), publication.clone());
            self.tracker.published(&publication, Outcome::Written, now);
        }
        for (mut recording, report) in self.tracker.reports(now) {
            let before = recording.status.clone();
            recording.status = report.merged(&before, now);
            if recording.status != before {
                self.statuses += 1;
                recording.version += 1;
            }
            let key = recording.key.clone();
            self.tracker.reported(&key, &report, Ok(Some(recording)), now);
        }
    }

    fn passes(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.pass();
        }
    }

    fn record(&mut self, name: &str, kind: &str, more: &Value) -> Key {
        self.recording(&object(name, kind, more))
    }

    fn recording(&mut self, object: &Value) -> Key {
        let object = serde_json::from_value(object.clone()).unwrap();
        let mut recording = Recording::of(&object).unwrap();
        // Later than any write before.
        recording.version += self.second * 1000;
        let key = recording.key.clone();
        self.tracker.recording(recording);
        key
    }

    fn pod(&mut self, pod: &Pod) {
        self.tracker.pod(pod.clone());
    }

    fn gone(&mut self, pod: &Pod) {
        let now = self.now();
        self.tracker.pod_gone(&pod.uid, now);
    }

    /// A container calls something.
    fn calls(&mut self, pod: &Pod, number: u64, calls: &[&str]) {
        let numbers = calls.iter().map(|call| syscall::number(Arch::X86_64, call).unwrap());
        let calls = Calls::own(numbers);
        let namespace = number;
        let slot = self.slots.entry(namespace).or_insert_with(|| Slot {
            namespace,
            cgroup: 0,
            since: number,
            newest: 0,
            first: 1,
            overflow: 0,
            inode: number,
            above: 0,
            muted: Muted::default(),
            workload: Calls::default(),
            setup: Calls::default(),
            denied: Calls::default(),
            leaf: id(number),
            parent: format!("pod{}", pod.uid),
            former: false,
        });
        slot.workload = slot.workload.union(&calls);
    }

    fn seen(&self, profile: &str) -> Vec<&'static str> {
        let publication = self.profiles.get(profile);
        let calls = publication.into_iter().flat_map(|publication| publication.seen.called());
        calls.map(|(arch, number)| syscall::name(arch, number).unwrap()).collect()
    }

    fn is_final(&self, profile: &str) -> bool {
        self.profiles.get(profile).is_some_and(|publication| !publication.partial)
    }

    fn status(&self, key: &Key) -> &profile::kinds::ProfileRecordingStatus {
        &self.tracker.recordings[key].status
    }
}

fn object(name: &str, kind: &str, more: &Value) -> Value {
    let mut spec = json!({ "kind": kind, "podSelector": { "matchLabels": { "app": "web" } } });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1", "kind": "ProfileRecording",
        "metadata": { "name": name, "namespace": NAMESPACE, "uid": format!("uid-{name}"), "resourceVersion": "1" },
        "spec": spec,
    })
}

/// A pod with the label `app: web` of which no id is told yet.
fn pod(number: u8, containers: &[&str]) -> Pod {
    Pod {
        uid: format!("{number:08x}-0000-0000-0000-000000000000"),
        namespace: NAMESPACE.to_owned(),
        name: format!("web-{number}"),
        generate_name: Some("web-".to_owned()),
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        containers: containers.iter().map(|name| (*name).to_owned()).collect(),
        ..Pod::default()
    }
}

/// The same once the status has told of a container.
fn told(pod: &Pod, container: &str, number: u64) -> Pod {
    let mut pod = pod.clone();
    pod.ids.insert(id(number), container.to_owned());
    pod
}

fn done(pod: &Pod) -> Pod {
    Pod { done: true, ..pod.clone() }
}

fn id(number: u64) -> String {
    format!("{number:064x}")
}

const SECCOMP: &str = "SeccompProfile";
const APPARMOR: &str = "AppArmorProfile";
const SELINUX: &str = "SelinuxProfile";
