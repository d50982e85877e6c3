//! What Prometheus is told of audit records: names and labels of the Security Profiles Operator, without those whose values have
//! no end (`pod`, `executable`), and with no more series than are stated here.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Registry,
};

use super::{
    counts::{Counted, Counts},
    names::Name,
    origin::Unknown,
};
use crate::audit::{Record, Verdict};

/// The most series of one metric; what comes after is counted with this in the place of all names.
const MOST: usize = 1000;
const OTHER: &str = "other";

/// The labels of each mechanism, after the node. Of contexts the types alone: there are as many levels as containers.
const SECCOMP: &[&str] = &["namespace", "container", "syscall"];
const APPARMOR: &[&str] = &["namespace", "container", "profile", "operation", "apparmor"];
const SELINUX: &[&str] = &["namespace", "container", "scontext", "tcontext"];

/// The counters of a node.
#[derive(Clone, Debug)]
pub struct Metrics {
    seccomp: Series,
    apparmor: Series,
    selinux: Series,
}

/// A counter for each of a bounded number of label sets.
#[derive(Clone, Debug)]
struct Series {
    node: Arc<str>,
    labels: &'static [&'static str],
    counts: Arc<Mutex<HashMap<Vec<String>, u64>>>,
}

impl Metrics {
    /// The counters, with those that were counted where records are read.
    pub fn register(registry: &mut Registry, node: &str, counts: &Counts) -> Self {
        let series = |labels| Series { node: node.into(), labels, counts: Arc::default() };
        let metrics =
            Self { seccomp: series(SECCOMP), apparmor: series(APPARMOR), selinux: series(SELINUX) };
        let shared = registry.sub_registry_with_prefix("security_profiles_operator");
        let help = "Audit records of seccomp";
        shared.register("seccomp_profile_audit", help, metrics.seccomp.clone());
        let help = "Audit records of AppArmor";
        shared.register("apparmor_profile_audit", help, metrics.apparmor.clone());
        let help = "Audit records of SELinux";
        shared.register("selinux_profile_audit", help, metrics.selinux.clone());
        let own = registry.sub_registry_with_prefix("cinch_recorder");
        let help = "Audit records of which nobody knows whose they are";
        own.register("audit_unattributed", help, ByReason(counts.clone(), unattributed));
        let help = "Audit records that were lost, or times at which an unknown number was";
        own.register("audit_lost", help, ByReason(counts.clone(), |counted| counted.lost));
        metrics
    }

    /// Counts a record.
    pub fn take(&self, record: &Record<'_>, name: Option<&Name>) {
        if let Some(sort) = Sort::of(record) {
            self.add(&sort, name, 1);
        }
    }

    /// Counts so many records of one sort.
    pub fn add(&self, sort: &Sort, name: Option<&Name>, times: u64) {
        let (namespace, container) =
            name.map_or(("", ""), |name| (&*name.namespace, &*name.container));
        let series = match sort.of {
            Of::Seccomp => &self.seccomp,
            Of::AppArmor => &self.apparmor,
            Of::Selinux => &self.selinux,
        };
        let rest = sort.labels.iter().map(String::as_str);
        series.add([namespace, container].into_iter().chain(rest), times);
    }
}

/// Records that are counted as one, but for whose they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    of: Of,
    labels: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Seccomp,
    AppArmor,
    Selinux,
}

impl Sort {
    /// None of what only says that records were lost.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let (of, labels) = match record {
            Record::Seccomp(record) => {
                let number = record.number.to_string();
                (Of::Seccomp, vec![record.syscall.map_or(number, str::to_owned)])
            }
            Record::AppArmor(record) => {
                let verdict = match record.verdict {
                    Verdict::Denied => "DENIED",
                    Verdict::Allowed => "ALLOWED",
                    Verdict::Granted => "AUDIT",
                    Verdict::Status => "STATUS",
                };
                // What was started under a profile has a name for each program.
                let profile = record.profile.as_deref().unwrap_or_default();
                let profile = profile.split("//").next().unwrap_or_default();
                let labels = [profile, &record.operation, verdict].map(str::to_owned);
                (Of::AppArmor, labels.into())
            }
            Record::Selinux(record) => {
                (Of::Selinux, [record.stype(), record.ttype()].map(str::to_owned).into())
            }
            Record::Lost(_) | Record::LostInAll(_) => return None,
        };
        Some(Self { of, labels })
    }
}

