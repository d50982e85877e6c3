//! What `cinch report` and `cinch status` tell those who may read, and what they say to those who may not.

use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{
    built,
    cluster::Cluster,
    namespace::{BINDING, Namespace, RECORDING, unique},
    node, object,
    until::until,
};
use tokio::process::Command;

use crate::{
    questions,
    shared::{Shared, Skipped},
    write::{binding, create, pod, profile, recording, v1},
};

questions![
    who_may_read_is_told_what_workloads_run_under_what_is_recorded_and_what_was_denied,
    who_may_not_read_is_told_all_rights_that_are_missing,
    a_right_without_which_a_report_is_poorer_is_noted_in_it,
    a_status_tells_of_nodes_that_failed_and_of_bindings_without_a_profile,
    a_long_list_comes_page_by_page,
];

const RIGHTS: &str = include_str!("../../fixtures/rights-reader.yaml");
const KIND: &str = "SeccompProfile";
const IMAGE: &str = "ghcr.io/acme/web:2";
const LIMIT: Duration = Duration::from_mins(1);

async fn cinch(kubeconfig: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(built::program("cinch", "CINCH_BIN")?);
    command.args(arguments).arg("--kubeconfig").arg(kubeconfig).kill_on_drop(true);
    command.output().await.context("cannot run cinch")
}

fn read(output: &Output) -> Result<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON, but {said}"))
}

/// Somebody with these rules and no other right.
async fn somebody(cluster: &Cluster, rules: &Value) -> Result<PathBuf> {
    let user = format!("reader-{}", unique());
    let group = "rbac.authorization.k8s.io";
    let metadata = json!({ "name": user });
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": metadata, "rules": rules,
    });
    cluster.create(&role).await?;
    cluster
        .create(&json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": metadata,
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": user },
            "subjects": [{ "apiGroup": group, "kind": "User", "name": user }],
        }))
        .await?;
    cluster.kubeconfig(&user, &cluster.identity(&user, &[])?)
}

async fn reader(cluster: &Cluster) -> Result<PathBuf> {
    let role = object::parse_one(RIGHTS)?;
    let kubeconfig = somebody(cluster, &role["rules"]).await?;
    // Rights are given by a watch, too.
    until("the rights are there", LIMIT, async || {
        let output = cinch(&kubeconfig, &["status", "-o", "json"]).await?;
        Ok((!output.stdout.is_empty()).then_some(()))
    })
    .await?;
    Ok(kubeconfig)
}

/// Waits until rights that somebody has do what they do.
async fn until_said(kubeconfig: &Path, arguments: &[&str], text: &str) -> Result<Output> {
    let mut last = String::new();
    let said = until(text, LIMIT, async || {
        let output = cinch(kubeconfig, arguments).await?;
        last = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
        Ok(last.contains(text).then_some(output))
    })
    .await;
    said.with_context(|| last)
}

