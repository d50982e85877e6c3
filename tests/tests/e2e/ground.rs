//! What the questions are asked on: one cluster with one node, made when the first of them is asked.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use futures::future::{LocalBoxFuture, try_join_all};
use serde_json::Value;
use tests::{
    cluster::Cluster,
    machine::{self, Machine},
    object::GROUP,
    service::Service,
    until::until,
    worker::{self, Worker, parts::Parts},
};
use tokio::{runtime::Runtime, time::timeout};

use crate::{release, user::User, workloads};

/// Of one question.
const QUESTION: Duration = Duration::from_mins(10);
/// Of what a user waits for.
const LIMIT: Duration = Duration::from_mins(1);

/// The port of the API server as pods know it.
const HTTPS: u16 = 443;

/// Why a question has no answer here.
#[derive(Debug)]
pub(crate) struct Skipped(pub(crate) &'static str);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Skipped {}

/// A cluster that runs pods.
pub(crate) struct Ground {
    // Dropped in this order: who asks before who is asked.
    pub(crate) worker: Worker,
    pub(crate) cluster: Cluster,
    /// The way of pods to the API server, in the place of a kube-proxy.
    _service: Service,
    pub(crate) parts: Parts,
    pub(crate) user: User,
    installed: bool,
}

/// Makes it once.
#[derive(Clone)]
pub(crate) struct Lazy(Arc<Mutex<State>>);

struct State {
    machine: Machine,
    parts: Parts,
    // It stands in the runtime, which therefore goes last.
    ground: Option<Ground>,
    /// Why there is none, after a first try.
    failed: Option<String>,
    runtime: Runtime,
}

impl Lazy {
    pub(crate) fn new(machine: Machine, parts: Parts) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let state = State { machine, parts, ground: None, failed: None, runtime };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Asks one question; all others wait.
    pub(crate) fn with(
        &self,
        ask: impl for<'a> FnOnce(&'a mut Ground) -> LocalBoxFuture<'a, Result<()>>,
    ) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).with(ask)
    }
}

impl State {
    fn with(
        &mut self,
        ask: impl for<'a> FnOnce(&'a mut Ground) -> LocalBoxFuture<'a, Result<()>>,
    ) -> Result<()> {
        let Self { machine, parts, ground, failed, runtime } = self;
        if let Some(reason) = failed {
            bail!("there is no cluster: {reason}");
        }
        if ground.is_none() {
            match runtime.block_on(Ground::new(machine, parts)) {
                Ok(new) => *ground = Some(new),
                Err(error) => {
                    *failed = format!("{error:#}").lines().next().map(str::to_owned);
                    return Err(error);
                }
            }
        }
        let ground = ground.as_mut().context("it was just made")?;
        runtime.block_on(async {
            let answer = timeout(QUESTION, ask(ground)).await;
            match answer.unwrap_or_else(|error| Err(error.into())) {
                Ok(()) => Ok(()),
                Err(error) if error.is::<Skipped>() => Err(error),
                Err(error) => Err(anyhow!("{error:#}\n{}", ground.diagnosis().await)),
            }
        })
    }
}

impl Ground {
    async fn new(machine: &Machine, parts: &Parts) -> Result<Self> {
        let cluster =
            Cluster::start_for_pods(&parts.programs, &parts.controller_manager, &parts.scheduler)
                .await?;
        let service = Service::at((machine::API, HTTPS)).await?;
        service.add_address(([127, 0, 0, 1], cluster.port()).into());
        let worker = Worker::start(machine, parts, &cluster).await?;
        for archive in workloads::images(parts, machine.folder())? {
            worker.import(&archive).await?;
        }
        let user = User::new(parts, &cluster, machine.folder())?;
        Ok(Self {
            worker,
            cluster,
            _service: service,
            parts: parts.clone(),
            user,
            installed: false,
        })
    }

    /// Installs the chart, unless it is.
    pub(crate) async fn installed(&mut self) -> Result<()> {
        if !self.installed {
            release::install(self).await?;
            self.installed = true;
        }
        Ok(())
    }

