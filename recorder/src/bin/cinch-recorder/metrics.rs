//! What Prometheus is told; no label has values that come from users.

use std::{fmt::Write as _, sync::Mutex};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use recorder::{
    kernel::Watch,
    logs::{self, Counts},
};

use crate::tracker::Outcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    of: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Publication {
    kind: &'static str,
    outcome: &'static str,
}

/// The counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    published: Family<Publication, Counter>,
    statuses: Counter,
    pub(crate) recorded: Gauge,
    watching: Family<Of, Gauge>,
    lost: Family<Of, Gauge>,
    violations: Family<Of, Counter>,
    watch_age: Family<OfKind, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            published: Family::default(),
            statuses: Counter::default(),
            recorded: Gauge::default(),
            watching: Family::default(),
            lost: Family::default(),
            violations: Family::default(),
            watch_age: Family::default(),
        };
        *lock(&metrics.registry) = metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) -> Registry {
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("cinch_recorder");
        let help = "Profiles written to the API server, and those that were not";
        own.register("profiles", help, self.published.clone());
        let help = "Statuses of recordings written to the API server";
        own.register("status_writes", help, self.statuses.clone());
        own.register("containers", "Containers that are being recorded", self.recorded.clone());
        let help = "Whether programs in the kernel watch this";
        own.register("watching", help, self.watching.clone());
        let help = "Things that could not be recorded since the programs were loaded";
        own.register("lost", help, self.lost.clone());
        let help = "Things that profiles denied to containers, while these are counted";
        own.register("violations", help, self.violations.clone());
        let help = "For how long a watch has been lost, 0 while it is up";
        own.register_with_unit("watch_age", help, Unit::Seconds, self.watch_age.clone());
        registry
    }

    /// A profile was written, or not.
    pub(crate) fn published(&self, kind: &'static str, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Written => "written",
            Outcome::Taken => "name_taken",
            Outcome::Failed => "failed",
        };
        self.published.get_or_create(&Publication { kind, outcome }).inc();
    }

    /// A status was written.
    pub(crate) fn reported(&self) {
        self.statuses.inc();
    }

    /// What is watched, and what was lost.
    pub(crate) fn seen(&self, watch: Watch, lost: recorder::kernel::Lost) {
        let Watch { calls, denials, accesses, permissions } = watch;
        for (of, on) in [
            ("calls", calls),
            ("denials", denials),
            ("accesses", accesses),
            ("permissions", permissions),
        ] {
            self.watching.get_or_create(&Of { of }).set(i64::from(on));
        }
        for (of, lost) in [
            ("namespaces", lost.namespaces),
            ("accesses", lost.accesses),
            ("permissions", lost.permissions),
        ] {
            self.lost.get_or_create(&Of { of }).set(lost.try_into().unwrap_or(i64::MAX));
        }
    }

    /// Profiles have denied something so often: by which mechanism, or `unattributed` where nobody tells to whom.
    pub(crate) fn violated(&self, of: &'static str, count: u64) {
        if count > 0 {
            self.violations.get_or_create(&Of { of }).inc_by(count);
        }
    }

    /// Counters of audit records, and those that were counted where records are read.
    pub(crate) fn of_logs(&self, node: &str, counts: &Counts) -> logs::metrics::Metrics {
        logs::metrics::Metrics::register(&mut lock(&self.registry), node, counts)
    }

    /// The text that Prometheus reads.
    pub(crate) fn encode(&self, ages: &[(&'static str, u64)]) -> String {
        for &(kind, age) in ages {
            let age = age.try_into().unwrap_or(i64::MAX);
            self.watch_age.get_or_create(&OfKind { kind }).set(age);
        }
        let mut text = String::new();
        let encoded = encode(&mut text, &lock(&self.registry));
        if let Err(error) = encoded {
            writeln!(text, "# cannot encode: {error}").unwrap_or_default();
        }
        text
    }
}

fn lock(registry: &Mutex<Registry>) -> std::sync::MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use recorder::{
        audit::parse,
        logs::{Loss, Origin, Unknown},
    };

    use super::*;

    #[test]
    fn the_documentation_has_every_metric() {
        let metrics = Metrics::default();
        let Metrics {
            registry: _,
            published,
            statuses: _,
            recorded: _,
            watching,
            lost,
            violations,
            watch_age: _,
        } = &metrics;
        // What has no sample is not shown.
        drop(published.get_or_create(&Publication { kind: "", outcome: "" }));
        for family in [watching, lost] {
            drop(family.get_or_create(&Of { of: "" }));
        }
        drop(violations.get_or_create(&Of { of: "" }));
        let counts = Counts::default();
        let of_logs = metrics.of_logs("", &counts);
        for line in [
            "1326 audit(1.1:1): pid=1 arch=c000003e syscall=165 code=0x50001",
            r#"1400 audit(1.1:1): apparmor="DENIED" operation="open" profile="p" name="/f" requested_mask="r""#,
            "1400 audit(1.1:1): avc:  denied  { read } for  scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=file",
        ] {
            let record = parse(line).unwrap();
            counts.take(&record, &Origin::Unknown(Unknown::Gone));
            of_logs.take(&record, None);
        }
        counts.lose(Loss::Dropped(1));
        let text = metrics.encode(&[("", 0)]);
        let page =
            std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md"));
        daemon::described::compare(page, "### Of `cinch-recorder run`", &text).unwrap();
    }
}
