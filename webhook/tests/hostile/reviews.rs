//! Reviews to send: captured ones, changed.

use serde_json::{Value, json};

/// A captured review, which the bindings here are about.
pub(crate) const SMALL: &str = include_str!("../fixtures/review-5k.json");

/// The captured review with a piece of its text replaced.
pub(crate) fn replaced(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from} is not in the review");
    SMALL.replacen(from, to, 1)
}

/// The captured review with one value replaced or added.
pub(crate) fn with(parent: &str, key: &str, value: Value) -> String {
    changed(|review| {
        review.pointer_mut(parent).unwrap()[key] = value;
    })
}

/// The captured review without one value.
pub(crate) fn without(parent: &str, key: &str) -> String {
    changed(|review| {
        review.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    })
}

/// The captured review after a change.
pub(crate) fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut review = serde_json::from_str(SMALL).unwrap();
    change(&mut review);
    review.to_string()
}

/// The captured review with this many containers, each of which is bound.
pub(crate) fn of_containers(count: usize) -> String {
    changed(|review| {
        let image = "registry.example.com/shop/web:1.27.3";
        let container = |n| json!({ "name": format!("web-{n}"), "image": image });
        review["request"]["object"]["spec"]["containers"] = (0..count).map(container).collect();
    })
}

/// A review of another resource than pods.
pub(crate) fn about(
    group: &str,
    resource: &str,
    sub_resource: Option<&str>,
    object: &Value,
) -> String {
    changed(|review| {
        let request = &mut review["request"];
        request["resource"] = json!({ "group": group, "version": "v1", "resource": resource });
        if let Some(sub_resource) = sub_resource {
            request["subResource"] = json!(sub_resource);
        }
        request["object"] = object.clone();
    })
}

/// The captured review with a field that no one reads, of this text.
pub(crate) fn with_unread(text: &str) -> String {
    replaced("\"dnsPolicy\":", &format!("\"unread\":{text},\"dnsPolicy\":"))
}

/// The captured review with its labels replaced by this text.
pub(crate) fn with_labels(text: &str) -> String {
    let labels = "{\"app\":\"web\",\"pod-template-hash\":\"6d85c4bd7\"}";
    replaced(labels, text)
}
