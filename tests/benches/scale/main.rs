//! What the daemons of a whole cluster need: 200 namespaces, 2,000 bindings and 1,000 pods, which are made, run, and are
//! replaced.
//!
//! All are the real programs, as `cargo build --release` makes them, against the real API server. No kubelet is there: pods
//! are objects, and this program says of each that it runs. `BENCH=short` takes a tenth of all.

use std::{
    env,
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tests::{
    cluster::Cluster, installer, memory, namespace::Namespace, plain_http, programs::Programs,
    until::until,
};

use crate::{daemons::Daemons, histogram::Histogram};

mod content;
mod daemons;
mod histogram;

/// So many requests are under way at a time.
const AT_ONCE: usize = 16;
const LIMIT: Duration = Duration::from_mins(5);

/// How large the cluster is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    namespaces: usize,
    bindings: usize,
    pods: usize,
    profiles: usize,
    /// Pods on the node of the daemons.
    on_node: usize,
}

const FULL: Size =
    Size { namespaces: 200, bindings: 2_000, pods: 1_000, profiles: 100, on_node: 110 };
const SHORT: Size = Size { namespaces: 20, bindings: 200, pods: 100, profiles: 20, on_node: 20 };

/// Of resident memory, in MiB.
const GOALS: [(&str, f64); 4] =
    [("webhook", 50.0), ("controller", 100.0), ("node installer", 30.0), ("recorder", 40.0)];
const P99: Duration = Duration::from_millis(1);

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_other| anyhow!("somebody has chosen how to encrypt"))?;
    let size = if env::var_os("BENCH").is_some_and(|v| v == "short") { SHORT } else { FULL };
    let mut out = std::io::stdout().lock();
    let programs = match (Programs::find(), installer::program()) {
        (Ok(programs), Ok(_)) => programs,
        (Err(missing), _) => return Ok(writeln!(out, "scale: skipped: {missing}")?),
        (_, Err(missing)) => return Ok(writeln!(out, "scale: skipped: {missing}")?),
    };
    let cluster = Cluster::start(&programs).await?;
    let daemons = Daemons::start(&cluster).await?;
    let Size { namespaces, bindings, pods, profiles, on_node } = size;
    writeln!(
        out,
        "\n{namespaces} namespaces, {bindings} bindings, {profiles} profiles, {pods} pods, {on_node} of them on the node"
    )?;

    for number in 0..profiles {
        cluster.create(&content::profile(number)).await?;
    }
    let spaces: Vec<Namespace> =
        futures::stream::iter((0..namespaces).map(async |_| content::namespace(&cluster).await))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
    all(bindings, async |number| {
        let object = content::binding(number / namespaces, number % profiles);
        spaces[number % namespaces].create_object(&object).await?.granted()
    })
    .await?;
    daemons.settled(&spaces).await?;

    let start = Instant::now();
    make(&spaces, size, &daemons).await?;
    writeln!(out, "  made in {:.1} s", start.elapsed().as_secs_f64())?;
    counted(&spaces[0], size).await?;
    report(&mut out, "pods are there", &daemons).await?;

    // As many come and go as in an update of everything.
    let start = Instant::now();
    all(pods, async |number| {
        spaces[number % namespaces].delete("v1", "Pod", &content::pod_name(number)).await
    })
    .await?;
    make(&spaces, size, &daemons).await?;
    writeln!(out, "  all replaced in {:.1} s", start.elapsed().as_secs_f64())?;
    counted(&spaces[0], size).await?;
    report(&mut out, "all were replaced", &daemons).await?;
    Ok(())
}

/// Does something so many times, some at once.
async fn all<T>(count: usize, one: impl AsyncFn(usize) -> Result<T>) -> Result<()> {
    let one = &one;
    futures::stream::iter((0..count).map(|number| async move { one(number).await.map(drop) }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Makes all pods, says that they run, and looks that each is under its profile.
async fn make(spaces: &[Namespace], size: Size, daemons: &Daemons<'_>) -> Result<()> {
    all(size.pods, async |number| {
        let node = if number < size.on_node { &daemons.node.name } else { "another-node" };
        let space = &spaces[number % size.namespaces];
        let pod = space.create_object(&content::pod(number, node)).await?.granted()?;
        let profile = pod.pointer("/spec/containers/0/securityContext/seccompProfile/type");
        ensure!(profile == Some(&json!("Localhost")), "a pod without its profile: {pod}");
        space
            .set_status("v1", "Pod", &content::pod_name(number), &json!({ "phase": "Running" }))
            .await
    })
    .await
}

/// Waits until the controller has counted the pods of a namespace.
async fn counted(space: &Namespace, size: Size) -> Result<()> {
    let kind = (&*content::version(), "ProfileBinding");
    let wanted = size.pods / size.namespaces;
    until("the controller has counted the pods", LIMIT, async || {
        let bindings = space.list(kind.0, kind.1).await?;
        let of = |binding: &Value| binding["status"]["workloadCount"].as_u64().unwrap_or_default();
        let counted: u64 = bindings.iter().map(of).sum();
        Ok((counted == wanted as u64).then_some(()))
    })
    .await
}

async fn report(out: &mut impl std::io::Write, when: &str, daemons: &Daemons<'_>) -> Result<()> {
    writeln!(out, "  resident memory once {when}, MiB")?;
    for ((name, goal), pid) in GOALS.into_iter().zip(daemons.pids()) {
        let Some(pid) = pid else {
            writeln!(out, "    {name:<16} not measured: it needs root")?;
            continue;
        };
        let memory::Memory { now, peak } = memory::of(pid)?;
        let word = if peak < goal { "reached" } else { "missed" };
        writeln!(out, "    {name:<16} {now:>6.1}, at most {peak:>6.1}  goal {goal:>5}  {word}")?;
    }
    let (_, text) = plain_http::get(daemons.webhook.admin, "/metrics").await?;
    let handling = Histogram::read(&text, "cinch_webhook_review_duration_seconds")
        .context("the webhook has no histogram")?;
    let at = handling.below(0.99);
    let word = if at <= P99.as_secs_f64() { "reached" } else { "missed" };
    writeln!(
        out,
        "  {} reviews, 99 % of them handled within {} ms  goal {} ms  {word}",
        handling.count(),
        at * 1e3,
        P99.as_millis()
    )?;
    Ok(())
}
