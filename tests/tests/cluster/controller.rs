//! What the controller does in a cluster, with the rights that the chart gives it.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use tests::{
    audit::{Audit, Moment, by},
    cluster::Cluster,
    namespace::{Namespace, unique},
    object,
    programs::Programs,
    until::until,
};

use crate::{shared::Shared, write};
use daemon::Controller;

#[path = "controller/daemon.rs"]
mod daemon;
#[path = "controller/in_use.rs"]
pub(crate) mod in_use;
#[path = "controller/leader.rs"]
pub(crate) mod leader;
#[path = "controller/memory.rs"]
pub(crate) mod memory;
#[path = "controller/recordings.rs"]
pub(crate) mod recordings;
#[path = "controller/status.rs"]
pub(crate) mod status;
#[path = "controller/workloads.rs"]
pub(crate) mod workloads;

pub(crate) const KIND: &str = "SeccompProfile";
const IMAGE: &str = "nginx:1.27";
const LIMIT: Duration = Duration::from_mins(1);

/// A cluster with a controller: in the one where webhooks are asked its finalizers would be in the way.
#[derive(Debug)]
pub(crate) struct Controlled {
    // Ended before what it needs.
    _controller: Controller,
    pub(crate) cluster: Cluster,
}

impl Controlled {
    pub(crate) async fn start(programs: &Programs) -> Result<Self> {
        let cluster = Cluster::start(programs).await?;
        let controller = Controller::start(&cluster, "shared").await?;
        Ok(Self { _controller: controller, cluster })
    }

    async fn namespace(&self) -> Result<Namespace> {
        Namespace::new(self.cluster.asker(), &[]).await
    }
}

/// A control plane of one's own, where writes are counted.
async fn quiet_cluster() -> Result<Cluster> {
    Cluster::start(&Programs::find().map_err(|missing| anyhow!("{missing}"))?).await
}

async fn controlled(shared: &Shared) -> Result<&Controlled> {
    shared.controlled().await
}

/// A profile of a name that no other test uses.
fn profile() -> (String, Value) {
    let name = format!("controlled-{}", unique());
    let object = write::profile(KIND, &name);
    (name, object)
}

/// A pod under a seccomp profile; it has no node, so nothing starts it.
fn pod(name: &str, profile: &str) -> Value {
    let context = write::context(KIND, profile);
    let spec =
        json!({ "containers": [{ "name": "main", "image": IMAGE, "securityContext": context }] });
    write::pod(&json!({ "name": name }), &spec)
}

/// Waits until an object is as it should be; gives it as it is then.
async fn until_is(
    cluster: &Cluster,
    object: &Value,
    namespace: &str,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let at = object::location(object, namespace)?;
    let mut last = Value::Null;
    let found = until(what, LIMIT, async || {
        let answer = cluster.asker().ask("GET", &at, None).await?;
        last = answer.body;
        Ok(is(&last).then(|| last.clone()))
    });
    found.await.with_context(|| format!("it is {last}"))
}

/// The calls of the controllers that write, but for those that say who leads.
fn writes(audit: &Audit, from: Moment) -> Result<Vec<Value>> {
    let reads = ["get", "list", "watch"].map(Value::from);
    let events = audit.since(from)?.into_iter().filter(by(daemon::USER));
    Ok(events
        .filter(|event| {
            !reads.contains(&event["verb"]) && event["objectRef"]["resource"] != "leases"
        })
        .collect())
}
