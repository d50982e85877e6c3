//! What was denied, by workload: from the Events that recorders write. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{api::events::v1::Event, jiff::Timestamp};

use super::{content::Violation, known::Owner};

/// What Events of ours are known by.
pub(super) const REASON: &str = "ProfileViolation";
const CONTROLLER: &str = "cinch-recorder";

/// So many different ones are told apart.
const MOST: usize = 5000;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Violations {
    all: BTreeMap<Key, Violation>,
    pub(super) left_out: u64,
    pub(super) denied: u64,
}

/// Namespace, owner, and what the Event says.
type Key = (String, Owner, String);

impl Violations {
    /// Takes in an Event; `owner` tells whose pod it is about. How often it tells of a denial.
    pub(super) fn add(&mut self, event: &Event, owner: impl Fn(&str, &str) -> Owner) -> u64 {
        let (Some(regarding), Some(note)) = (&event.regarding, &event.note) else { return 0 };
        let is_ours = event.reason.as_deref() == Some(REASON)
            && event.reporting_controller.as_deref() == Some(CONTROLLER);
        if !is_ours {
            return 0;
        }
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let namespace = text(&regarding.namespace);
        let owner = owner(&namespace, regarding.name.as_deref().unwrap_or_default());
        let series = event.series.as_ref();
        let count = series.map_or(1, |series| u64::try_from(series.count).unwrap_or_default());
        let first = event.event_time.as_ref().map(|time| time.0);
        let last = series.map(|series| series.last_observed_time.0).or(first);
        self.denied += count;
        let key = (namespace, owner, note.clone());
        if !self.all.contains_key(&key) && self.all.len() >= MOST {
            self.left_out += 1;
            return count;
        }
        let of = self.all.entry(key).or_insert_with_key(|(namespace, owner, note)| {
            let parts = note.strip_prefix("container ").and_then(|rest| rest.split_once(": "));
            let (container, what) =
                parts.map_or((None, note.as_str()), |(name, what)| (Some(name.to_owned()), what));
            Violation {
                namespace: namespace.clone(),
                kind: owner.kind.clone(),
                name: owner.name.clone(),
                container,
                what: what.to_owned(),
                count: 0,
                pods: 0,
                first: None,
                last: None,
            }
        });
        of.count += count;
        of.pods += 1;
        of.first = earlier(of.first, first);
        of.last = of.last.max(last);
        count
    }

    /// The latest first.
    pub(super) fn sorted(self) -> Vec<Violation> {
        let mut all: Vec<_> = self.all.into_values().collect();
        all.sort_by(|a, b| b.last.cmp(&a.last).then(b.count.cmp(&a.count)));
        all
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
