//! What the questions share: one cluster and two replicas of the webhook behind one address.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Result, anyhow};
use serde_json::json;
use tests::{
    authority::Identity,
    chart::{self, NAMESPACE},
    cluster::Cluster,
    namespace::{BINDING, Namespace, RECORDING},
    node,
    programs::Programs,
    registration::{ONE_PATH, OWN_REGISTRATION, Registration, Scope},
    service::Service,
    settled::{registered, settled},
    webhook::{Source, Webhook},
};
use tokio::sync::OnceCell;

use crate::{controller::Controlled, gate::stage::Stage};

/// What the webhook may do, and nothing more.
pub(crate) const RIGHTS: &str = include_str!("../../../charts/cinch/templates/webhook-rbac.yaml");

/// Why a question cannot be asked here.
#[derive(Debug)]
pub(crate) struct Skipped(pub(crate) &'static str);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Skipped {}

/// Started by the first question that is asked.
#[derive(Debug, Default)]
pub(crate) struct Lazy {
    started: OnceCell<Result<Shared, Told>>,
}

/// An error that many questions run into, and only the first tells in full.
#[derive(Debug)]
struct Told {
    error: String,
    once: AtomicBool,
}

impl Told {
    fn new(error: &anyhow::Error) -> Self {
        Self { error: format!("{error:#}"), once: AtomicBool::new(false) }
    }

    fn again(&self) -> anyhow::Error {
        if self.once.swap(true, Ordering::Relaxed) {
            anyhow!("did not start: another question tells why")
        } else {
            anyhow!("{}", self.error)
        }
    }
}

impl Lazy {
    pub(crate) async fn get(&self, programs: &Programs) -> Result<&Shared> {
        let start = async || Shared::start(programs).await.map_err(|error| Told::new(&error));
        self.started.get_or_init(start).await.as_ref().map_err(Told::again)
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    // Declared first, so ended first: a webhook whose folder is gone makes it anew.
    replicas: OnceCell<Result<Replicas, Told>>,
    gates: OnceCell<Result<Stage, Told>>,
    controlled: OnceCell<Result<Controlled, Told>>,
    pub(crate) cluster: Cluster,
    /// For webhooks, which may do no more than they must.
    pub(crate) kubeconfig: PathBuf,
}

#[derive(Debug)]
struct Replicas {
    webhooks: [Webhook; 2],
    _service: Service,
}

impl Shared {
    async fn start(programs: &Programs) -> Result<Self> {
        let cluster = Cluster::start(programs).await?;
        chart::apply(&cluster, RIGHTS).await?;
        let identity = node::token(&cluster, NAMESPACE, "cinch-webhook", None).await?;
        let kubeconfig = cluster.kubeconfig("cinch-webhook", &identity)?;
        let (replicas, gates, controlled) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Ok(Self { replicas, gates, controlled, cluster, kubeconfig })
    }

    /// The two replicas, started by the first question that needs them.
    pub(crate) async fn webhooks(&self) -> Result<[&Webhook; 2]> {
        let start = async || {
            Replicas::start(&self.cluster, &self.kubeconfig)
                .await
                .map_err(|error| Told::new(&error))
        };
        let started = self.replicas.get_or_init(start).await.as_ref();
        Ok(started.map_err(Told::again)?.webhooks.each_ref())
    }

    /// A cluster of its own in which scheduling gates are opened, started by the first question that needs it.
    pub(crate) async fn gates(&self) -> Result<&Stage> {
        let start = async || Stage::start().await.map_err(|error| Told::new(&error));
        self.gates.get_or_init(start).await.as_ref().map_err(Told::again)
    }

    /// A cluster of its own with a controller, started by the first question that needs it.
    pub(crate) async fn controlled(&self) -> Result<&Controlled> {
        let start = async || {
            let programs = Programs::find().map_err(|missing| Told::new(&anyhow!("{missing}")))?;
            Controlled::start(&programs).await.map_err(|error| Told::new(&error))
        };
        self.controlled.get_or_init(start).await.as_ref().map_err(Told::again)
    }

    /// A namespace with these labels.
    pub(crate) async fn namespace(&self, labels: &[(&str, &str)]) -> Result<Namespace> {
        Namespace::new(self.cluster.asker(), labels).await
    }

    /// A namespace in which pods get what bindings say.
    pub(crate) async fn bound(&self) -> Result<Namespace> {
        self.webhooks().await?;
        self.namespace(&[(BINDING, "true")]).await
    }

    /// A namespace in which pods are recorded.
    pub(crate) async fn recorded(&self) -> Result<Namespace> {
        self.webhooks().await?;
        self.namespace(&[(RECORDING, "true")]).await
    }

    /// A namespace that the shared webhooks leave alone.
    pub(crate) async fn own(&self, labels: &[(&str, &str)]) -> Result<Namespace> {
        let labels: Vec<_> = labels.iter().copied().chain([(OWN_REGISTRATION, "true")]).collect();
        self.namespace(&labels).await
    }

    /// Registers a webhook for one namespace alone, and waits until the API server asks it.
    pub(crate) async fn register(
        &self,
        namespace: &Namespace,
        fixture: &str,
        address: SocketAddr,
        ca: &str,
        failure_policy: &str,
    ) -> Result<()> {
        let registration = Registration {
            fixture,
            name: &format!("cinch-{}", namespace.name),
            address,
            ca,
            failure_policy,
            scope: Scope::Only(&namespace.name),
        };
        self.cluster.create(&registration.object()?).await?;
        registered(namespace).await
    }

    /// Waits until both replicas know what exists.
    pub(crate) async fn settled(&self, namespace: &Namespace) -> Result<()> {
        settled(namespace, &self.webhooks().await?).await
    }
}

impl Replicas {
    async fn start(cluster: &Cluster, kubeconfig: &Path) -> Result<Self> {
        let (folder, source) = (cluster.new_folder()?, Source::Cluster(kubeconfig));
        let webhooks =
            [Webhook::start(&folder, source).await?, Webhook::start(&folder, source).await?];
        let service = Service::start().await?;
        for webhook in &webhooks {
            service.add(webhook).await?;
        }
        let registration = Registration {
            fixture: ONE_PATH,
            name: "cinch",
            address: service.address,
            ca: &webhooks[0].ca()?,
            failure_policy: "Fail",
            scope: Scope::Shared,
        };
        cluster.create(&registration.object()?).await?;
        registered(&Namespace::new(cluster.asker(), &[(BINDING, "")]).await?).await?;
        Ok(Self { webhooks, _service: service })
    }
}

/// Somebody who may do what the webhook may.
pub(crate) async fn reader(cluster: &Cluster, user: &str) -> Result<Identity> {
    cluster
        .create(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "name": user },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cinch-webhook" },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
        }))
        .await?;
    cluster.identity(user, &[])
}
