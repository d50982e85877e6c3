//! Does a pod run at all?

use anyhow::{Result, ensure};
use tests::namespace::Namespace;

use crate::{ground::Ground, questions, workloads};

questions![a_pod_without_a_profile_runs_and_is_heard];

async fn a_pod_without_a_profile_runs_and_is_heard(ground: &mut Ground) -> Result<()> {
    let Namespace { name, .. } = Namespace::new(ground.cluster.asker(), &[]).await?;
    let script = "mkdir /made && echo made; grep Seccomp: /proc/self/status";
    ground.user.apply(&name, &workloads::pod("plain", script)).await?;
    let log = ground.log_of(&name, "pod/plain", "Seccomp").await?;
    ensure!(log == "made\nSeccomp:\t0\n", "{log}");
    Ok(())
}
