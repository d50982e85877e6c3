//! What all lanes say, gathered for the status, the probes and the metrics.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use profile::{
    kinds::{NodeProfile, NodeSecurityProfilesStatus, node::NodeProfileState},
    mechanism::Mechanism,
};
use tokio::sync::watch;

use crate::{lane::Reports, metrics::Metrics};

/// The schema of the status takes no more profiles.
const PROFILES_MAX: usize = 8192;

/// The schema of the status takes no longer message.
const MESSAGE_MAX: usize = 1024;

/// What the lanes said last.
#[derive(Debug)]
pub struct Board {
    lanes: Mutex<BTreeMap<Mechanism, (Reports, bool)>>,
    changed: watch::Sender<()>,
    metrics: Arc<Metrics>,
}

impl Board {
    /// A board for these mechanisms, on which nothing has been said yet.
    pub fn new(mechanisms: &[Mechanism], metrics: Arc<Metrics>) -> Self {
        let lanes = mechanisms.iter().map(|mechanism| (*mechanism, (Reports::new(), false)));
        Self { lanes: Mutex::new(lanes.collect()), changed: watch::Sender::new(()), metrics }
    }

    /// What a lane says, and whether it knows all objects.
    pub fn say(&self, mechanism: Mechanism, reports: Reports, complete: bool) {
        for state in NodeProfileState::ALL {
            let count = reports.values().filter(|report| report.verdict.state == *state).count();
            self.metrics.set_state(mechanism, state.as_str(), count);
        }
        let before = self.lock().insert(mechanism, (reports.clone(), complete));
        if before != Some((reports, complete)) {
            self.changed.send_replace(());
        }
    }

    /// Tells of changes.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether all lanes know all objects, and have said what became of them.
    pub fn is_complete(&self) -> bool {
        self.lock().values().all(|(_, complete)| *complete)
    }

    /// The status of the node.
    pub fn status(&self) -> NodeSecurityProfilesStatus {
        status(self.lock().values().map(|(reports, _)| reports))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Mechanism, (Reports, bool)>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The status that says the same. What is not well comes first where there is no room for all.
pub fn status<'a>(lanes: impl IntoIterator<Item = &'a Reports>) -> NodeSecurityProfilesStatus {
    let mut profiles: Vec<_> = lanes
        .into_iter()
        .flatten()
        .map(|(key, report)| NodeProfile {
            kind: key.kind,
            name: key.name.to_string(),
            state: report.verdict.state,
            observed_generation: report.verdict.generation,
            message: report.verdict.message.as_deref().map(short),
        })
        .collect();
    let count = |state| {
        let count = profiles.iter().filter(|profile| profile.state == state).count();
        count.try_into().unwrap_or(i32::MAX)
    };
    let (installed, pending, failed) = (
        count(NodeProfileState::Installed),
        count(NodeProfileState::Pending),
        count(NodeProfileState::Failed),
    );
    if profiles.len() > PROFILES_MAX {
        profiles.sort_by_key(|profile| profile.state == NodeProfileState::Installed);
        profiles.truncate(PROFILES_MAX);
    }
    profiles.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    NodeSecurityProfilesStatus { installed, pending, failed, profiles }
}

fn short(message: &str) -> String {
    message.chars().take(MESSAGE_MAX).collect()
}
