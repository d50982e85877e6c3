//! Does `cinch-webhook release` leave nothing behind that blocks a pod or a profile?

use std::{path::Path, process::Output};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tests::{
    chart::{self, NAMESPACE},
    cluster::Cluster,
    load::Load,
    namespace::{BINDING, Namespace},
    node, object,
    registration::{ONE_PATH, Registration, Scope},
    settled::registered,
    until::until,
    webhook::{self, Source, Webhook},
};
use tokio::process::Command;

use super::{
    GATE, IMAGE, KIND, gate, gates,
    stage::{self, Controller, LIMIT},
};
use crate::{
    questions,
    shared::{RIGHTS, Shared},
    write::{KINDS, binding, context, create, pod, profile, v1},
};

questions![
    gates_are_opened_and_profiles_freed_and_nothing_else_is_touched,
    those_that_still_run_do_not_undo_it,
    what_cannot_be_done_is_told_and_fails,
];

/// More than a page of them.
const PODS: usize = 510;
const IN_USE: &str = "spo.x-k8s.io/in-use";
const OWN_RIGHTS: &str = include_str!("../../../../charts/cinch/templates/release-rbac.yaml");
const POLICIES: [&str; 2] = [
    include_str!("../../../../charts/cinch/templates/pod-gates.yaml"),
    include_str!("../../../../charts/cinch/templates/profile-holds.yaml"),
];

/// Runs it; returns whether all was done, and what it said.
async fn release(kubeconfig: &Path, flags: &[&str]) -> Result<(Option<i32>, String, String)> {
    let mut command = Command::new(webhook::program()?);
    command.arg("release").arg("--kubeconfig").arg(kubeconfig).args(flags).kill_on_drop(true);
    let Output { status, stdout, stderr } = command.output().await?;
    let text = |bytes| String::from_utf8(bytes).context("not UTF-8");
    Ok((status.code(), text(stdout)?, text(stderr)?))
}

/// The way to the cluster with the rights of the hook that runs it.
async fn kubeconfig(cluster: &Cluster) -> Result<std::path::PathBuf> {
    chart::apply(cluster, OWN_RIGHTS).await?;
    for policy in POLICIES {
        chart::apply(cluster, policy).await?;
    }
    let identity = node::token(cluster, NAMESPACE, "cinch-release", None).await?;
    cluster.kubeconfig("cinch-release", &identity)
}

/// A pod behind our gate and another one.
fn gated(name: &str) -> Value {
    let spec = json!({
        "containers": [{ "name": "main", "image": IMAGE }],
        "schedulingGates": [{ "name": "example.com/wait" }, { "name": GATE }],
    });
    pod(&json!({ "name": name }), &spec)
}

async fn there(cluster: &Cluster, object: &Value) -> Result<Value> {
    let at = object::location(object, "")?;
    cluster.asker().ask("GET", &at, None).await?.granted()
}

async fn gates_are_opened_and_profiles_freed_and_nothing_else_is_touched(_: &Shared) -> Result<()> {
    let cluster = stage::cluster().await?;
    let kubeconfig = kubeconfig(&cluster).await?;
    let namespace = Namespace::new(cluster.asker(), &[]).await?;
    let pods = (0..PODS).map(|n| {
        let namespace = &namespace;
        async move { create(namespace, &[gated(&format!("pod-{n}"))]).await }
    });
    futures::stream::iter(pods).buffer_unordered(16).try_collect::<()>().await?;
    let mut other = gated("other");
    other["spec"]["schedulingGates"].as_array_mut().context("a list")?.pop();
    create(&namespace, &[other]).await?;
    for kind in KINDS {
        for (name, finalizers) in [("a", json!([IN_USE])), ("b", json!(["x/y", IN_USE, "z/z"]))] {
            let mut profile = profile(kind, name);
            profile["metadata"]["finalizers"] = finalizers;
            cluster.create(&profile).await?;
        }
        let mut theirs = profile(kind, "theirs");
        theirs["metadata"]["finalizers"] = json!(["x/y"]);
        cluster.create(&theirs).await?;
        // It waits for nothing else.
        cluster.delete(&profile(kind, "a")).await?;
    }
    let theirs = there(&cluster, &profile(KIND, "theirs")).await?;

    let (code, out, error) = release(&kubeconfig, &[]).await?;
    ensure!(code == Some(0) && error.is_empty(), "{code:?} {error}");
    ensure!(out.contains(&format!("Pod {}/pod-7: gate opened\n", namespace.name)), "{out}");
    ensure!(out.contains("RawSelinuxProfile b: finalizer taken off\n"), "{out}");
    ensure!(out.contains(&format!("\n{} released: ", PODS + 8)), "{out}");
    for pod in namespace.list("v1", "Pod").await? {
        assert_eq!(gates(&pod), ["example.com/wait"]);
    }
    for kind in KINDS {
        assert_eq!(namespace.get(&v1(), kind, "a").await?, None);
        let b = there(&cluster, &profile(kind, "b")).await?;
        assert_eq!(b["metadata"]["finalizers"], json!(["x/y", "z/z"]));
    }
    assert_eq!(there(&cluster, &profile(KIND, "theirs")).await?, theirs);
    let (code, out, _) = release(&kubeconfig, &[]).await?;
    ensure!(code == Some(0) && out.starts_with("0 released: "), "{out}");
    Ok(())
}