impl Series {
    fn add<'v>(&self, values: impl Iterator<Item = &'v str>, times: u64) {
        let mut values: Vec<String> = values.map(str::to_owned).collect();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST && !counts.contains_key(&values) {
            values = vec![OTHER.to_owned(); values.len()];
        }
        *counts.entry(values).or_default() += times;
    }
}

impl EncodeMetric for Series {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (values, count) in &counts {
            let names = std::iter::once("node").chain(self.labels.iter().copied());
            let values = std::iter::once(&*self.node).chain(values.iter().map(String::as_str));
            let labels: Vec<_> = names.zip(values).collect();
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// Counts that are kept where records are read.
#[derive(Debug)]
struct ByReason(Counts, fn(Counted) -> Vec<(&'static str, u64)>);

fn unattributed(counted: Counted) -> Vec<(&'static str, u64)> {
    counted.unknown.into_iter().map(|(why, count)| (Unknown::name(why), count)).collect()
}

impl EncodeMetric for ByReason {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let Self(counts, of) = self;
        for (reason, count) in of(counts.now()) {
            let labels = vec![("reason", reason)];
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::{
        audit::parse,
        logs::{loss::Loss, origin::Origin},
    };

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    fn name() -> Name {
        Name { namespace: "shop".into(), pod: "cart-0".into(), container: "web".into() }
    }

    #[test]
    fn names_and_labels_are_those_that_users_have() {
        let (mut registry, counts) = (Registry::default(), Counts::default());
        let metrics = Metrics::register(&mut registry, "worker", &counts);
        let call =
            parse("1326 audit(1.1:1): pid=1 arch=c000003e syscall=165 code=0x50001").unwrap();
        counts.take(&call, &Origin::Unknown(Unknown::Gone));
        counts.lose(Loss::Dropped(7));
        metrics.take(&call, Some(&name()));
        metrics.take(&call, Some(&name()));
        let line = r#"1400 audit(1.1:1): apparmor="DENIED" operation="open" profile="p//null-/bin/x" name="/f" requested_mask="r""#;
        metrics.take(&parse(line).unwrap(), Some(&name()));
        let line = "1400 audit(1.1:1): avc:  denied  { read } for  scontext=u:r:a_t:s0:c1,c2 tcontext=u:r:b_t:s0 tclass=file";
        metrics.take(&parse(line).unwrap(), None);
        let text = text(&registry);
        for line in [
            r#"security_profiles_operator_seccomp_profile_audit_total{node="worker",namespace="shop",container="web",syscall="mount"} 2"#,
            r#"security_profiles_operator_apparmor_profile_audit_total{node="worker",namespace="shop",container="web",profile="p",operation="open",apparmor="DENIED"} 1"#,
            r#"security_profiles_operator_selinux_profile_audit_total{node="worker",namespace="",container="",scontext="a_t",tcontext="b_t"} 1"#,
            r#"cinch_recorder_audit_unattributed_total{reason="gone"} 1"#,
            r#"cinch_recorder_audit_lost_total{reason="dropped"} 7"#,
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }

    #[test]
    fn there_is_an_end_to_the_series() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry, "worker", &Counts::default());
        for number in 0..3 * MOST {
            let line =
                format!("1326 audit(1.1:1): pid=1 arch=c000003e syscall={number} code=0x50001");
            metrics.take(&parse(&line).unwrap(), None);
        }
        let text = text(&registry);
        let series = text.lines().filter(|line| line.contains("seccomp_profile_audit_total{"));
        assert_eq!(series.count(), MOST + 1);
        let other = r#"container="other",syscall="other"}"#;
        let rest = text.lines().find(|line| line.contains(other)).unwrap();
        assert!(rest.ends_with(&format!("}} {}", 2 * MOST)), "{rest}");
    }
}
