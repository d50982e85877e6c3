//! Is a workload held to the profile that it is bound to?

use anyhow::{Result, ensure};
use tests::namespace::{BINDING, Namespace};

use crate::{ground::Ground, questions, workloads};

questions![a_deployment_is_denied_what_its_profile_denies];

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
    ground.until_event(&name, "ProfileViolation", "symlink").await
}
