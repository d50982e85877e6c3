//! Events about violations: one object for each container and rule, of which this process and those before it count the
//! series on.

use daemon::error::chain;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use recorder::logs::violation::digest;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Cluster, MANAGER, MESSAGE, PATIENCE};
use crate::violations::Occurrence;

const REASON: &str = "ProfileViolation";

/// The longest name of an object, the part after the pod's included, and of a reporting instance.
const NAME: usize = 253;
const INSTANCE: usize = 128;

impl Cluster {
    /// Tells of a violation, or that it goes on. How often it had happened before this process counted.
    pub(crate) async fn violation(&self, occurrence: &Occurrence) -> Result<u64, ()> {
        let error = match timeout(PATIENCE, self.write_violation(occurrence)).await {
            Ok(Ok(before)) => return Ok(before),
            Ok(Err(error)) => chain(&error),
            Err(_) => "there was no answer in time".to_owned(),
        };
        let (namespace, pod) = (&occurrence.who.namespace, &occurrence.who.pod);
        tracing::warn!(namespace, pod, error, "an Event was not written, and will be");
        Err(())
    }

    async fn write_violation(&self, occurrence: &Occurrence) -> kube::Result<u64> {
        let api = Api::<Event>::namespaced(self.client.clone(), &occurrence.who.namespace);
        let manager = Some(MANAGER.to_owned());
        let patching = PatchParams { field_manager: manager.clone(), ..PatchParams::default() };
        let name = name(occurrence);
        let is = |error: &kube::Error, code| matches!(error, kube::Error::Api(status) if status.code == code);
        let mut before = occurrence.before;
        if before.is_none() {
            let posting = PostParams { field_manager: manager.clone(), ..PostParams::default() };
            match api.create(&posting, &event(occurrence, &self.node)).await {
                Ok(_) => return Ok(0),
                Err(error) if is(&error, 409) => {}
                Err(error) => return Err(error),
            }
            // An earlier process has told of it. The right to patch gives what is there, too.
            let there = api.patch(&name, &patching, &Patch::Merge(json!({}))).await?;
            before = Some(there.series.map_or(1, |series| series.count.try_into().unwrap_or(1)));
        }
        let going_on = Occurrence { before, ..occurrence.clone() };
        let patch = Patch::Merge(patch(&going_on));
        match api.patch(&name, &patching, &patch).await {
            Ok(_) => Ok(before.unwrap_or_default()),
            // Objects of Events do not live for ever.
            Err(error) if is(&error, 404) => {
                let posting = PostParams { field_manager: manager, ..PostParams::default() };
                api.create(&posting, &event(&going_on, &self.node)).await?;
                Ok(before.unwrap_or_default())
            }
            Err(error) => Err(error),
        }
    }
}

/// The name of an Event: the same for each life of a container and of this program.
fn name(occurrence: &Occurrence) -> String {
    let Occurrence { who, rule, .. } = occurrence;
    let digest = digest(&[&who.uid, &who.container, rule.mechanism, &rule.what]);
    let end = format!(".{digest:016x}");
    let pod: String = who.pod.chars().take(NAME - end.len()).collect();
    format!("{}{end}", pod.trim_end_matches(['.', '-']))
}

