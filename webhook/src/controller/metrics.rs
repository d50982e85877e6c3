//! What Prometheus is told of the controller; no label has values that come from users.

use std::{fmt::Write as _, sync::Mutex};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{outbox::Outcome, told::Kind};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfWrite {
    kind: &'static str,
    part: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// The counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    writes: Family<OfWrite, Counter>,
    objects: Family<OfKind, Gauge>,
    watch_age: Family<OfKind, Gauge>,
    leader: Gauge,
    waiting: Gauge,
    gated: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            writes: Family::default(),
            objects: Family::default(),
            watch_age: Family::default(),
            leader: Gauge::default(),
            waiting: Gauge::default(),
            gated: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("cinch_controller");
        let help = "Calls to the API server that write, by kind of object, duty and outcome";
        registry.register("writes", help, metrics.writes.clone());
        registry.register("objects", "Objects that are watched", metrics.objects.clone());
        let help = "For how long a watch has been lost, 0 while it is up";
        registry.register_with_unit("watch_age", help, Unit::Seconds, metrics.watch_age.clone());
        registry.register("leader", "Whether this replica writes", metrics.leader.clone());
        let help = "Calls that wait for their time, or for this replica to lead";
        registry.register("writes_waiting", help, metrics.waiting.clone());
        let help = "Pods that wait behind the scheduling gate for their profiles";
        registry.register("gated_pods", help, metrics.gated.clone());
        *lock(&metrics.registry) = registry;
        metrics
    }
}

impl Metrics {
    /// A call has ended.
    pub fn written(&self, kind: &'static str, part: &'static str, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Written => "written",
            Outcome::Gone => "gone",
            Outcome::Failed => "failed",
        };
        self.writes.get_or_create(&OfWrite { kind, part, outcome }).inc();
    }

    pub fn set_objects(&self, kind: Kind, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.objects.get_or_create(&OfKind { kind: kind.as_str() }).set(count);
    }

    pub fn set_leader(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    pub fn set_waiting(&self, count: usize) {
        self.waiting.set(count.try_into().unwrap_or(i64::MAX));
    }

    pub fn set_gated(&self, count: usize) {
        self.gated.set(count.try_into().unwrap_or(i64::MAX));
    }

    /// The text that Prometheus reads.
    pub fn encode(&self, ages: &[(&'static str, u64)]) -> String {
        for (kind, age) in ages {
            let age = i64::try_from(*age).unwrap_or(i64::MAX);
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_every_metric() {
        let metrics = Metrics::default();
        let Metrics { registry: _, writes, objects, watch_age: _, leader: _, waiting: _, gated: _ } =
            &metrics;
        // What has no sample is not shown.
        drop(writes.get_or_create(&OfWrite { kind: "", part: "", outcome: "" }));
        drop(objects.get_or_create(&OfKind { kind: "" }));
        let text = metrics.encode(&[("", 0)]);
        let page =
            std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md"));
        daemon::described::compare(page, "### Of `cinch-webhook controller`", &text).unwrap();
    }
}
