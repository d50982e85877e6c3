//! What Prometheus is told; no label has values that come from users.

use std::{fmt::Write as _, sync::Mutex, time::Duration};

use profile::mechanism::Mechanism;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{layout::file_name, plan::Cause};

/// Seconds: a file takes a millisecond, a commit of SELinux policy half a minute.
const BUCKETS: [f64; 10] = [1e-3, 5e-3, 20e-3, 50e-3, 0.1, 0.25, 1.0, 5.0, 20.0, 60.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMechanism {
    mechanism: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    mechanism: &'static str,
    state: &'static str,
}

/// The counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    profiles: [(Mechanism, Family<Operation, Counter>); 3],
    errors: [(Mechanism, Family<Reason, Counter>); 3],
    drift: Family<OfMechanism, Counter>,
    durations: Family<OfMechanism, Histogram, fn() -> Histogram>,
    states: Family<InState, Gauge>,
    /// Writes to the API server.
    pub status_writes: Counter,
    watch_age: Family<OfKind, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let durations: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let metrics = Self {
            registry: Mutex::default(),
            profiles: Mechanism::ALL.map(|mechanism| (mechanism, Family::default())),
            errors: Mechanism::ALL.map(|mechanism| (mechanism, Family::default())),
            drift: Family::default(),
            durations,
            states: Family::default(),
            status_writes: Counter::default(),
            watch_age: Family::default(),
        };
        *lock(&metrics.registry) = metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) -> Registry {
        let mut registry = Registry::default();
        // As the operator that these are compatible with calls them.
        let shared = registry.sub_registry_with_prefix("security_profiles_operator");
        for (mechanism, family) in &self.profiles {
            let name = format!("{}_profile", file_name(*mechanism));
            shared.register(name, "Profiles put on the node and removed", family.clone());
        }
        for (mechanism, family) in &self.errors {
            let name = format!("{}_profile_error", file_name(*mechanism));
            shared.register(name, "Profiles that could not be put on the node", family.clone());
        }
        let own = registry.sub_registry_with_prefix("cinch_node_installer");
        let help = "Profiles that somebody else had changed or removed, put back";
        own.register("drift_repaired", help, self.drift.clone());
        let help = "Time of a batch of changes";
        own.register_with_unit("install_duration", help, Unit::Seconds, self.durations.clone());
        own.register("profiles", "Profiles by state", self.states.clone());
        let help = "Writes of the node's status to the API server";
        own.register("status_writes", help, self.status_writes.clone());
        let help = "For how long a watch has been lost, 0 while it is up";
        own.register_with_unit("watch_age", help, Unit::Seconds, self.watch_age.clone());
        registry
    }

    /// A profile was put on the node.
    pub fn installed(&self, mechanism: Mechanism, cause: Cause, took: Duration) {
        let label = file_name(mechanism);
        for (_, family) in self.profiles.iter().filter(|(of, _)| *of == mechanism) {
            family.get_or_create(&Operation { operation: "update" }).inc();
        }
        if cause == Cause::Drift {
            self.drift.get_or_create(&OfMechanism { mechanism: label }).inc();
        }
        let of = OfMechanism { mechanism: label };
        self.durations.get_or_create(&of).observe(took.as_secs_f64());
    }

    /// A profile was removed.
    pub fn removed(&self, mechanism: Mechanism) {
        for (_, family) in self.profiles.iter().filter(|(of, _)| *of == mechanism) {
            family.get_or_create(&Operation { operation: "delete" }).inc();
        }
    }

    /// A change failed.
    pub fn failed(&self, mechanism: Mechanism, refused: bool) {
        let reason = if refused { "Refused" } else { "CannotInstall" };
        for (_, family) in self.errors.iter().filter(|(of, _)| *of == mechanism) {
            family.get_or_create(&Reason { reason }).inc();
        }
    }

    /// How many profiles are in a state.
    pub fn set_state(&self, mechanism: Mechanism, state: &'static str, count: usize) {
        let label = InState { mechanism: file_name(mechanism), state };
        self.states.get_or_create(&label).set(count.try_into().unwrap_or(i64::MAX));
    }

    /// The text that Prometheus reads.
    pub fn encode(&self, ages: &[(&'static str, u64)]) -> String {
        for &(kind, age) in ages {
            let age = age.try_into().unwrap_or(i64::MAX);
            self.watch_age.get_or_create(&OfKind { kind }).set(age);
        }
        let mut text = String::new();
        let encoded = encode(&mut text, &lock(&self.registry));
        if let Err(error) = encoded {
            writeln!(text, "# cannot encode: {error}").expect("into memory");
        }
        text
    }
}

fn lock(registry: &Mutex<Registry>) -> std::sync::MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_every_metric() {
        let metrics = Metrics::default();
        let Metrics {
            registry: _,
            profiles,
            errors,
            drift,
            durations,
            states,
            status_writes: _,
            watch_age: _,
        } = &metrics;
        // What has no sample is not shown.
        let mechanism = "";
        for (_, family) in profiles {
            drop(family.get_or_create(&Operation { operation: "" }));
        }
        for (_, family) in errors {
            drop(family.get_or_create(&Reason { reason: "" }));
        }
        drop(drift.get_or_create(&OfMechanism { mechanism }));
        drop(durations.get_or_create(&OfMechanism { mechanism }));
        drop(states.get_or_create(&InState { mechanism, state: "" }));
        let text = metrics.encode(&[("", 0)]);
        let page =
            std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md"));
        daemon::described::compare(page, "### Of `cinch-node-installer run`", &text).unwrap();
    }
}
