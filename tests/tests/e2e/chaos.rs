//! Does everything go on when parts of it are killed, restarted, or lose what they know?

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use tests::{
    chart::NAMESPACE,
    namespace::{BINDING, Namespace, RECORDING},
    until::until,
};

use crate::{churn::Churn, ground::Ground, questions, workloads};

questions![
    no_pod_runs_unbound_or_is_stuck_while_each_daemon_is_killed,
    no_pod_runs_unbound_or_is_stuck_while_the_api_server_is_restarted,
    an_expired_certificate_is_renewed_before_it_refuses_a_pod,
    what_runs_while_the_recorder_is_dead_is_recorded,
    after_a_reboot_profiles_are_back_and_pods_start,
];

const LIMIT: Duration = Duration::from_mins(2);
/// The first words of each daemon, and the label of its pods.
pub(crate) const DAEMONS: &[(&[&str], &str)] = &[
    (&["cinch-webhook", "serve"], "webhook"),
    (&["cinch-webhook", "controller"], "controller"),
    (&["cinch-node-installer", "run"], "node-installer"),
    (RECORDER, "recorder"),
];
const RECORDER: &[&str] = &["cinch-recorder", "run"];
const KUBELET_SECCOMP: &str = "/var/lib/kubelet/seccomp";

/// A namespace in which pods are bound to a profile that is on the node.
async fn stage(ground: &mut Ground, profile: &str) -> Result<String> {
    ground.installed().await?;
    let Namespace { name, .. } =
        Namespace::new(ground.cluster.asker(), &[(BINDING, "true")]).await?;
    ground.user.apply(&name, &workloads::no_folders(profile)).await?;
    ground.user.apply(&name, &workloads::binding(profile, workloads::SHELL)).await?;
    ground.until_on_node(profile).await?;
    ground.until_bound(&name).await?;
    Ok(name)
}

async fn no_pod_runs_unbound_or_is_stuck_while_each_daemon_is_killed(
    ground: &mut Ground,
) -> Result<()> {
    let name = stage(ground, "killed").await?;
    let churn = Churn::start(ground.cluster.asker(), &name, 300);
    for (words, part) in DAEMONS {
        churn.goes_on(20).await?;
        ensure!(ground.worker.kill(words) > 0, "no process of {part}");
        churn.goes_on(20).await?;
    }
    churn.end().await?;
    ready(ground).await
}

async fn no_pod_runs_unbound_or_is_stuck_while_the_api_server_is_restarted(
    ground: &mut Ground,
) -> Result<()> {
    let name = stage(ground, "restarted").await?;
    let churn = Churn::start(ground.cluster.asker(), &name, 100);
    churn.goes_on(20).await?;
    ground.cluster.restart_api_server().await?;
    churn.end().await?;
    ready(ground).await
}

async fn an_expired_certificate_is_renewed_before_it_refuses_a_pod(
    ground: &mut Ground,
) -> Result<()> {
    let name = stage(ground, "expired").await?;
    let at = format!("/api/v1/namespaces/{NAMESPACE}/secrets/cinch-webhook-tls");
    let asker = ground.cluster.asker();
    let secret = asker.ask("GET", &at, None).await?.granted()?;
    let (certificate, key) = expired(&read(&secret, "ca.crt")?, &read(&secret, "ca.key")?)?;
    let coded = [&certificate, &key].map(|pem| BASE64_STANDARD.encode(pem));
    let patch = json!({ "data": { "tls.crt": coded[0], "tls.key": coded[1] } });
    let churn = Churn::start(asker, &name, 50);
    churn.goes_on(10).await?;
    asker.ask("PATCH", &at, Some(&patch)).await?.granted()?;
    until("the Secret has another certificate", LIMIT, async || {
        let secret = asker.ask("GET", &at, None).await?.granted()?;
        Ok((read(&secret, "tls.crt")? != certificate).then_some(()))
    })
    .await?;
    let outcome = churn.end().await?;
    ensure!(outcome.refused == 0, "{} pods were refused", outcome.refused);
    Ok(())
}

