//! What Prometheus is told; no label has values that come from users.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use certs::Serving;
use daemon::contact::Health;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    answer::{Answer, Path},
    source::Published,
};

/// Seconds. The API server waits 2; handling should take microseconds.
const BUCKETS: [f64; 12] =
    [10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 20e-3, 100e-3, 1.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPath {
    path: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfVerdict {
    path: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    path: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// The counters, and whatever is asked for its value when the metrics are read.
pub struct Metrics {
    registry: Registry,
    durations: Family<OfPath, Histogram, fn() -> Histogram>,
    verdicts: Family<OfVerdict, Counter>,
    reasons: Family<OfReason, Counter>,
    gated: Family<OfPath, Counter>,
    refusals: Family<OfReason, Counter>,
    watch_age: Family<OfKind, Gauge>,
    objects: Family<OfKind, Gauge>,
    invalid: Family<OfKind, Gauge>,
    expires: Gauge,
    renewals: Gauge,
    reload_failures: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let durations: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let mut metrics = Self {
            registry: Registry::with_prefix("cinch_webhook"),
            durations,
            verdicts: Family::default(),
            reasons: Family::default(),
            gated: Family::default(),
            refusals: Family::default(),
            watch_age: Family::default(),
            objects: Family::default(),
            invalid: Family::default(),
            expires: Gauge::default(),
            renewals: Gauge::default(),
            reload_failures: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let Self {
            registry,
            durations,
            verdicts,
            reasons,
            gated,
            refusals,
            watch_age,
            objects,
            invalid,
            expires,
            renewals,
            reload_failures,
        } = self;
        let help = "Time from the whole body to the answer";
        registry.register_with_unit("review_duration", help, Unit::Seconds, durations.clone());
        registry.register("reviews", "Reviews answered, by path and verdict", verdicts.clone());
        let help = "What clients were warned of, and what became of bindings, by reason";
        registry.register("reasons", help, reasons.clone());
        let help = "Pods that got the scheduling gate that waits for profiles";
        registry.register("gated_pods", help, gated.clone());
        registry.register("refusals", "Requests that are no review, by reason", refusals.clone());
        let help = "For how long a watch has been lost, 0 while it is up";
        registry.register_with_unit("watch_age", help, Unit::Seconds, watch_age.clone());
        registry.register("objects", "Objects that answers are made from", objects.clone());
        registry.register("invalid_objects", "Objects that cannot be used", invalid.clone());
        let help = "When the serving certificate ends, in seconds since 1970";
        registry.register("certificate_expiry_timestamp_seconds", help, expires.clone());
        registry.register(
            "certificates_taken",
            "Pairs taken into use since the start",
            renewals.clone(),
        );
        let help = "Changes of the certificate that could not be read or made";
        registry.register("certificate_failures", help, reload_failures.clone());
    }

    /// A review was answered.
    pub fn answered(&self, path: Path, answer: &Answer, took: Duration) {
        let Answer { body: _, verdict, reasons, gated } = answer;
        let path = path.as_str();
        self.durations.get_or_create(&OfPath { path }).observe(took.as_secs_f64());
        self.verdicts.get_or_create(&OfVerdict { path, verdict: verdict.as_str() }).inc();
        for reason in reasons {
            self.reasons.get_or_create(&OfReason { path, reason }).inc();
        }
        if *gated {
            self.gated.get_or_create(&OfPath { path }).inc();
        }
    }

    /// A request was refused.
    pub fn refused(&self, path: Path, reason: &'static str) {
        self.refusals.get_or_create(&OfReason { path: path.as_str(), reason }).inc();
    }

    /// The text that Prometheus reads.
    pub fn encode(
        &self,
        published: &Published,
        health: &Arc<dyn Health>,
        serving: &Serving,
    ) -> String {
        for (kind, age) in health.ages() {
            self.watch_age.get_or_create(&OfKind { kind }).set(age.try_into().unwrap_or(i64::MAX));
        }
        for count in published.counts().iter() {
            let of_kind = OfKind { kind: count.kind };
            self.objects.get_or_create(&of_kind).set(count.objects.try_into().unwrap_or(i64::MAX));
            self.invalid.get_or_create(&of_kind).set(count.invalid.try_into().unwrap_or(i64::MAX));
        }
        let receiver = serving.status();
        let status = receiver.borrow();
        let expires = status.not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.expires.set(expires.try_into().unwrap_or(i64::MAX));
        self.renewals.set(status.reloads.try_into().unwrap_or(i64::MAX));
        self.reload_failures.set(status.failures.try_into().unwrap_or(i64::MAX));
        drop(status);
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            writeln!(text, "# cannot encode: {error}").expect("into memory");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_every_metric() {
        let Metrics {
            registry,
            durations,
            verdicts,
            reasons,
            gated,
            refusals,
            watch_age,
            objects,
            invalid,
            expires: _,
            renewals: _,
            reload_failures: _,
        } = &Metrics::default();
        // What has no sample is not shown.
        let (path, reason, kind) = ("", "", "");
        drop(durations.get_or_create(&OfPath { path }));
        drop(verdicts.get_or_create(&OfVerdict { path, verdict: "" }));
        drop(reasons.get_or_create(&OfReason { path, reason }));
        drop(gated.get_or_create(&OfPath { path }));
        drop(refusals.get_or_create(&OfReason { path, reason }));
        for of_kind in [watch_age, objects, invalid] {
            drop(of_kind.get_or_create(&OfKind { kind }));
        }
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        let page =
            std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md"));
        daemon::described::compare(page, "### Of `cinch-webhook serve`", &text).unwrap();
    }
}