    /// Takes the chart away.
    pub(crate) async fn uninstalled(&mut self) -> Result<()> {
        release::uninstall(&self.user).await?;
        self.installed = false;
        Ok(())
    }

    /// How everything is, for whoever reads of a failure.
    async fn diagnosis(&self) -> String {
        format!("{}\n{}", release::diagnosis(&self.user).await, self.worker.log_tail())
    }

    /// Waits until a `SeccompProfile` is on the node, as that says itself.
    pub(crate) async fn until_on_node(&self, profile: &str) -> Result<()> {
        let at = format!("/apis/{GROUP}/v1/nodesecurityprofiles/{}", worker::NAME);
        until(&format!("{profile} is on the node"), LIMIT, async || {
            let node = self.cluster.asker().ask("GET", &at, None).await?.body;
            let profiles = node.pointer("/status/profiles").and_then(Value::as_array);
            let is = |said: &Value| said["name"] == *profile && said["state"] == "Installed";
            Ok(profiles.into_iter().flatten().any(is).then_some(()))
        })
        .await
    }

    /// Waits until every replica of the webhook knows what is bound to the shell: the API server asks now this one, now that
    /// one.
    pub(crate) async fn until_bound(&self, namespace: &str) -> Result<()> {
        let at = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        let pod: Value = serde_json::from_str(&workloads::pod("asked", ""))?;
        until("many pods at once are bound", LIMIT, async || {
            let asked = (0..20).map(|_| self.cluster.asker().ask("POST", &at, Some(&pod)));
            let answers = try_join_all(asked).await?;
            Ok(answers.iter().all(|answer| workloads::is_bound(&answer.body)).then_some(()))
        })
        .await
    }

    /// A `SeccompProfile` as it is; null without it.
    pub(crate) async fn profile(&self, name: &str) -> Result<Value> {
        let at = format!("/apis/{GROUP}/v1/seccompprofiles/{name}");
        let answer = self.cluster.asker().ask("GET", &at, None).await?;
        Ok(answer.granted().unwrap_or_default())
    }

    /// What a pod has said, once it has said this.
    pub(crate) async fn log_of(&self, namespace: &str, target: &str, has: &str) -> Result<String> {
        let line = format!("logs --namespace={namespace} {target}");
        until(&format!("{target} says {has}"), LIMIT, async || {
            // Nothing has been said before a container runs.
            let log = self.user.kubectl(&line).await.unwrap_or_default();
            Ok(log.contains(has).then_some(log))
        })
        .await
    }

    /// Waits for an Event with this reason whose text has this.
    pub(crate) async fn until_event(&self, namespace: &str, reason: &str, has: &str) -> Result<()> {
        let line = format!("get events --namespace={namespace} --field-selector=reason={reason}");
        until(&format!("there is an Event {reason} of {has}"), LIMIT, async || {
            Ok(self.user.kubectl(&line).await?.contains(has).then_some(()))
        })
        .await
    }

    /// Waits until all pods of a Deployment are of its latest version, and the others gone.
    pub(crate) async fn until_rolled_out(&self, namespace: &str, name: &str) -> Result<()> {
        let line =
            format!("rollout status --namespace={namespace} deployment/{name} --timeout=60s");
        self.user.kubectl(&line).await?;
        until("the old pods are gone", LIMIT, async || {
            Ok(self.only_pod(namespace).await.is_ok().then_some(()))
        })
        .await
    }

    /// The one pod of a namespace.
    pub(crate) async fn only_pod(&self, namespace: &str) -> Result<Value> {
        let pods = self.pods(namespace).await?;
        ensure!(pods.len() == 1, "{} pods and not one", pods.len());
        pods.into_iter().next().context("there is one")
    }

    pub(crate) async fn pods(&self, namespace: &str) -> Result<Vec<Value>> {
        let at = format!("/api/v1/namespaces/{namespace}/pods");
        let list = self.cluster.asker().ask("GET", &at, None).await?.granted()?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }
}
