//! Ends what no recorder can end any more: pods that a recording still counts although they are gone, and profiles that
//! wait for more although nobody is left who could add to them. Pure.
//!
//! The recorders of all nodes unite what they have seen in one profile for each container, and the last one to end takes
//! away the mark of a part. A node that is lost in the middle never says that its pods have ended, so the others wait for
//! it for ever: that is what is ended here, some time after the pods are gone. Whoever comes back later and has more to
//! add adds it all the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use profile::kinds::RecordingPhase;
use serde_json::{Value, json};

use super::{Part, View, profile_object};
use crate::controller::{
    key::{Named, ProfileKey},
    outbox::{About, Call, News, Object, Outbox},
    profile::{PARTIAL, Profile},
    state::State,
    told::Recording,
};

/// A recorder says within seconds that a pod has ended, also when it has to be started again for it.
const PATIENCE: Duration = Duration::from_mins(2);

/// Recordings, and the profiles that are parts of them.
#[derive(Debug)]
pub(super) struct Recordings {
    patience: Duration,
    /// Pods that are counted and are gone, by `namespace/name`, and since when that is known.
    gone: BTreeMap<Named, BTreeMap<String, Instant>>,
    parts: BTreeMap<ProfileKey, PartOf>,
}

/// A profile to which more may come.
#[derive(Debug)]
struct PartOf {
    recording: Named,
    uid: Box<str>,
    /// Since when nobody is left who could add to it.
    alone: Option<Instant>,
}

impl Default for Recordings {
    fn default() -> Self {
        Self { patience: PATIENCE, gone: BTreeMap::new(), parts: BTreeMap::new() }
    }
}

impl Part for Recordings {
    fn step(&mut self, view: &View<'_>, outbox: &mut Outbox) {
        self.follow_parts(view, outbox);
        // There are few of them at any time.
        let mut keys: BTreeSet<_> = view.changes.recordings.clone();
        let namespaces: BTreeSet<_> = view.changes.pods.iter().map(|pod| &pod.namespace).collect();
        keys.extend(self.gone.keys().cloned());
        let all = view.state.recordings.keys();
        keys.extend(all.filter(|key| namespaces.contains(&key.namespace)).cloned());
        for key in keys {
            self.follow_recording(view, &key, outbox);
        }
        self.finish(view, outbox);
        if let Some(next) = self.next(view.now) {
            outbox.wake(next);
        }
    }
}

impl Recordings {
    /// Which profiles are parts, and which are no more: that is told.
    fn follow_parts(&mut self, view: &View<'_>, outbox: &mut Outbox) {
        for key in &view.changes.profiles {
            let profile = view.state.profiles.get(key);
            let Some((profile, part)) = profile.and_then(|it| Some((it, it.part_of.as_ref()?)))
            else {
                outbox.want(&profile_object(key), "partial", None, view.now);
                let before = self.parts.remove(key);
                if let (Some(before), Some(profile)) = (before, profile)
                    && before.uid == profile.uid
                {
                    outbox.tell(merged(key, profile, &before.recording), view.now);
                }
                continue;
            };
            let known = self.parts.entry(key.clone()).or_insert_with(|| PartOf {
                recording: part.recording.clone(),
                uid: profile.uid.clone(),
                alone: None,
            });
            if known.uid != profile.uid {
                (known.uid, known.alone) = (profile.uid.clone(), None);
            }
            known.recording = part.recording.clone();
        }
    }

