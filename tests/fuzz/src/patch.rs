//! What must hold of a patch: it applies, and it changes profile fields, our annotations and our scheduling gate alone.

use profile::{pod::PROFILE_NOT_READY, recordings::Mark};
use serde_json::{Map, Value, json};

/// Older annotations that must say the same as the field, where they are there.
const FOLLOWING: [&str; 2] = [
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
];

const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// The pod after the patch; panics when the patch does more than it may.
pub(crate) fn apply(pod: &Value, patch: &Value) -> Value {
    let operations = patch.as_array().expect("a list of operations");
    assert!(!operations.is_empty());
    for operation in operations {
        assert!(allowed(pod, operation), "{operation}");
    }
    let operations: json_patch::Patch =
        serde_json::from_value(patch.clone()).expect("operations of RFC 6902");
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &operations).expect("the patch applies");
    inherited(pod, &patched);
    assert_eq!(rest(pod), rest(&patched), "changed by {patch}");
    patched
}

fn allowed(pod: &Value, operation: &Value) -> bool {
    let path = operation["path"].as_str().expect("a path");
    let parts: Vec<_> = path.split('/').skip(1).collect();
    let (add, remove) = (operation["op"] == "add", operation["op"] == "remove");
    match parts[..] {
        ["metadata", "annotations"] => add && operation["value"].as_object().is_some_and(marks),
        ["metadata", "annotations", key] => {
            let key = key.replace("~1", "/").replace("~0", "~");
            let value = operation["value"].as_str();
            if follows(&key) {
                let there = pod["metadata"]["annotations"][&*key].is_string();
                return add && there && value.is_some_and(|value| value.starts_with("localhost/"));
            }
            (add && value.is_some() || remove) && Mark::owns(&key)
        }
        ["spec", "schedulingGates"] => {
            add && pod["spec"]["schedulingGates"].is_null()
                && operation["value"] == json!([{ "name": PROFILE_NOT_READY }])
        }
        ["spec", "schedulingGates", "-"] => {
            add && !is_gated(pod) && operation["value"] == json!({ "name": PROFILE_NOT_READY })
        }
        ["spec", "securityContext", ref field @ ..] => add && profile_field(field, operation),
        ["spec", list, index, "securityContext", ref field @ ..] => {
            let index = index.parse::<usize>().is_ok();
            add && LISTS.contains(&list) && index && profile_field(field, operation)
        }
        _ => false,
    }
}

fn is_gated(pod: &Value) -> bool {
    let gates = pod["spec"]["schedulingGates"].as_array();
    gates.into_iter().flatten().any(|gate| gate["name"] == PROFILE_NOT_READY)
}

fn follows(key: &str) -> bool {
    FOLLOWING.iter().any(|prefix| key.starts_with(prefix))
}

fn marks(annotations: &Map<String, Value>) -> bool {
    annotations.iter().all(|(key, value)| Mark::owns(key) && value.is_string())
}

fn profile_field(field: &[&str], operation: &Value) -> bool {
    let value = &operation["value"];
    match field {
        [] => value.as_object().is_some_and(|fields| {
            fields.iter().all(|(field, value)| profile_value(field, value))
        }),
        ["seLinuxOptions", "type"] => value.is_string(),
        [field] => profile_value(field, value),
        _ => false,
    }
}

fn profile_value(field: &str, value: &Value) -> bool {
    let Some(value) = value.as_object() else { return false };
    let known: &[&str] = match field {
        "seccompProfile" | "appArmorProfile" => &["type", "localhostProfile"],
        "seLinuxOptions" => &["type", "user", "role", "level"],
        _ => return false,
    };
    value.contains_key("type")
        && value.iter().all(|(key, value)| known.contains(&&**key) && value.is_string())
}

/// Where a container gets SELinux options, all but the type are those that it had, or that the pod had.
fn inherited(before: &Value, after: &Value) {
    for list in LISTS {
        let containers = |pod: &'_ Value| pod["spec"][list].as_array().cloned().unwrap_or_default();
        for (before_one, after_one) in containers(before).iter().zip(&containers(after)) {
            let options = |container: &Value| container["securityContext"]["seLinuxOptions"].clone();
            let (had, has) = (options(before_one), options(after_one));
            let source = if had.is_object() {
                had
            } else {
                before["spec"]["securityContext"]["seLinuxOptions"].clone()
            };
            for field in ["user", "role", "level"] {
                let text = |options: &Value| options[field].as_str().unwrap_or_default().to_owned();
                assert!(has.is_null() || text(&has) == text(&source), "{field}: {source} {has}");
            }
        }
    }
}

/// The pod without what a patch may change; what is empty, null or absent is the same.
fn rest(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(annotations) = pod["metadata"]["annotations"].as_object_mut() {
        annotations.retain(|key, _| !Mark::owns(key));
        for (_, value) in annotations.iter_mut().filter(|(key, _)| follows(key)) {
            *value = Value::Null;
        }
    }
    drop_if_empty(&mut pod["metadata"], "annotations");
    if let Some(gates) = pod["spec"]["schedulingGates"].as_array_mut() {
        gates.retain(|gate| gate["name"] != PROFILE_NOT_READY);
    }
    drop_if_empty(&mut pod["spec"], "schedulingGates");
    without_profiles(&mut pod["spec"]);
    for list in LISTS {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            without_profiles(container);
        }
        drop_if_empty(&mut pod["spec"], list);
    }
    pod
}

fn without_profiles(holder: &mut Value) {
    if let Some(context) = holder["securityContext"].as_object_mut() {
        for field in ["seccompProfile", "appArmorProfile", "seLinuxOptions"] {
            context.remove(field);
        }
    }
    drop_if_empty(holder, "securityContext");
}

fn drop_if_empty(holder: &mut Value, field: &str) {
    let empty = match &holder[field] {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(values) => values.is_empty(),
        value => value.is_null(),
    };
    if let (true, Some(fields)) = (empty, holder.as_object_mut()) {
        fields.remove(field);
    }
}
