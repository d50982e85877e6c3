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
use tests::{
    answer::{Answer, Asker},
    namespace::unique,
    until::until,
};
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

/// A pod that was let in.
struct Living {
    name: String,
    since: Instant,
    /// It has ended, and was told to go: that may be done even where there was no answer.
    told_to_go: bool,
}

async fn run(asker: Asker, pods: String, goal: usize, ended: Arc<AtomicUsize>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut living: Vec<Living> = Vec::new();
    let mut left = goal;
    while left + living.len() > 0 {
        while left > 0 && living.len() < AT_ONCE {
            let name = format!("churn-{}", unique());
            if !create(&asker, &pods, &name).await? {
                outcome.refused += 1;
                break;
            }
            living.push(Living { name, since: Instant::now(), told_to_go: false });
            left -= 1;
        }
        // The API server may be away, or not know yet who may ask it.
        if let Ok(list) = asker.ask("GET", &pods, None).await.and_then(Answer::granted) {
            let there = by_name(&list)?;
            let mut still = Vec::with_capacity(living.len());
            for mut pod in living {
                if goes_on(&asker, &pods, &mut pod, &there, &mut outcome).await? {
                    still.push(pod);
                } else {
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            }
            living = still;
        }
        sleep(LOOK).await;
    }
    Ok(outcome)
}

fn by_name(list: &Value) -> Result<HashMap<&str, &Value>> {
    let pods = list["items"].as_array().context("no list")?;
    let named = |pod| Some((Value::pointer(pod, "/metadata/name")?.as_str()?, pod));
    pods.iter().map(|pod| named(pod).context("no name")).collect()
}

/// Looks after a pod among those that are there, until it has ended and is gone.
async fn goes_on(
    asker: &Asker,
    pods: &str,
    pod: &mut Living,
    there: &HashMap<&str, &Value>,
    outcome: &mut Outcome,
) -> Result<bool> {
    let Living { name, since, told_to_go } = pod;
    let Some(now) = there.get(&**name) else {
        ensure!(*told_to_go, "{name} is gone, and nobody told it to go");
        return Ok(false);
    };
    let since = since.elapsed();
    match now.pointer("/status/phase").and_then(Value::as_str) {
        Some("Succeeded") => {
            if !*told_to_go {
                outcome.slowest = outcome.slowest.max(since);
            }
            *told_to_go = true;
            let at = format!("{pods}/{name}?gracePeriodSeconds=0");
            let gone = asker.ask("DELETE", &at, None).await.and_then(Answer::granted);
            return Ok(gone.is_err());
        }
        Some("Failed") => bail!("{name} was not held to its profile: {now}"),
        _ => ensure!(since < PATIENCE, "{name} is stuck: {now}"),
    }
    Ok(true)
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
