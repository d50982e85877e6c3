//! What the recorder of a node makes of what containers do.

use std::time::Duration;

use anyhow::{Context as _, Result};
use http::StatusCode;
use serde_json::{Value, json};
use tests::{
    cluster::Cluster,
    namespace::{Namespace, RECORDING, unique},
    node::Node,
    object,
    until::until,
};

use self::daemon::Recorder;
use crate::{shared::Shared, write};

#[path = "recorder/away.rs"]
pub(crate) mod away;
#[path = "recorder/daemon.rs"]
pub(crate) mod daemon;
#[path = "recorder/names.rs"]
pub(crate) mod names;
#[path = "recorder/record.rs"]
pub(crate) mod record;
#[path = "recorder/violations.rs"]
pub(crate) mod violations;
#[path = "recorder/workload.rs"]
pub(crate) mod workload;

/// For how long something may take that a daemon does each second.
const LIMIT: Duration = Duration::from_mins(1);
const PARTIAL: &str = "spo.x-k8s.io/partial";

/// A namespace whose pods may be recorded, without a webhook.
async fn namespace(shared: &Shared) -> Result<Namespace> {
    shared.own(&[(RECORDING, "true")]).await
}

/// A recording of pods with the label `app: <name>`, and its name.
async fn recording(namespace: &Namespace, kind: &str, more: &Value) -> Result<String> {
    let name = format!("rec{}", unique());
    let object = write::recording(&name, kind, "Bpf", more);
    namespace.create_object(&object).await?.granted()?;
    Ok(name)
}

/// A profile as it is in the cluster.
async fn profile(cluster: &Cluster, kind: &str, name: &str) -> Result<Option<Value>> {
    let at = object::location(&write::profile(kind, name), "")?;
    let answer = cluster.asker().ask("GET", &at, None).await?;
    match answer.status {
        StatusCode::NOT_FOUND => Ok(None),
        _ => answer.granted().map(Some),
    }
}

/// Waits until a profile is as it should be.
async fn until_profile(
    cluster: &Cluster,
    kind: &str,
    name: &str,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let mut last = Value::Null;
    let found = until(&format!("{name}: {what}"), LIMIT, async || {
        last = profile(cluster, kind, name).await?.unwrap_or_default();
        Ok((!last.is_null() && is(&last)).then(|| last.clone()))
    })
    .await;
    found.with_context(|| format!("it is {last}"))
}

/// Waits until the status of a recording is as it should be.
async fn until_status(
    namespace: &Namespace,
    name: &str,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let mut last = Value::Null;
    let found = until(&format!("{name}: {what}"), LIMIT, async || {
        let object = namespace.get(&write::v1(), "ProfileRecording", name).await?;
        last = object.unwrap_or_default()["status"].take();
        Ok(is(&last).then(|| last.clone()))
    })
    .await;
    found.with_context(|| format!("it is {last}"))
}

/// A node with a recorder, and a namespace whose pods may be recorded.
async fn stage(shared: &Shared) -> Result<(Node<'_>, Recorder, Namespace)> {
    let node = Node::new(&shared.cluster).await?;
    let recorder = Recorder::start(&node).await?;
    Ok((node, recorder, namespace(shared).await?))
}

/// Whether a seccomp profile allows a call.
fn allows(profile: &Value, call: &str) -> bool {
    let rules = profile["spec"]["syscalls"].as_array().into_iter().flatten();
    let names = rules.filter_map(|rule| rule["names"].as_array()).flatten();
    names.into_iter().any(|name| *name == json!(call))
}

fn is_partial(profile: &Value) -> bool {
    profile["metadata"]["labels"][PARTIAL] == json!("true")
}