    /// Which pods a recording counts that are gone, and what its status should say instead.
    fn follow_recording(&mut self, view: &View<'_>, key: &Named, outbox: &mut Outbox) {
        let object = Object {
            kind: "ProfileRecording",
            namespace: Arc::clone(&key.namespace),
            name: Arc::clone(&key.name),
        };
        let Some(recording) = view.state.recordings.get(key) else {
            self.gone.remove(key);
            outbox.want(&object, "workloads", None, view.now);
            return;
        };
        let counted = recording.status.active_workloads.iter();
        let gone = counted.filter(|pod| !lives(view.state, pod));
        let mut before = self.gone.remove(key).unwrap_or_default();
        let gone: BTreeMap<_, _> =
            gone.map(|pod| (pod.clone(), before.remove(pod).unwrap_or(view.now))).collect();
        let over = |since: &Instant| view.now.saturating_duration_since(*since) >= self.patience;
        let call = gone.values().any(over).then(|| {
            let left = recording.status.active_workloads.iter();
            let left: Vec<_> = left.filter(|pod| !gone.get(*pod).is_some_and(over)).collect();
            call(recording, &left)
        });
        outbox.want(&object, "workloads", call, view.now);
        if !gone.is_empty() {
            self.gone.insert(key.clone(), gone);
        }
    }

    /// Takes away the mark of parts that nobody is left to add to.
    fn finish(&mut self, view: &View<'_>, outbox: &mut Outbox) {
        for (key, part) in &mut self.parts {
            let Some(profile) = view.state.profiles.get(key) else { continue };
            if somebody_adds(view.state, key, profile) {
                part.alone = None;
                outbox.want(&profile_object(key), "partial", None, view.now);
                continue;
            }
            let since = *part.alone.get_or_insert(view.now);
            if view.now.saturating_duration_since(since) >= self.patience && !profile.deleting {
                let body = json!({
                    "metadata": {
                        "uid": profile.uid,
                        // Who writes meanwhile is a recorder that is there after all.
                        "resourceVersion": profile.version,
                        "labels": { PARTIAL: Value::Null },
                    },
                });
                outbox.want(&profile_object(key), "partial", Some(Call::Merge(body)), view.now);
            }
        }
    }

    /// When the patience with anything ends next.
    fn next(&self, now: Instant) -> Option<Instant> {
        let parts = self.parts.values().filter_map(|part| part.alone);
        let gone = self.gone.values().flat_map(BTreeMap::values).copied();
        parts.chain(gone).map(|since| since + self.patience).filter(|at| *at > now).min()
    }
}

/// Whether a pod, as `namespace/name`, is there and runs.
fn lives(state: &State, pod: &str) -> bool {
    let named = pod.split_once('/').map(|(namespace, name)| Named::new(namespace, name));
    named.and_then(|key| state.pods.get(&key)).is_some_and(|pod| pod.live)
}

/// Whether a recorder may still add to a profile: its recording goes on, and a pod of it runs.
fn somebody_adds(state: &State, key: &ProfileKey, profile: &Profile) -> bool {
    let Some(part) = &profile.part_of else { return false };
    let Some(recording) = state.recordings.get(&part.recording) else { return false };
    let status = &recording.status;
    if status.phase == Some(RecordingPhase::Complete) {
        return false;
    }
    // Where each pod has a profile of its own, its name ends as the pod's does.
    let shared = format!("{}-{}", part.recording.name, part.container);
    let suffix = key.name.strip_prefix(&*shared).filter(|suffix| !suffix.is_empty());
    let adds =
        |pod: &&String| lives(state, pod) && suffix.is_none_or(|suffix| pod.ends_with(suffix));
    // The status has no room for all of them.
    status.active_workloads.len() >= 100 || status.active_workloads.iter().any(|pod| adds(&pod))
}

fn call(recording: &Recording, left: &[&String]) -> Call {
    let mut status = json!({ "activeWorkloads": left });
    if left.is_empty() && recording.status.phase == Some(RecordingPhase::Recording) {
        status["phase"] = json!(RecordingPhase::Waiting);
    }
    let metadata = json!({ "uid": recording.uid, "resourceVersion": recording.version });
    Call::MergeStatus(json!({ "metadata": metadata, "status": status }))
}

fn merged(key: &ProfileKey, profile: &Profile, recording: &Named) -> News {
    News {
        about: About { object: profile_object(key), uid: Arc::from(&*profile.uid) },
        warning: false,
        reason: "Recorded",
        action: "Merge",
        note: format!("all that ProfileRecording {recording} has seen is in it"),
    }
}

#[cfg(test)]
mod tests;
