//! How often does a node write, and does it when it has nothing to say?

use std::{fs, os::unix::fs::MetadataExt as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};
use tests::{
    audit::{Audit, Moment},
    node::Node,
    object,
};

use super::{KIND, installed, profile, quiet_cluster};
use crate::{questions, shared::Shared};

questions![
    a_node_writes_once_a_second_however_many_profiles_come,
    a_node_writes_nothing_when_nothing_has_changed,
];

const PROFILES: usize = 200;
/// The clocks of two processes on one machine are the same, but when each looks at it is not.
const PACE: Duration = Duration::from_millis(980);

/// Whether a call was made by the daemon of a node.
fn is_by(node: &Node<'_>, event: &Value) -> bool {
    event.pointer("/user/extra/authentication.kubernetes.io~1node-name/0")
        == Some(&json!(node.name))
}

fn is_write(event: &Value) -> bool {
    !["get", "list", "watch"].map(Value::from).contains(&event["verb"])
}

fn microseconds(event: &Value) -> Result<i64> {
    let time: MicroTime = serde_json::from_value(event["requestReceivedTimestamp"].clone())?;
    Ok(time.0.as_microsecond())
}

fn writes(audit: &Audit, from: Moment, node: &Node<'_>) -> Result<Vec<Value>> {
    let events = audit.since(from)?.into_iter();
    Ok(events.filter(|event| is_by(node, event) && is_write(event)).collect())
}

async fn a_node_writes_once_a_second_however_many_profiles_come(_: &Shared) -> Result<()> {
    let cluster = quiet_cluster().await?;
    let (node, _installer) = installed(&cluster).await?;
    let mut names = Vec::new();
    for _ in 0..PROFILES {
        let (name, object) = profile();
        cluster.create(&object).await?;
        names.push(name);
    }
    for name in &names {
        node.until_state(KIND, name, "Installed").await?;
    }
    let object = node.object().await?.context("the node says nothing")?;
    assert_eq!(object["status"]["installed"], json!(PROFILES));

    let writes = writes(cluster.audit(), Moment::BEGIN, &node)?;
    let times: Vec<i64> = writes.iter().map(microseconds).collect::<Result<_>>()?;
    let (first, last) = (times.first().context("no write")?, times.last().context("no write")?);
    // The first second has two: the object, and what it says.
    let seconds = usize::try_from((last - first) / 1_000_000)?;
    ensure!(writes.len() <= seconds + 3, "{} writes in {seconds} s", writes.len());
    let of_status = |event: &&Value| event["objectRef"]["subresource"] == "status";
    let times = writes.iter().filter(of_status).map(microseconds);
    let times: Vec<i64> = times.collect::<Result<_>>()?;
    ensure!(times.len() > 1, "all in one write shows nothing");
    for pair in times.windows(2) {
        let between = Duration::from_micros(u64::try_from(pair[1] - pair[0])?);
        ensure!(between >= PACE, "two writes within {between:?}");
    }
    Ok(())
}

async fn a_node_writes_nothing_when_nothing_has_changed(_: &Shared) -> Result<()> {
    let cluster = quiet_cluster().await?;
    let (node, mut installer) = installed(&cluster).await?;
    let (name, mut object) = profile();
    cluster.create(&object).await?;
    node.until_state(KIND, &name, "Installed").await?;
    let stamp = |path| -> Result<_> {
        let meta = fs::metadata(path)?;
        Ok((meta.ino(), meta.mtime(), meta.mtime_nsec()))
    };
    let before = stamp(installer.seccomp(&name))?;

    // A line of the log may come after what it tells of is seen: what was asked later is what counts.
    let (audit, from) = (cluster.audit(), cluster.audit().end()?);
    cluster.asker().ask("GET", "/version", None).await?.granted()?;
    let here = |event: &Value| event["requestURI"] == "/version";
    let here = microseconds(&audit.event(from, "where it begins", here).await?)?;
    // The same profile, with other words around it.
    let metadata = json!({ "metadata": { "annotations": { "note": "seen" } } });
    let at = object::location(&object, "")?;
    cluster.asker().ask("PATCH", &at, Some(&metadata)).await?.granted()?;
    installer.kill()?;
    installer.start_again().await?;
    installer.ready().await?;
    let looked = |event: &Value| {
        is_by(&node, event)
            && event["verb"] == "get"
            && event["objectRef"]["resource"] == "nodesecurityprofiles"
    };
    audit.event(from, "a look at what the object says", looked).await?;

    // What is said of one more shows that all before it was done.
    let after = audit.end()?;
    object["metadata"]["name"] = json!("one-more");
    cluster.create(&object).await?;
    node.until_state(KIND, "one-more", "Installed").await?;
    let made = |event: &Value| event["objectRef"]["name"] == "one-more";
    let made = microseconds(&audit.event(after, "the creation", made).await?)?;
    for write in writes(audit, from, &node)? {
        let time = microseconds(&write)?;
        ensure!(time < here || time >= made, "written although nothing had changed: {write}");
    }
    assert_eq!(stamp(installer.seccomp(&name))?, before, "the file was written again");
    Ok(())
}
