//! Where recordings and pods come from.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use crate::tracker::{Key, Moment, Pod, Recording, Tracker};

pub(crate) mod cluster;
pub(crate) mod folder;
pub(crate) mod pod;
pub(crate) mod runtime;
pub(crate) mod target;

/// News for the tracker.
#[derive(Debug)]
pub(crate) enum Told {
    Recording(Box<Recording>),
    RecordingGone(Key),
    Recordings(BTreeSet<Key>),
    Pod(Box<Pod>),
    PodGone(String),
    Pods(BTreeSet<String>),
    Namespaces(Option<BTreeSet<String>>),
    /// Nothing more will come.
    End,
}

/// So many news wait: it bounds what is held in memory.
pub(crate) const WAITING: usize = 64;

/// The way to the tracker.
pub(crate) type ToTracker = mpsc::Sender<Told>;

impl Told {
    /// Tells the tracker.
    pub(crate) fn tell(self, tracker: &mut Tracker, now: Moment) {
        match self {
            Self::Recording(recording) => tracker.recording(*recording),
            Self::RecordingGone(key) => tracker.recording_gone(&key),
            Self::Recordings(keys) => tracker.all_recordings(&keys),
            Self::Pod(pod) => tracker.pod(*pod),
            Self::PodGone(uid) => tracker.pod_gone(&uid, now),
            Self::Pods(uids) => tracker.all_pods(&uids, now),
            Self::Namespaces(enabled) => tracker.namespaces(enabled),
            Self::End => {}
        }
    }
}

/// Tells the tracker.
async fn tell(to: &ToTracker, told: Told) {
    // It ends only when the process does.
    drop(to.send(told).await);
}