/// A namespace with pods under a profile of a binding, one that is recorded, and one that has neither.
async fn stage(shared: &Shared) -> Result<Namespace> {
    let space = shared.own(&[(BINDING, "true"), (RECORDING, "true")]).await?;
    let name = &space.name;
    let local = json!({ "seccompProfile": {
        "type": "Localhost", "localhostProfile": format!("operator/{name}.json") } });
    let labels = json!({ "app": "web" });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "replicas": 2, "selector": { "matchLabels": labels }, "template": {
            "metadata": { "labels": labels },
            "spec": { "containers": [{ "name": "web", "image": IMAGE, "securityContext": local }] },
        } },
    });
    let recorded = pod(
        &json!({ "name": "learns", "labels": { "app": "rec" } }),
        &json!({ "containers": [{ "name": "main", "image": "busybox" }] }),
    );
    let bare = pod(
        &json!({ "name": "bare" }),
        &json!({ "containers": [{ "name": "main", "image": "busybox" }] }),
    );
    let objects = [
        profile(KIND, name),
        binding("b", KIND, name, IMAGE, &json!({})),
        recording("rec", KIND, "Bpf", &json!({})),
        deployment,
        recorded,
        bare,
    ];
    create(&space, &objects).await?;
    let status = json!({
        "phase": "Recording", "activeWorkloads": [format!("{name}/learns")],
        "containers": [{ "name": "main", "profile": "rec-main", "seen": 40, "lastNewAt": "2026-11-30T00:00:00Z",
            "history": [{ "at": "2026-11-29T23:00:00Z", "seen": 12 }, { "at": "2026-11-30T00:00:00Z", "seen": 40 }] }],
    });
    space.set_status(&v1(), "ProfileRecording", "rec", &status).await?;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "bare.1" },
        "eventTime": "2026-11-30T00:00:00.000000Z", "type": "Warning", "reason": "ProfileViolation",
        "action": "CallSystem", "note": "container main: seccomp denied the system call mount",
        "reportingController": "cinch-recorder", "reportingInstance": "node",
        "regarding": { "apiVersion": "v1", "kind": "Pod", "namespace": name, "name": "bare" },
        "series": { "count": 9, "lastObservedTime": "2026-11-30T00:10:00.000000Z" },
    });
    space.create_object(&event).await?.granted()?;
    Ok(space)
}

async fn who_may_read_is_told_what_workloads_run_under_what_is_recorded_and_what_was_denied(
    shared: &Shared,
) -> Result<()> {
    let cluster = &shared.cluster;
    if !cluster.has_controller_manager() {
        return Err(Skipped("needs kube-controller-manager").into());
    }
    let (space, kubeconfig) = (stage(shared).await?, reader(cluster).await?);
    let arguments = ["report", "-o", "json", "--namespace", &space.name];
    let report = until("the Deployment has its pods", LIMIT, async || {
        let report = read(&cinch(&kubeconfig, &arguments).await?)?;
        Ok((report["totals"]["pods"] == json!(4)).then_some(report))
    })
    .await?;
    let workloads = report["workloads"].as_array().context("no workloads")?;
    let said: Vec<_> = workloads
        .iter()
        .map(|it| {
            let text = |field: &str| it[field].as_str().unwrap_or_default();
            format!("{} {}/{} {}", text("state"), text("kind"), text("name"), it["denied"])
        })
        .collect();
    ensure!(
        said == ["Recording Pod/learns 0", "Disabled Pod/bare 9", "Applying Deployment/web 0"],
        "{said:?}"
    );
    let web = &workloads[2]["containers"][0]["seccomp"];
    let expected =
        json!([{ "pods": 2, "class": "profile", "profile": space.name, "binding": "b" }]);
    ensure!(*web == expected, "{web}");
    ensure!(
        report["recordings"][0]["containers"][0]["history"][0]["seen"] == json!(12),
        "{report}"
    );
    ensure!(report["violations"][0]["count"] == json!(9), "{report}");
    ensure!(report["made"]["of"] == json!(cluster.url()), "{report}");
    let version = report["made"]["version"].as_str().context("no version")?;
    ensure!(version.starts_with('v'), "{version}");
    ensure!(report["notes"] == json!([]), "{report}");
    // The whole cluster has all of it, too.
    let page = cinch(&kubeconfig, &["report", "-o", "html"]).await?;
    let page = String::from_utf8(page.stdout)?;
    for text in [&space.name, "learns", "seccomp denied the system call mount", version] {
        ensure!(page.contains(text), "{text} is not in the page");
    }
    Ok(())
}

