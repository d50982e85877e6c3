//! Does a workload work under what was recorded of it, and under no more?

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::{
    namespace::{BINDING, Namespace, RECORDING},
    until::until,
};

use crate::{ground::Ground, questions, workloads};

questions![
    a_web_server_works_under_what_ebpf_recorded_of_it_and_under_no_more,
    a_web_server_works_under_what_logs_recorded_of_it_and_under_no_more,
];

const LIMIT: Duration = Duration::from_mins(1);

async fn a_web_server_works_under_what_ebpf_recorded_of_it_and_under_no_more(
    ground: &mut Ground,
) -> Result<()> {
    recorded(ground, "Bpf").await
}

async fn a_web_server_works_under_what_logs_recorded_of_it_and_under_no_more(
    ground: &mut Ground,
) -> Result<()> {
    recorded(ground, "Logs").await
}

async fn recorded(ground: &mut Ground, recorder: &str) -> Result<()> {
    ground.installed().await?;
    let labels = [(BINDING, "true"), (RECORDING, "true")];
    let Namespace { name, .. } = Namespace::new(ground.cluster.asker(), &labels).await?;
    let user = ground.user.clone();
    // Profiles belong to the whole cluster.
    let recording = format!("web-{}", recorder.to_lowercase());
    user.apply(&name, &workloads::recording(&recording, recorder, "web")).await?;
    user.apply(&name, &workloads::deployment("web", workloads::NGINX, "")).await?;
    ground.until_rolled_out(&name, "web").await?;
    serves(ground, &name).await?;

    let profile = format!("{recording}-main");
    until("what it does is in the profile", LIMIT, async || {
        let profile = ground.profile(&profile).await?;
        // It listens once, when it starts.
        Ok(["listen", "accept4", "sendfile", "setgid"]
            .iter()
            .all(|call| workloads::allows(&profile, |name| name == *call))
            .then_some(()))
    })
    .await?;
    user.kubectl(&format!("delete profilerecording --namespace={name} {recording}")).await?;
    until("the profile is whole", LIMIT, async || {
        let profile = ground.profile(&profile).await?;
        let partial = profile.pointer("/metadata/labels/spo.x-k8s.io~1partial").is_some();
        Ok((!partial && profile["spec"].is_object()).then_some(()))
    })
    .await?;

    user.apply(&name, &workloads::binding(&profile, workloads::NGINX)).await?;
    ground.until_on_node(&profile).await?;
    user.kubectl(&format!("rollout restart --namespace={name} deployment/web")).await?;
    ground.until_rolled_out(&name, "web").await?;
    let pod = ground.only_pod(&name).await?;
    let bound = pod.pointer("/spec/containers/0/securityContext/seccompProfile/localhostProfile");
    ensure!(bound == Some(&format!("operator/{profile}.json").into()), "{pod}");
    serves(ground, &name).await?;
    let (_, status) =
        user.exec(&name, "deployment/web", "busybox grep Seccomp: /proc/1/status").await?;
    ensure!(status == "Seccomp:\t2\n", "{status}");
    // A web server makes no links.
    let (well, said) = user.exec(&name, "deployment/web", "busybox ln -s a /tmp/b").await?;
    ensure!(!well && said.contains("Operation not permitted"), "{said}");
    Ok(())
}

/// Asks the one pod of a namespace, as its clients would.
async fn serves(ground: &Ground, namespace: &str) -> Result<()> {
    let pod = ground.only_pod(namespace).await?;
    let address = pod.pointer("/status/podIP").and_then(Value::as_str).unwrap_or_default();
    let address = format!("{address}:80").parse()?;
    let (status, body) = tests::plain_http::get(address, "/").await?;
    ensure!(status == 200 && body == workloads::PAGE, "{status}: {body}");
    Ok(())
}
