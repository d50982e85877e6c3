//! Makes the calls that parts have asked for.

use std::time::Duration;

use daemon::error::chain;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::ObjectMeta,
};
use profile::kinds::GROUP;
use rustc_hash::FxHasher;
use serde_json::{Value, json};
use std::hash::{Hash as _, Hasher as _};
use tokio::time::timeout;

use super::{
    MANAGER,
    outbox::{Call, News, Object, Order, Outcome},
};

/// The longest wait for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// The longest note of an Event, the longest name of an object and of who reports.
const NOTE: usize = 1024;
const NAME: usize = 253;
const INSTANCE: usize = 128;

/// The way to the API server.
#[derive(Clone)]
pub(super) struct Writer {
    client: Client,
    identity: String,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) fn new(client: Client, identity: String) -> Self {
        Self { client, identity }
    }

    /// Makes a call.
    pub(super) async fn call(&self, order: &Order) -> Outcome {
        let Object { kind, namespace, name } = &order.object;
        let error = match timeout(PATIENCE, self.make(order)).await {
            Ok(Ok(())) => {
                tracing::debug!(kind, %namespace, %name, part = order.part, "written");
                return Outcome::Written;
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Outcome::Gone,
            Ok(Err(error)) => chain(&error),
            Err(_) => "there was no answer in time".to_owned(),
        };
        tracing::warn!(kind, %namespace, %name, part = order.part, error, "not written, and will be");
        Outcome::Failed
    }

    async fn make(&self, order: &Order) -> kube::Result<()> {
        let Object { kind, namespace, name } = &order.object;
        let resource = resource(kind);
        let api: Api<DynamicObject> = match &**namespace {
            "" => Api::all_with(self.client.clone(), &resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
        };
        let apply = PatchParams::apply(MANAGER).force();
        let merge =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let typed = |body: &Value| {
            let mut body = stamped(body.clone());
            body["apiVersion"] = json!(resource.api_version);
            body["kind"] = json!(resource.kind);
            body["metadata"]["name"] = json!(name);
            body
        };
        match &order.call {
            Call::Apply(body) => api.patch(name, &apply, &Patch::Apply(&typed(body))).await,
            Call::ApplyStatus(body) => {
                api.patch_status(name, &apply, &Patch::Apply(&typed(body))).await
            }
            Call::Merge(body) => api.patch(name, &merge, &Patch::Merge(body)).await,
            Call::Strategic(body) => api.patch(name, &merge, &Patch::Strategic(body)).await,
            Call::MergeStatus(body) => api.patch_status(name, &merge, &Patch::Merge(body)).await,
        }
        .map(drop)
    }

    /// Tells people: a new Event, or one more of a series that was begun.
    pub(super) async fn tell(&self, news: &News) -> Outcome {
        let error = match timeout(PATIENCE, self.write_event(news)).await {
            Ok(Ok(())) => return Outcome::Written,
            Ok(Err(error)) => chain(&error),
            Err(_) => "there was no answer in time".to_owned(),
        };
        let Object { kind, name, .. } = &news.about.object;
        tracing::warn!(kind, %name, error, "an Event was not written");
        Outcome::Failed
    }

    async fn write_event(&self, news: &News) -> kube::Result<()> {
        // What is in no namespace has its Events in this one.
        let namespace = match &*news.about.object.namespace {
            "" => "default",
            namespace => namespace,
        };
        let api = Api::<Event>::namespaced(self.client.clone(), namespace);
        let posting =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let patching =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let event = self.event(news, namespace);
        let name = event.metadata.name.clone().unwrap_or_default();
        match api.create(&posting, &event).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => return other.map(drop),
        }
        // The right to patch gives what is there, too.
        let there = api.patch(&name, &patching, &Patch::Merge(json!({}))).await?;
        let before = there.series.map_or(1, |series| series.count);
        let series = EventSeries {
            count: before.saturating_add(1),
            last_observed_time: MicroTime(Timestamp::now()),
        };
        api.patch(&name, &patching, &Patch::Merge(json!({ "series": series }))).await.map(drop)
    }

    fn event(&self, news: &News, namespace: &str) -> Event {
        let Object { kind, namespace: own, name } = &news.about.object;
        let note = note(&news.note);
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Event {
            metadata: ObjectMeta {
                name: Some(event_name(news, &note)),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(Timestamp::now())),
            type_: Some(if news.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(news.reason.to_owned()),
            action: Some(news.action.to_owned()),
            note: Some(note),
            regarding: Some(ObjectReference {
                api_version: Some(resource(kind).api_version),
                kind: some(kind),
                namespace: some(own),
                name: some(name),
                uid: some(&news.about.uid),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(MANAGER.to_owned()),
            reporting_instance: Some(self.identity.chars().take(INSTANCE).collect()),
            ..Event::default()
        }
    }
}

/// The kind as the API server knows it.
fn resource(kind: &str) -> ApiResource {
    let (group, version) = if kind == "Pod" { ("", "v1") } else { (GROUP, "v1") };
    let api_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let plural = kind.to_ascii_lowercase() + "s";
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version,
        kind: kind.into(),
        plural,
    }
}

/// A note changes nothing later: one of another text is another Event, and the same again counts on.
fn event_name(news: &News, note: &str) -> String {
    let mut hasher = FxHasher::default();
    (&news.about, news.reason, note).hash(&mut hasher);
    let end = format!(".{:016x}", hasher.finish());
    let name: String = news.about.object.name.chars().take(NAME - end.len()).collect();
    format!("{}{end}", name.trim_end_matches(['.', '-']))
}

/// Bounded, and nothing in it that a terminal obeys.
fn note(text: &str) -> String {
    let mut note: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    while note.len() > NOTE {
        note.pop();
    }
    note
}

/// The body with the time of now, where a condition has changed.
fn stamped(mut body: Value) -> Value {
    let conditions = body.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        if let Some(time @ Value::Null) = condition.get_mut("lastTransitionTime") {
            let second = Timestamp::from_second(Timestamp::now().as_second());
            *time = json!(Time(second.unwrap_or_default()));
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::outbox::About;

    fn news(name: &str, note: &str) -> News {
        let object = Object { kind: "SeccompProfile", namespace: "".into(), name: name.into() };
        let about = About { object, uid: "u".into() };
        News { about, warning: true, reason: "Failed", action: "Install", note: note.to_owned() }
    }

    #[test]
    fn the_same_news_have_one_name_and_others_another() {
        let name = |news: &News| event_name(news, &news.note);
        assert_eq!(name(&news("a", "x")), name(&news("a", "x")));
        assert_ne!(name(&news("a", "x")), name(&news("a", "y")));
        let long = name(&news(&"a.".repeat(126), "x"));
        assert!(long.len() <= NAME && !long.contains(".."), "{long}");
    }

    #[test]
    fn notes_are_bounded_and_no_terminal_obeys_them() {
        let note = note(&format!("\u{1b}[2J{}", "ä".repeat(2000)));
        assert!(note.len() <= NOTE && !note.contains('\u{1b}'), "{note}");
    }

    #[test]
    fn a_condition_that_changes_gets_the_time_of_the_write() {
        let kept = json!("2026-01-02T03:04:05Z");
        let body = json!({ "status": { "conditions": [
            { "type": "Ready", "lastTransitionTime": null },
            { "type": "Other", "lastTransitionTime": kept },
        ]}});
        let stamped = stamped(body);
        let times = |place: &str| {
            stamped.pointer(&format!("/status/conditions/{place}/lastTransitionTime"))
        };
        assert!(times("0").is_some_and(Value::is_string));
        assert_eq!(times("1"), Some(&kept));
    }

    #[test]
    fn kinds_are_asked_for_where_they_are_served() {
        let path = |kind| {
            let resource = resource(kind);
            format!("{} {}", resource.api_version, resource.plural)
        };
        assert_eq!(path("Pod"), "v1 pods");
        assert_eq!(
            path("AppArmorProfile"),
            "security-profiles-operator.x-k8s.io/v1 apparmorprofiles"
        );
    }
}