async fn who_may_not_read_is_told_all_rights_that_are_missing(shared: &Shared) -> Result<()> {
    let rules = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }]);
    let kubeconfig = somebody(&shared.cluster, &rules).await?;
    // Pods may be listed, which is the one right that is not missing.
    let rule = "- {apiGroups: [\"\"], resources: [namespaces], verbs: [list]}";
    let output = until_said(&kubeconfig, &["report"], rule).await?;
    ensure!(output.status.code() == Some(1) && output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr)?;
    for text in
        ["error: not allowed to list namespaces,", "profilerecordings", "rawselinuxprofiles"]
    {
        ensure!(said.contains(text), "{said}");
    }
    let output = cinch(&kubeconfig, &["status"]).await?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1) && said.contains("nodesecurityprofiles"), "{said}");
    Ok(())
}

async fn a_right_without_which_a_report_is_poorer_is_noted_in_it(shared: &Shared) -> Result<()> {
    let space = shared.own(&[]).await?;
    let rules = json!([
        { "apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["get", "list"] },
        { "apiGroups": [object::GROUP], "resources": ["*"], "verbs": ["list"] },
    ]);
    let kubeconfig = somebody(&shared.cluster, &rules).await?;
    let arguments = ["report", "-o", "json", "--namespace", &space.name];
    let note = "not allowed to list events.events.k8s.io: what was denied is not in this report";
    let output = until_said(&kubeconfig, &arguments, note).await?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(read(&output)?["notes"].as_array().map(Vec::len) == Some(3), "{output:?}");
    // One that is not there is told apart from one that may not be seen.
    let output = cinch(&kubeconfig, &["report", "--namespace", "is-not-there"]).await?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1) && said.contains("is-not-there"), "{said}");
    Ok(())
}

async fn a_status_tells_of_nodes_that_failed_and_of_bindings_without_a_profile(
    shared: &Shared,
) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, space) = (node::Node::new(cluster).await?, shared.own(&[]).await?);
    let (name, kubeconfig) = (&space.name, reader(cluster).await?);
    create(&space, &[profile(KIND, name), binding("b", KIND, "gone", IMAGE, &json!({}))]).await?;
    cluster.create(&node.own_object()).await?;
    let at = object::location(&node.own_object(), "")?;
    let status = json!({ "status": { "installed": 0, "pending": 0, "failed": 1, "profiles": [
        { "kind": KIND, "name": name, "state": "Failed", "message": "no space left on device" } ] } });
    cluster.asker().ask("PATCH", &format!("{at}/status"), Some(&status)).await?.granted()?;
    let arguments = ["status", "-o", "json", "--wait", "1s", "--namespace", name];
    let output = cinch(&kubeconfig, &arguments).await?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    let status = read(&output)?;
    let failures = status["failures"].as_array().context("no failures")?;
    let reason = format!("{}: no space left on device", node.name);
    ensure!(failures.iter().filter_map(Value::as_str).any(|it| it.ends_with(&reason)), "{status}");
    let effect = format!("ProfileBinding {name}/b has no effect: there is no {KIND} gone");
    ensure!(failures.contains(&json!(effect)), "{status}");
    let nodes = status["nodes"].as_array().context("no nodes")?;
    let own = nodes.iter().find(|it| it["name"] == *node.name).context("no such node")?;
    ensure!(own["failed"] == json!(1) && own["ready"] == json!(false), "{own}");
    ensure!(status["bindings"].as_array().map(Vec::len) == Some(1), "{status}");
    cluster.delete(&node.own_object()).await?;
    cluster.delete(&profile(KIND, name)).await?;
    node.delete().await
}

async fn a_long_list_comes_page_by_page(shared: &Shared) -> Result<()> {
    let space = shared.own(&[]).await?;
    let kubeconfig = reader(&shared.cluster).await?;
    // More than come in one answer.
    let number = 520;
    for at in 0..number {
        let object = recording(&format!("r{at}"), KIND, "Bpf", &json!({}));
        space.create_object(&object).await?.granted()?;
    }
    let arguments = ["report", "-o", "json", "--namespace", &space.name];
    let report = read(&cinch(&kubeconfig, &arguments).await?)?;
    ensure!(report["recordings"].as_array().map(Vec::len) == Some(number), "some are missing");
    Ok(())
}
