//! Events about violations: one object for each container of a workload and rule, of which this process and those before it
//! count the series on.

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

/// The annotation that says of how many pods of this node it tells.
const PODS: &str = "spo.x-k8s.io/pods";

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
        let (namespace, about) = (&occurrence.whose.namespace, &occurrence.whose.object.name);
        tracing::warn!(namespace, about, error, "an Event was not written, and will be");
        Err(())
    }

    async fn write_violation(&self, occurrence: &Occurrence) -> kube::Result<u64> {
        let api = Api::<Event>::namespaced(self.client.clone(), &occurrence.whose.namespace);
        let manager = Some(MANAGER.to_owned());
        let patching = PatchParams { field_manager: manager.clone(), ..PatchParams::default() };
        let name = name(occurrence, &self.node);
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

/// The name of an Event: the same for each life of a container and of this program. A workload may be on several nodes.
fn name(occurrence: &Occurrence, node: &str) -> String {
    let Occurrence { whose, rule, .. } = occurrence;
    let uid = &whose.object.uid;
    let digest = digest(&[uid, &whose.container, rule.mechanism, &rule.what, node]);
    let end = format!(".{digest:016x}");
    let about: String = whose.object.name.chars().take(NAME - end.len()).collect();
    format!("{}{end}", about.trim_end_matches(['.', '-']))
}

/// An Event as it is when it is new.
fn event(occurrence: &Occurrence, node: &str) -> Event {
    let Occurrence { whose, rule, times, .. } = occurrence;
    let action = match rule.mechanism {
        "seccomp" => "CallSystem",
        "apparmor" => "Access",
        "selinux" => "UsePermission",
        _ => "Various",
    };
    Event {
        metadata: ObjectMeta {
            name: Some(name(occurrence, node)),
            namespace: Some(whose.namespace.clone()),
            annotations: Some([(PODS.to_owned(), occurrence.pods.to_string())].into()),
            ..ObjectMeta::default()
        },
        event_time: Some(time(times.first)),
        type_: Some("Warning".to_owned()),
        reason: Some(REASON.to_owned()),
        action: Some(action.to_owned()),
        note: Some(note(occurrence)),
        regarding: Some(ObjectReference {
            api_version: Some(whose.object.api_version.clone()),
            kind: Some(whose.object.kind.clone()),
            namespace: Some(whose.namespace.clone()),
            name: Some(whose.object.name.clone()),
            uid: Some(whose.object.uid.clone()),
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
    json!({
        "metadata": { "annotations": { PODS: occurrence.pods.to_string() } },
        "series": series(occurrence),
    })
}

fn series(occurrence: &Occurrence) -> EventSeries {
    EventSeries {
        count: occurrence.count().max(2).try_into().unwrap_or(i32::MAX),
        last_observed_time: time(occurrence.times.last),
    }
}

/// What people read. Nobody may change it later, so nothing is in it that does.
fn note(occurrence: &Occurrence) -> String {
    let Occurrence { whose, rule, pod, .. } = occurrence;
    let what = match rule.mechanism {
        "seccomp" => format!("seccomp denied the system call {}", rule.what),
        "apparmor" => format!("AppArmor denied {}", rule.what),
        "selinux" => format!("SELinux denied {}", rule.what),
        _ => "more was denied than has an Event each: see the audit records of the node".to_owned(),
    };
    let note = match &*whose.container {
        "" => what,
        container => format!("container {container}: {what}"),
    };
    let note = match &*whose.object.kind {
        "Pod" => note,
        _ => format!("{note} (seen first in pod {pod})"),
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
    use crate::{tracker::Object, violations::Whose};

    fn occurrence(what: &str, count: u64) -> Occurrence {
        Occurrence {
            whose: Whose {
                namespace: "shop".into(),
                object: Object {
                    api_version: "v1".into(),
                    kind: "Pod".into(),
                    name: "cart-0".into(),
                    uid: "u".into(),
                },
                container: "web".into(),
            },
            pods: 1,
            pod: "cart-0".into(),
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
    fn one_about_a_workload_says_of_how_many_pods_and_names_one() {
        let mut of = occurrence("mount", 7);
        let object = &mut of.whose.object;
        (object.api_version, object.kind) = ("apps/v1".into(), "ReplicaSet".into());
        object.name = "cart".into();
        of.pods = 3;
        let event = serde_json::to_value(event(&of, "worker")).unwrap();
        let note = "container web: seccomp denied the system call mount (seen first in pod cart-0)";
        assert_eq!(event["note"], note);
        assert_eq!(event["regarding"]["kind"], "ReplicaSet");
        assert_eq!(event["metadata"]["annotations"][PODS], "3");
        assert_eq!(patch(&of)["metadata"]["annotations"][PODS], "3");
    }

    #[test]
    fn one_that_was_told_before_counts_on() {
        assert_eq!(event(&occurrence("mount", 1), "worker").series, None);
        let later = Occurrence { before: Some(40), ..occurrence("mount", 3) };
        assert_eq!(patch(&later)["series"]["count"], 43);
    }

    #[test]
    fn names_are_apart_for_each_rule_and_never_too_long() {
        let name = |of: &Occurrence| name(of, "worker");
        let mut other = occurrence("mount", 1);
        assert_eq!(name(&other), name(&occurrence("mount", 9)));
        assert_ne!(name(&other), super::name(&other, "another"), "each node counts its own");
        other.whose.container = "side".into();
        assert_ne!(name(&other), name(&occurrence("mount", 1)));
        assert_ne!(name(&occurrence("umount2", 1)), name(&occurrence("mount", 1)));
        other.whose.object.name = format!("{}-{}", "x".repeat(235), "y".repeat(17));
        let long = name(&other);
        assert!(long.len() <= NAME && !long.contains("-."), "{long}");
    }

    #[test]
    fn notes_are_bounded_and_no_terminal_obeys_them() {
        let note = note(&occurrence(&format!("\u{1b}[2J{}", "ä".repeat(2000)), 1));
        assert!(note.len() <= MESSAGE && !note.contains('\u{1b}'), "{note}");
    }
}
