//! Is a workload held to the profile that it is bound to?

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::{
    namespace::{BINDING, Namespace},
    until::until,
};

use crate::{ground::Ground, questions, workloads};

questions![
    a_deployment_is_denied_what_its_profile_denies,
    a_profile_in_use_stays_until_its_last_pod_is_gone,
    a_gated_deployment_waits_for_its_profile_and_then_runs_under_it,
];

const LIMIT: Duration = Duration::from_mins(1);
const INSTALLER: &[&str] = &["cinch-node-installer", "run"];

async fn a_deployment_is_denied_what_its_profile_denies(ground: &mut Ground) -> Result<()> {
    ground.installed().await?;
    let Namespace { name, .. } =
        Namespace::new(ground.cluster.asker(), &[(BINDING, "true")]).await?;
    ground.user.apply(&name, &workloads::no_folders("no-folders")).await?;
    ground.user.apply(&name, &workloads::binding("no-folders", workloads::SHELL)).await?;
    ground.until_on_node("no-folders").await?;
    let script = "exec 2>&1; mkdir /made && echo made; ln -s a /b && echo linked; grep Seccomp: /proc/self/status";
    ground.user.apply(&name, &workloads::deployment("app", workloads::SHELL, script)).await?;
    let log = ground.log_of(&name, "deployment/app", "Seccomp").await?;
    ensure!(
        log == "mkdir: can't create directory '/made': Operation not permitted\nBad system call\nSeccomp:\t2\n",
        "{log}"
    );
    // The kernel tells of what ends a process.
    ground.until_event(&name, "ProfileViolation", "symlink").await?;
    let user = &ground.user;
    user.kubectl(
        "wait seccompprofile/no-folders --for=jsonpath={.status.status}=Installed --timeout=1m",
    )
    .await?;
    let line =
        format!("get profilebinding --namespace={name} no-folders --output=jsonpath={{.status}}");
    let pod = ground.only_pod(&name).await?;
    let pod = format!("{name}/{}", pod["metadata"]["name"].as_str().unwrap_or_default());
    until("the binding tells whom it binds", LIMIT, async || {
        let status = user.kubectl(&line).await?;
        Ok((status.contains(&pod) && status.contains("\"workloadCount\":1")).then_some(()))
    })
    .await
}

async fn a_profile_in_use_stays_until_its_last_pod_is_gone(ground: &mut Ground) -> Result<()> {
    ground.installed().await?;
    let Namespace { name, .. } =
        Namespace::new(ground.cluster.asker(), &[(BINDING, "true")]).await?;
    let user = ground.user.clone();
    user.apply(&name, &workloads::no_folders("in-use")).await?;
    user.apply(&name, &workloads::binding("in-use", workloads::SHELL)).await?;
    ground.until_on_node("in-use").await?;
    user.apply(&name, &workloads::pod("holder", "echo started; exec sleep 4711")).await?;
    ground.log_of(&name, "pod/holder", "started").await?;
    let held = "get seccompprofile/in-use --output=jsonpath={.metadata.finalizers}";
    until("the profile is held", LIMIT, async || {
        Ok(user.kubectl(held).await?.contains("in-use").then_some(()))
    })
    .await?;
    user.kubectl("delete seccompprofile/in-use --wait=false").await?;
    // A container that is started again needs it.
    ensure!(ground.worker.kill(&["sleep", "4711"]) > 0, "no process of the pod");
    until("the pod runs again", LIMIT, async || {
        let pod = ground.only_pod(&name).await?;
        let status = &pod["status"]["containerStatuses"][0];
        Ok((status["restartCount"] == 1 && status["ready"] == true).then_some(()))
    })
    .await?;
    user.kubectl(&format!("delete --namespace={name} pod/holder")).await?;
    user.kubectl("wait seccompprofile/in-use --for=delete --timeout=1m").await?;
    Ok(())
}

async fn a_gated_deployment_waits_for_its_profile_and_then_runs_under_it(
    ground: &mut Ground,
) -> Result<()> {
    ground.installed().await?;
    let Namespace { name, .. } =
        Namespace::new(ground.cluster.asker(), &[(BINDING, "true")]).await?;
    let user = ground.user.clone();
    ensure!(ground.worker.pause(INSTALLER) > 0, "no process of the node installer");
    user.apply(&name, &workloads::no_folders("gated")).await?;
    let binding = workloads::binding("gated", workloads::SHELL) + "  whenNotReady: Gate\n";
    user.apply(&name, &binding).await?;
    ground.until_bound(&name).await?;
    let script = "mkdir /made && echo made; grep Seccomp: /proc/self/status";
    user.apply(&name, &workloads::deployment("app", workloads::SHELL, script)).await?;
    let waits = until("the pod waits behind a gate", LIMIT, async || {
        let Ok(pod) = ground.only_pod(&name).await else { return Ok(None) };
        let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
        let is_gated = |condition: &Value| condition["reason"] == "SchedulingGated";
        Ok(conditions.into_iter().flatten().any(is_gated).then_some(()))
    })
    .await;
    ground.worker.resume(INSTALLER);
    waits?;
    let log = ground.log_of(&name, "deployment/app", "Seccomp").await?;
    ensure!(log.contains("Seccomp:\t2") && !log.contains("\nmade"), "{log}");
    Ok(())
}
