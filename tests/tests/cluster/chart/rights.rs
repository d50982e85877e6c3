//! Do the parts do their work with the rights that the chart gives them, and is nothing refused to them?

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use tests::{
    audit::{Moment, by},
    authority::Identity,
    chart::NAMESPACE,
    cluster::Cluster,
    daemon::Daemon,
    installer::Installer,
    namespace::{BINDING, Namespace, RECORDING},
    node::{self, Node},
    object,
    programs::Programs,
    until::until,
    webhook::{self, Source, Webhook},
};

use super::{elements, helm, named};
use crate::{
    questions,
    recorder::daemon::Recorder,
    shared::Shared,
    write::{binding, create, pod, profile, recording},
};

questions![no_call_of_any_part_is_forbidden,];

const LIMIT: Duration = Duration::from_mins(1);
const KIND: &str = "SeccompProfile";

/// A control plane with everything that the chart makes.
async fn installed(values: &Value) -> Result<(Cluster, Vec<Value>)> {
    let objects = helm()?.template(values)?;
    let cluster =
        Cluster::start(&Programs::find().map_err(|missing| anyhow!("{missing}"))?).await?;
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    node::apply(&cluster, &namespace.to_string()).await?;
    for object in objects.iter().filter(|object| object["kind"] != "CustomResourceDefinition") {
        node::apply(&cluster, &object.to_string()).await?;
    }
    Ok((cluster, objects))
}

/// What a workload's container is started with, but for the subcommand and where it listens.
fn flags<'a>(objects: &'a [Value], kind: &str, name: &str) -> Result<Vec<&'a str>> {
    let workload = named(objects, kind, name)?;
    let all = elements(workload, "/spec/template/spec/containers/0/args");
    let all = all.iter().skip(1).filter_map(Value::as_str);
    Ok(all.filter(|flag| !flag.starts_with("--listen=") && !flag.starts_with("--admin=")).collect())
}

async fn account(cluster: &Cluster, name: &str, node: Option<&Node<'_>>) -> Result<Identity> {
    let bound = node.map(Node::reference);
    node::token(cluster, NAMESPACE, name, bound.as_ref()).await
}

fn controller(folder: &Path, kubeconfig: &Path, flags: &[&str]) -> Result<Daemon> {
    let mut command = Command::new(webhook::program()?);
    command.arg("controller").args(flags).args(["--admin=127.0.0.1:0", "--kubeconfig"]);
    command.arg(kubeconfig);
    Daemon::start("cinch-controller", command, folder)
}

async fn no_call_of_any_part_is_forbidden(_: &Shared) -> Result<()> {
    let (cluster, objects) = installed(&json!({ "features": { "violations": true } })).await?;
    let (folder, node) = (cluster.new_folder()?, Node::new(&cluster).await?);
    let kubeconfig = |name: &'static str, identity: Identity| cluster.kubeconfig(name, &identity);

    let webhook = kubeconfig("webhook", account(&cluster, "cinch-webhook", None).await?)?;
    let more = flags(&objects, "Deployment", "cinch-webhook")?;
    let webhook = Webhook::start_with(&folder, Source::Cluster(&webhook), &more).await?;
    let config = kubeconfig("controller", account(&cluster, "cinch-controller", None).await?)?;
    let more = flags(&objects, "Deployment", "cinch-controller")?;
    let mut controller = controller(&folder, &config, &more)?;
    let daemon =
        kubeconfig("installer", account(&cluster, "cinch-node-installer", Some(&node)).await?)?;
    let _installer = Installer::start(&cluster.new_folder()?, &node.name, &daemon).await?;
    let daemon = kubeconfig("recorder", account(&cluster, "cinch-recorder", Some(&node)).await?)?;
    let _recorder = Recorder::start_with(&cluster, &node.name, &daemon, &["--violations"]).await?;

    let registration = named(&objects, "MutatingWebhookConfiguration", "cinch")?;
    let at = object::location(registration, "")?;
    until("the API server is told whom to trust", LIMIT, async || {
        let there = cluster.asker().ask("GET", &at, None).await?.granted()?;
        let trusted = elements(&there, "/webhooks").iter();
        Ok(trusted.map(|it| &it["clientConfig"]["caBundle"]).all(Value::is_string).then_some(()))
    })
    .await?;
    // Nothing answers at the Service's address: there is no kube-proxy.
    cluster.delete(registration).await?;

    let namespace =
        Namespace::new(cluster.asker(), &[(BINDING, "true"), (RECORDING, "true")]).await?;
    let mut running = pod(
        &json!({ "labels": { "app": "r" } }),
        &json!({ "nodeName": node.name, "containers": [{
            "name": "main", "image": "web:1",
            "securityContext": { "seccompProfile": { "type": "Localhost", "localhostProfile": "operator/used.json" } },
        }]}),
    );
    running["metadata"]["finalizers"] = json!([]);
    create(
        &namespace,
        &[
            profile(KIND, "used"),
            binding("b", KIND, "used", "web:1", &json!({ "whenNotReady": "Gate" })),
            recording("r", KIND, "Bpf", &json!({})),
            running,
        ],
    )
    .await?;
    node.until_state(KIND, "used", "Installed").await?;
    until("the recording waits for containers, or records them", LIMIT, async || {
        let recording = namespace.get(&crate::write::v1(), "ProfileRecording", "r").await?;
        Ok(recording.unwrap_or_default()["status"]["phase"].is_string().then_some(()))
    })
    .await?;
    until("the controller leads", LIMIT, async || {
        controller.check_alive()?;
        let at =
            format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/cinch-controller");
        let lease = cluster.asker().ask("GET", &at, None).await?;
        Ok(lease.body.pointer("/spec/holderIdentity").is_some().then_some(()))
    })
    .await?;
    assert_eq!(webhook.readyz().await?.0, 200);
    namespace.delete("v1", "Pod", "pod").await?;
    controller.stop(Duration::from_secs(20)).await?;

    // Before helm takes all of it away.
    let release = kubeconfig("release", account(&cluster, "cinch-release", None).await?)?;
    let mut command = Command::new(webhook::program()?);
    command.arg("release").args(flags(&objects, "Job", "cinch-release")?).arg("--settle=0s");
    command.arg("--kubeconfig").arg(release);
    let output = tokio::task::block_in_place(|| command.output())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let events = cluster.audit().since(Moment::BEGIN)?;
    let mut forbidden = BTreeSet::new();
    let accounts = [
        "cinch-webhook",
        "cinch-controller",
        "cinch-node-installer",
        "cinch-recorder",
        "cinch-release",
    ];
    for name in accounts {
        let user = format!("system:serviceaccount:{NAMESPACE}:{name}");
        let own: Vec<_> = events.iter().filter(|event| by(&user)(event)).collect();
        assert!(own.len() > 3, "{name} has asked for {} things", own.len());
        for event in own {
            let code = event.pointer("/responseStatus/code").and_then(Value::as_u64);
            if code == Some(403) {
                let what = event.pointer("/requestURI").context("no requestURI")?;
                forbidden.insert(format!("{name}: {} {what}", event["verb"]));
            }
        }
    }
    assert_eq!(forbidden, BTreeSet::new());
    Ok(())
}
