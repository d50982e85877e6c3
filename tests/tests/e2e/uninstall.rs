//! Is nothing left that is in anybody's way?

use anyhow::{Result, ensure};
use tests::namespace::{BINDING, Namespace};

use crate::{ground::Ground, questions, workloads};

questions![after_an_uninstall_pods_start_and_profiles_can_be_deleted];

async fn after_an_uninstall_pods_start_and_profiles_can_be_deleted(
    ground: &mut Ground,
) -> Result<()> {
    ground.installed().await?;
    let Namespace { name, .. } =
        Namespace::new(ground.cluster.asker(), &[(BINDING, "true")]).await?;
    let user = ground.user.clone();
    user.apply(&name, &workloads::no_folders("left-over")).await?;
    user.apply(&name, &workloads::binding("left-over", workloads::SHELL)).await?;
    ground.until_on_node("left-over").await?;
    let script = "grep Seccomp: /proc/self/status";
    user.apply(&name, &workloads::pod("before", script)).await?;
    ensure!(ground.log_of(&name, "pod/before", "Seccomp").await? == "Seccomp:\t2\n");

    ground.uninstalled().await?;
    user.apply(&name, &workloads::pod("after", script)).await?;
    ensure!(ground.log_of(&name, "pod/after", "Seccomp").await? == "Seccomp:\t0\n");
    // What was bound runs on, and what held the profile holds it no more.
    user.kubectl(&format!("wait --namespace={name} pod/before --for=condition=Ready --timeout=5s"))
        .await?;
    user.kubectl("delete seccompprofiles --all --timeout=20s").await?;
    user.kubectl(&format!("delete namespace {name} --timeout=60s")).await?;
    Ok(())
}
