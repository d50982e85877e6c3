//! A cluster with the controller of gates, nodes that nobody runs, and pods that wait.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use tests::{
    chart::{self, NAMESPACE},
    cluster::Cluster,
    daemon::Daemon,
    namespace::{BINDING, Namespace, unique},
    node, object,
    programs::Programs,
    until::until,
    webhook,
};

use super::{GATE, IMAGE, KIND, gate, gates};
use crate::write::{binding, context, create, pod, profile, v1};

/// What a controller may do.
const RIGHTS: &str = include_str!("../../../../charts/cinch/templates/controller-rbac.yaml");
const POLICY: &str = include_str!("../../../../charts/cinch/templates/pod-gates.yaml");

pub(super) const LIMIT: Duration = Duration::from_mins(1);

/// A cluster in which a controller opens gates.
#[derive(Debug)]
pub(crate) struct Stage {
    // Ended before what it needs.
    _controller: Controller,
    pub(super) cluster: Cluster,
}

impl Stage {
    pub(crate) async fn start() -> Result<Self> {
        let cluster = cluster().await?;
        let controller = Controller::start(&cluster).await?;
        Ok(Self { _controller: controller, cluster })
    }
}

/// A control plane of one's own.
pub(super) async fn cluster() -> Result<Cluster> {
    Cluster::start(&Programs::find().map_err(|missing| anyhow!("{missing}"))?).await
}

/// The real `cinch-webhook controller`; killed when dropped.
#[derive(Debug)]
pub(super) struct Controller(Daemon);

impl Controller {
    /// Starts one with the rights of the chart, and waits until it leads.
    pub(super) async fn start(cluster: &Cluster) -> Result<Self> {
        let identity = format!("controller-{}", unique());
        let mut command = Command::new(webhook::program()?);
        command
            .args(["controller", "--admin=127.0.0.1:0"])
            .arg(format!("--lease={NAMESPACE}/cinch-controller"))
            .arg(format!("--identity={identity}"))
            .arg("--kubeconfig")
            .arg(kubeconfig(cluster).await?);
        let daemon = Daemon::start(&identity, command, cluster.folder())?;
        let at =
            format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/cinch-controller");
        let mut controller = Self(daemon);
        let leads = until("the controller leads", LIMIT, async || {
            controller.0.check_alive()?;
            let lease = cluster.asker().ask("GET", &at, None).await?.body;
            let holder = lease.pointer("/spec/holderIdentity");
            Ok((holder == Some(&json!(identity))).then_some(()))
        });
        leads.await.with_context(|| controller.0.log_tail())?;
        Ok(controller)
    }

    /// Ends it without a chance to do anything.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.0.kill()
    }
}

/// The way to the cluster with the controller's rights.
pub(super) async fn kubeconfig(cluster: &Cluster) -> Result<PathBuf> {
    chart::apply(cluster, RIGHTS).await?;
    chart::apply(cluster, POLICY).await?;
    let identity = node::token(cluster, NAMESPACE, "cinch-controller", None).await?;
    cluster.kubeconfig("cinch-controller", &identity)
}

/// A namespace in which pods wait for a profile of its name, and nodes that only they may go to.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) namespace: Namespace,
}

