//! The real daemon of one node.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::Value;
use tests::{cluster::Cluster, installer::Installer, memory, node::Node, object, until::until};

use crate::{profiles, report::Bulk};

/// So many are there before the first that is measured.
const STANDING: usize = 100;
const LIMIT: Duration = Duration::from_mins(3);
/// For a status that may be too large to be taken.
const PATIENCE: Duration = Duration::from_secs(20);
const BETWEEN_TWO_LOOKS: Duration = Duration::from_micros(500);

async fn exists(path: &Path) -> Result<()> {
    let end = Instant::now() + LIMIT;
    while !path.exists() {
        ensure!(Instant::now() < end, "no {}", path.display());
        tokio::time::sleep(BETWEEN_TWO_LOOKS).await;
    }
    Ok(())
}

/// From before the creation of an object to its file in place, in microseconds.
pub(crate) async fn latency(cluster: &Cluster, count: usize) -> Result<Histogram<u64>> {
    let node = Node::new(cluster).await?;
    profiles::create(cluster, 0..STANDING).await?;
    let folder = cluster.new_folder()?;
    let installer = Installer::start(&folder, &node.name, &node.kubeconfig().await?).await?;
    let mut times = Histogram::new(3)?;
    for number in STANDING..STANDING + count {
        let start = Instant::now();
        cluster.create(&profiles::profile(number, 0)).await?;
        exists(&installer.seccomp(&profiles::name(number))).await?;
        times.record(u64::try_from(start.elapsed().as_micros())?)?;
    }
    Ok(times)
}

/// Many profiles at once: from nothing, and on a restart with everything in place.
pub(crate) async fn bulk(cluster: &Cluster, count: usize) -> Result<Bulk> {
    profiles::create(cluster, 0..count).await?;
    let node = Node::new(cluster).await?;
    let (folder, kubeconfig) = (cluster.new_folder()?, node.kubeconfig().await?);
    let start = Instant::now();
    let mut installer = Installer::start_unready(&folder, &node.name, &kubeconfig).await?;
    let path = installer.seccomp(&profiles::name(0));
    let files = path.parent().context("a file without a folder")?.to_owned();
    let there = || {
        fs::read_dir(&files).map_or(0, |files| {
            files.flatten().filter(|f| f.file_name().to_string_lossy().ends_with(".json")).count()
        })
    };
    while there() < count {
        ensure!(start.elapsed() < LIMIT, "{} of {count} files", there());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let from_nothing = start.elapsed();
    installer.ready().await?;
    let first = memory::of(installer.pid())?;
    // The schema takes no more in the status.
    let reported = count.min(8192);
    let mut said = Value::Null;
    let written = until("the status tells of all", PATIENCE, async || {
        said = node.object().await?.unwrap_or_default();
        let profiles = said["status"]["profiles"].as_array().map_or(0, Vec::len);
        Ok((profiles == reported && said["status"]["installed"] == count).then_some(()))
    })
    .await
    .is_ok();
    let object = written.then(|| said.to_string().len());
    let without_managers = written.then(|| {
        said["metadata"]["managedFields"] = Value::Null;
        said.to_string().len()
    });

    let before = stamps(&installer, count)?;
    installer.kill()?;
    let from = cluster.audit().end()?;
    let start = Instant::now();
    installer.start_again().await?;
    installer.ready().await?;
    let restart = start.elapsed();
    let again = memory::of(installer.pid())?;
    let looked = |event: &Value| {
        event["verb"] == "get" && event["objectRef"]["resource"] == "nodesecurityprofiles"
    };
    if written {
        cluster.audit().event(from, "a look at the object", looked).await?;
    }
    // One more shows that all before it was done.
    profiles::create(cluster, count..count + 1).await?;
    exists(&installer.seccomp(&profiles::name(count))).await?;
    if written {
        until("the status tells of one more", LIMIT, async || {
            let said = node.object().await?.unwrap_or_default();
            Ok((said["status"]["installed"] == count + 1).then_some(()))
        })
        .await?;
    }
    let rewritten = stamps(&installer, count)?;
    let rewritten = rewritten.iter().zip(&before).filter(|(after, before)| after != before).count();
    let writes = cluster.audit().since(from)?.iter().filter(|e| is_status_write(e)).count();
    Ok(Bulk {
        count,
        from_nothing,
        restart,
        rewritten,
        writes,
        memory: first,
        memory_again: again,
        object,
        without_managers,
    })
}

/// By which a file that was written again is known.
fn stamps(installer: &Installer, count: usize) -> Result<Vec<(u64, i64, i64)>> {
    let stamp = |number| -> Result<_> {
        let meta = fs::metadata(installer.seccomp(&profiles::name(number)))?;
        Ok((meta.ino(), meta.ctime(), meta.ctime_nsec()))
    };
    (0..count).map(stamp).collect()
}

/// Whether somebody wrote what a node says.
pub(crate) fn is_status_write(event: &Value) -> bool {
    event["objectRef"]["resource"] == "nodesecurityprofiles"
        && ["create", "patch", "update"].iter().any(|verb| event["verb"] == *verb)
        && object::text(event, "/user/username")
            .is_ok_and(|user| user.ends_with(tests::node::ACCOUNT))
}