/// A pair for the webhook that this authority vouched for long ago.
fn expired(ca: &str, ca_key: &str) -> Result<(String, String)> {
    let issuer = Issuer::from_ca_cert_pem(ca, KeyPair::from_pem(ca_key)?)?;
    let mut params = CertificateParams::new(vec![format!("cinch-webhook.{NAMESPACE}.svc")])?;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

fn read(secret: &Value, name: &str) -> Result<String> {
    let coded = secret["data"][name].as_str().with_context(|| format!("no {name}"))?;
    Ok(String::from_utf8(BASE64_STANDARD.decode(coded)?)?)
}

async fn after_a_reboot_profiles_are_back_and_pods_start(ground: &mut Ground) -> Result<()> {
    let name = stage(ground, "rebooted").await?;
    let script = "mkdir /made && echo made; grep Seccomp: /proc/self/status";
    let user = ground.user.clone();
    user.apply(&name, &workloads::deployment("app", workloads::SHELL, script)).await?;
    ground.until_rolled_out(&name, "app").await?;
    let before = ground.only_pod(&name).await?;

    let Ground { worker, cluster, .. } = ground;
    worker.reboot(cluster, Path::new(KUBELET_SECCOMP)).await?;
    until("the pod runs again", LIMIT, async || {
        let pod = ground.only_pod(&name).await?;
        let started = |pod: &Value| pod.pointer("/status/containerStatuses/0/containerID").cloned();
        let runs = pod.pointer("/status/containerStatuses/0/state/running").is_some();
        Ok((runs && started(&pod) != started(&before)).then_some(()))
    })
    .await?;
    let log = ground.log_of(&name, "deployment/app", "Seccomp").await?;
    ensure!(log.contains("Seccomp:\t2") && !log.contains("\nmade"), "{log}");
    ready(ground).await?;
    Churn::start(ground.cluster.asker(), &name, 50).end().await?;
    Ok(())
}

/// Waits until every pod of ours is ready.
async fn ready(ground: &Ground) -> Result<()> {
    let line =
        format!("wait --namespace={NAMESPACE} pods --all --for=condition=Ready --timeout=90s");
    ground.user.kubectl(&line).await?;
    Ok(())
}

/// Each does what no other pod does, by a call of its own.
const DEEDS: &[(&str, &str)] = &[
    ("ln -s a /tmp/link", "symlink"),
    ("mkfifo /tmp/pipe", "mknod"),
    ("sync /tmp", "fsync"),
    ("renice -n 5 1", "setpriority"),
];

async fn what_runs_while_the_recorder_is_dead_is_recorded(ground: &mut Ground) -> Result<()> {
    ground.installed().await?;
    let Namespace { name, .. } =
        Namespace::new(ground.cluster.asker(), &[(RECORDING, "true")]).await?;
    let user = ground.user.clone();
    user.apply(&name, &workloads::recording("deeds", "Bpf", "deeds")).await?;
    // Nothing runs in the kernel before somebody is recorded.
    user.apply(&name, &workloads::job("first", "deeds", "sleep 600")).await?;
    until_seen(ground, "nanosleep").await?;

    let mut pods = String::new();
    for (index, (deed, _)) in DEEDS.iter().enumerate() {
        pods = format!("{pods} pod/deed-{index}");
        ground.worker.kill(RECORDER);
        user.apply(&name, &workloads::job(&format!("deed-{index}"), "deeds", deed)).await?;
    }
    let line = format!("get --namespace={name}{pods} --output=jsonpath={{.items[*].status.phase}}");
    until("all have done what they do", LIMIT, async || {
        // The kubelet starts it again and again.
        ground.worker.kill(RECORDER);
        let phases = user.kubectl(&line).await?;
        let ended = phases.split_whitespace().filter(|phase| *phase == "Succeeded").count();
        Ok((ended == DEEDS.len()).then_some(()))
    })
    .await?;
    for (_, call) in DEEDS {
        until_seen(ground, call).await?;
    }
    let line = format!("get profilerecording --namespace={name} deeds --output=json");
    let recording: Value = serde_json::from_str(&user.kubectl(&line).await?)?;
    let told = &recording["status"]["containers"];
    let lost = told.as_array().into_iter().flatten().any(|one| one["lost"] != json!(0));
    ensure!(!lost && told.is_array(), "{told}");
    user.kubectl(&format!("delete profilerecording --namespace={name} deeds")).await?;
    Ok(())
}

/// Waits until the profile that is recorded has a call, by whatever name.
async fn until_seen(ground: &Ground, call: &str) -> Result<()> {
    until(&format!("{call} is in the profile"), LIMIT, async || {
        let profile = ground.profile("deeds-main").await?;
        Ok(workloads::allows(&profile, |name| name.contains(call)).then_some(()))
    })
    .await
}
