//! Pods that come and go, each of which tells by its end whether it was held to its profile.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use http::StatusCode;
use serde_json::{Value, json};
use tests::{answer::Asker, namespace::unique, until::until};
use tokio::{task::JoinHandle, time::sleep};

use crate::workloads;

/// So many are there at once.
const AT_ONCE: usize = 24;
/// A pod that has not ended by then is stuck.
const PATIENCE: Duration = Duration::from_mins(2);
const LIMIT: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(200);

/// Pods in the making; [`Churn::end`] waits for the last one.
pub(crate) struct Churn {
    task: JoinHandle<Result<Outcome>>,
    ended: Arc<AtomicUsize>,
}

/// What became of them, when all were held to their profile.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How often nobody was there to say whether a pod may be.
    pub(crate) refused: usize,
    /// From the request to the end.
    pub(crate) slowest: Duration,
}

impl Churn {
    /// Begins to make so many pods in a namespace that has [`workloads::no_folders`] bound.
    pub(crate) fn start(asker: &Asker, namespace: &str, goal: usize) -> Self {
        let ended = Arc::new(AtomicUsize::new(0));
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let task = tokio::spawn(run(asker.clone(), pods, goal, Arc::clone(&ended)));
        Self { task, ended }
    }

    /// Waits until so many more have ended.
    pub(crate) async fn goes_on(&self, count: usize) -> Result<()> {
        let goal = self.ended.load(Ordering::Relaxed) + count;
        until("pods end", LIMIT, async || {
            // Why they do not is known at the end.
            let reached = self.ended.load(Ordering::Relaxed) >= goal || self.task.is_finished();
            Ok(reached.then_some(()))
        })
        .await
    }

    pub(crate) async fn end(self) -> Result<Outcome> {
        self.task.await?
    }
}

async fn run(asker: Asker, pods: String, goal: usize, ended: Arc<AtomicUsize>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut living: HashMap<String, Instant> = HashMap::new();
    let mut left = goal;
    while left + living.len() > 0 {
        while left > 0 && living.len() < AT_ONCE {
            let name = format!("churn-{}", unique());
            if !create(&asker, &pods, &name).await? {
                outcome.refused += 1;
                break;
            }
            living.insert(name, Instant::now());
            left -= 1;
        }
        // The API server may be away.
        let list =
            asker.ask("GET", &pods, None).await.map(|answer| answer.body).unwrap_or_default();
        for pod in list["items"].as_array().into_iter().flatten() {
            let name = pod.pointer("/metadata/name").and_then(Value::as_str).context("no name")?;
            let Some(since) = living.get(name).map(Instant::elapsed) else { continue };
            match pod.pointer("/status/phase").and_then(Value::as_str) {
                Some("Succeeded") => {
                    outcome.slowest = outcome.slowest.max(since);
                    let at = format!("{pods}/{name}?gracePeriodSeconds=0");
                    if asker.ask("DELETE", &at, None).await.is_ok() {
                        living.remove(name);
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Some("Failed") => bail!("{name} was not held to its profile: {pod}"),
                _ => ensure!(since < PATIENCE, "{name} is stuck: {pod}"),
            }
        }
        sleep(LOOK).await;
    }
    Ok(outcome)
}

/// Whether it was let in; a pod that was let in without its profile is an error.
async fn create(asker: &Asker, pods: &str, name: &str) -> Result<bool> {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": "churn" } },
        "spec": {
            "restartPolicy": "Never",
            // Without a network of its own it takes half the time.
            "hostNetwork": true,
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main",
                "image": workloads::SHELL,
                "command": ["sh", "-c", "mkdir /made && exit 3; exit 0"],
            }],
        },
    });
    let Ok(answer) = asker.ask("POST", pods, Some(&pod)).await else { return Ok(false) };
    if answer.status == StatusCode::CONFLICT {
        // It was made, and the answer was lost.
        return Ok(true);
    }
    let Ok(made) = answer.granted() else { return Ok(false) };
    ensure!(workloads::is_bound(&made), "let in without its profile: {made}");
    Ok(true)
}