impl<'a> Scene<'a> {
    pub(super) async fn new(cluster: &'a Cluster) -> Result<Self> {
        let namespace = Namespace::new(cluster.asker(), &[(BINDING, "true")]).await?;
        let name = &namespace.name;
        create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, &gate())])
            .await?;
        Ok(Self { cluster, namespace })
    }

    /// Where its nodes are.
    pub(super) fn zone(&self) -> &str {
        &self.namespace.name
    }

    /// A node that is ready, with more in its spec.
    pub(super) async fn node(&self, spec: &Value) -> Result<String> {
        let name = format!("gated-{}", unique());
        let labels = json!({ "zone": self.zone(), "kubernetes.io/hostname": name });
        let metadata = json!({ "name": name, "labels": labels });
        let node =
            json!({ "apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec });
        self.cluster.create(&node).await?;
        // The API server taints a new node, until a controller that is not there finds it ready.
        let spec = json!({ "spec": { "taints": spec["taints"] } });
        self.namespace.patch("v1", "Node", &name, &spec).await?.granted()?;
        self.ready(&name, true).await?;
        Ok(name)
    }

    pub(super) async fn ready(&self, node: &str, ready: bool) -> Result<()> {
        let status = if ready { "True" } else { "False" };
        let conditions = json!([{ "type": "Ready", "status": status }]);
        self.namespace.set_status("v1", "Node", node, &json!({ "conditions": conditions })).await
    }

    /// A node says this of the profile, as its daemon would.
    pub(super) async fn says(&self, node: &str, state: &str, generation: u32) -> Result<()> {
        let own = json!({
            "apiVersion": v1(), "kind": "NodeSecurityProfiles", "metadata": { "name": node },
        });
        if self.namespace.get(&v1(), "NodeSecurityProfiles", node).await?.is_none() {
            self.cluster.create(&own).await?;
        }
        let said = json!({
            "kind": KIND, "name": self.namespace.name, "state": state,
            "observedGeneration": generation, "message": format!("this is {state}"),
        });
        let status = json!({ "profiles": [said] });
        self.namespace.set_status(&v1(), "NodeSecurityProfiles", node, &status).await
    }

    /// A pod that waits, among others, for the profile.
    pub(super) async fn waits(&self, name: &str, more: &Value) -> Result<()> {
        let main = json!({
            "name": "main", "image": IMAGE,
            "securityContext": context(KIND, &self.namespace.name),
        });
        let mut spec = json!({
            "containers": [main],
            "nodeSelector": { "zone": self.zone() },
            "schedulingGates": [{ "name": "example.com/first" }, { "name": GATE }, { "name": "example.com/last" }],
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        create(&self.namespace, &[pod(&json!({ "name": name }), &spec)]).await
    }

    pub(super) async fn is_gated(&self, name: &str) -> Result<bool> {
        let pod = self.namespace.get("v1", "Pod", name).await?.context("no pod")?;
        let gates = gates(&pod);
        let others: Vec<_> = gates.iter().filter(|gate| **gate != GATE).collect();
        assert!(others.is_empty() || others == [&"example.com/first", &"example.com/last"]);
        Ok(gates.contains(&GATE))
    }

    /// Waits until a pod does not wait for us any more.
    pub(super) async fn until_open(&self, name: &str) -> Result<()> {
        until(&format!("{name} is open"), LIMIT, async || {
            Ok((!self.is_gated(name).await?).then_some(()))
        })
        .await
    }

    /// Waits until the controller has looked at what has happened, and is content that the pod waits.
    pub(super) async fn still_waits(&self, name: &str) -> Result<()> {
        let marker = format!("marker-{}", unique());
        let mut spec = json!({ "containers": [{ "name": "main", "image": "busybox" }] });
        spec["schedulingGates"] = json!([{ "name": GATE }]);
        create(&self.namespace, &[pod(&json!({ "name": marker }), &spec)]).await?;
        self.until_open(&marker).await?;
        assert!(self.is_gated(name).await?, "{name} is open");
        Ok(())
    }

    /// Waits for an Event of a pod.
    pub(super) async fn told(&self, pod: &str, reason: &str) -> Result<Value> {
        until(&format!("{reason} is told of {pod}"), LIMIT, async || {
            let events = self.events(pod, reason).await?;
            Ok(events.into_iter().next())
        })
        .await
    }

    pub(super) async fn events(&self, pod: &str, reason: &str) -> Result<Vec<Value>> {
        let mut events = self.namespace.list("events.k8s.io/v1", "Event").await?;
        events.retain(|event| event["reason"] == *reason && event["regarding"]["name"] == *pod);
        Ok(events)
    }

    /// Changes the profile, so that it is one of another generation.
    pub(super) async fn change(&self, spec: &Value) -> Result<()> {
        let at = object::location(&profile(KIND, &self.namespace.name), "")?;
        let patch = json!({ "spec": spec });
        self.cluster.asker().ask("PATCH", &at, Some(&patch)).await?.granted()?;
        Ok(())
    }
}