async fn those_that_still_run_do_not_undo_it(_: &Shared) -> Result<()> {
    let cluster = stage::cluster().await?;
    chart::apply(&cluster, RIGHTS).await?;
    let identity = node::token(&cluster, NAMESPACE, "cinch-webhook", None).await?;
    let reader = cluster.kubeconfig("cinch-webhook", &identity)?;
    let webhook = Webhook::start(&cluster.new_folder()?, Source::Cluster(&reader)).await?;
    let registration = Registration {
        fixture: ONE_PATH,
        name: "cinch",
        address: webhook.reviews,
        ca: &webhook.ca()?,
        failure_policy: "Fail",
        scope: Scope::Shared,
    };
    cluster.create(&registration.object()?).await?;
    let namespace = Namespace::new(cluster.asker(), &[(BINDING, "true")]).await?;
    registered(&namespace).await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, &gate())]).await?;
    // There is no node, so that the controller opens nothing.
    let _controller = Controller::start(&cluster).await?;
    let metadata = json!({ "generateName": "pod-" });
    let unnamed = pod(&metadata, &json!({ "containers": [{ "name": "main", "image": IMAGE }] }));
    let load = Load::start(&namespace, &unnamed, 2);
    let held = async || {
        let profile = there(&cluster, &profile(KIND, name)).await?;
        let finalizers = profile["metadata"]["finalizers"].as_array().cloned();
        Ok::<_, anyhow::Error>(finalizers.unwrap_or_default().contains(&json!(IN_USE)))
    };
    let waiting = async || {
        let pods = namespace.list("v1", "Pod").await?;
        Ok::<_, anyhow::Error>(pods.iter().filter(|pod| gates(pod).contains(&GATE)).count())
    };
    until("pods wait", LIMIT, async || Ok((waiting().await? >= 20).then_some(()))).await?;
    until("the profile is held", LIMIT, async || Ok(held().await?.then_some(()))).await?;

    let kubeconfig = kubeconfig(&cluster).await?;
    let flags =
        ["--webhook-configuration=cinch", "--lease=security-profiles-operator/cinch-controller"];
    let (code, out, error) = release(&kubeconfig, &flags).await?;
    ensure!(code == Some(0) && error.is_empty(), "{code:?} {error} {out}");
    ensure!(out.contains("MutatingWebhookConfiguration cinch: deleted"), "{out}");
    // All goes on, and nobody is gated or held any more.
    let goal = load.granted() + 20;
    until("pods are made", LIMIT, async || Ok((load.granted() >= goal).then_some(()))).await?;
    let answers = load.end().await?;
    let bound = context(KIND, name);
    let last = answers.last().context("no pods")?.body.clone();
    ensure!(last.pointer("/spec/containers/0/securityContext") != Some(&bound), "{last}");
    assert_eq!((waiting().await?, held().await?), (0, false));
    namespace.delete(&v1(), KIND, name).await
}

async fn what_cannot_be_done_is_told_and_fails(shared: &Shared) -> Result<()> {
    let nobody = shared.cluster.identity("nobody-releases", &[])?;
    let kubeconfig = shared.cluster.kubeconfig("nobody-releases", &nobody)?;
    let flags = ["--timeout=1s", "--webhook-configuration=none"];
    let (code, out, error) = release(&kubeconfig, &flags).await?;
    ensure!(code == Some(1) && !out.contains("released"), "{code:?} {out}");
    for line in ["error: pods cannot be listed: ", "error: seccompprofiles cannot be listed: "] {
        ensure!(error.contains(line) && error.contains("forbidden"), "{line} in {error}");
    }
    ensure!(error.contains("MutatingWebhookConfiguration none cannot be deleted"), "{error}");
    let (code, _, error) = release(&kubeconfig, &["--lease=name"]).await?;
    ensure!(code == Some(2) && error.contains("NAMESPACE/NAME is needed"), "{code:?} {error}");
    Ok(())
}