/// An Event as it is when it is new.
fn event(occurrence: &Occurrence, node: &str) -> Event {
    let Occurrence { who, rule, times, .. } = occurrence;
    let action = match rule.mechanism {
        "seccomp" => "CallSystem",
        "apparmor" => "Access",
        "selinux" => "UsePermission",
        _ => "Various",
    };
    Event {
        metadata: ObjectMeta {
            name: Some(name(occurrence)),
            namespace: Some(who.namespace.clone()),
            ..ObjectMeta::default()
        },
        event_time: Some(time(times.first)),
        type_: Some("Warning".to_owned()),
        reason: Some(REASON.to_owned()),
        action: Some(action.to_owned()),
        note: Some(note(occurrence)),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(who.namespace.clone()),
            name: Some(who.pod.clone()),
            uid: Some(who.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(MANAGER.to_owned()),
        reporting_instance: Some(node.chars().take(INSTANCE).collect()),
        // One that has happened once is no series.
        series: (occurrence.count() > 1).then(|| series(occurrence)),
        ..Event::default()
    }
}

fn patch(occurrence: &Occurrence) -> Value {
    json!({ "series": series(occurrence) })
}

fn series(occurrence: &Occurrence) -> EventSeries {
    EventSeries {
        count: occurrence.count().max(2).try_into().unwrap_or(i32::MAX),
        last_observed_time: time(occurrence.times.last),
    }
}

/// What people read. Nobody may change it later, so nothing is in it that does.
fn note(occurrence: &Occurrence) -> String {
    let Occurrence { who, rule, .. } = occurrence;
    let what = match rule.mechanism {
        "seccomp" => format!("seccomp denied the system call {}", rule.what),
        "apparmor" => format!("AppArmor denied {}", rule.what),
        "selinux" => format!("SELinux denied {}", rule.what),
        _ => "more was denied than has an Event each: see the audit records of the node".to_owned(),
    };
    let note = match &*who.container {
        "" => what,
        container => format!("container {container}: {what}"),
    };
    // A path may have in it what a terminal obeys.
    let mut note: String = note.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    while note.len() > MESSAGE {
        note.pop();
    }
    note
}

fn time(millis: u64) -> MicroTime {
    let time = i64::try_from(millis).ok().and_then(|it| Timestamp::from_millisecond(it).ok());
    MicroTime(time.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use recorder::logs::violation::{Rule, Times};

    use super::*;
    use crate::roster::Who;

    fn occurrence(what: &str, count: u64) -> Occurrence {
        Occurrence {
            who: Who {
                namespace: "shop".into(),
                pod: "cart-0".into(),
                uid: "u".into(),
                container: "web".into(),
            },
            rule: Rule { mechanism: "seccomp", what: what.to_owned() },
            times: Times { count, first: 1000, last: 2500, since: 1000 },
            before: None,
        }
    }

    #[test]
    fn the_event_is_about_the_pod_and_says_what_was_denied() {
        let event = serde_json::to_value(event(&occurrence("mount", 7), "worker")).unwrap();
        assert_eq!(event["reason"], REASON);
        assert_eq!(event["note"], "container web: seccomp denied the system call mount");
        assert_eq!(event["series"]["count"], 7);
        assert_eq!(event["eventTime"], "1970-01-01T00:00:01.000000Z");
        assert_eq!(event["series"]["lastObservedTime"], "1970-01-01T00:00:02.500000Z");
        let regarding = json!({
            "apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "cart-0", "uid": "u",
        });
        assert_eq!(event["regarding"], regarding);
    }

    #[test]
    fn one_that_was_told_before_counts_on() {
        assert_eq!(event(&occurrence("mount", 1), "worker").series, None);
        let later = Occurrence { before: Some(40), ..occurrence("mount", 3) };
        assert_eq!(patch(&later)["series"]["count"], 43);
    }

    #[test]
    fn names_are_apart_for_each_rule_and_never_too_long() {
        let mut other = occurrence("mount", 1);
        assert_eq!(name(&other), name(&occurrence("mount", 9)));
        other.who.container = "side".into();
        assert_ne!(name(&other), name(&occurrence("mount", 1)));
        assert_ne!(name(&occurrence("umount2", 1)), name(&occurrence("mount", 1)));
        other.who.pod = format!("{}-{}", "x".repeat(235), "y".repeat(17));
        let long = name(&other);
        assert!(long.len() <= NAME && !long.contains("-."), "{long}");
    }

    #[test]
    fn notes_are_bounded_and_no_terminal_obeys_them() {
        let note = note(&occurrence(&format!("\u{1b}[2J{}", "ä".repeat(2000)), 1));
        assert!(note.len() <= MESSAGE && !note.contains('\u{1b}'), "{note}");
    }
}
