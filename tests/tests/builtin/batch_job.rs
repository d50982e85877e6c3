//! Do shells, coreutils and busybox do their work under the profile of batch jobs, and no server?

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{Ground, questions};

questions![a_shell_with_coreutils_works, a_shell_of_busybox_works, a_job_cannot_listen];

const LIMIT: Duration = Duration::from_mins(1);
const SCRIPT: &str = include_str!("job.sh");
/// A shell of busybox prefers its own commands, where they have a name in `PATH`.
const BUSYBOX: &str =
    "busybox mkdir /tmp/bin && busybox --install -s /tmp/bin && PATH=/tmp/bin exec sh /srv/job.sh";

async fn a_shell_with_coreutils_works(ground: &Ground<'_>) -> Result<()> {
    worked(ground, &["sh", "/srv/job.sh"]).await
}

async fn a_shell_of_busybox_works(ground: &Ground<'_>) -> Result<()> {
    worked(ground, &["busybox", "sh", "-c", BUSYBOX]).await
}

async fn worked(ground: &Ground<'_>, command: &[&str]) -> Result<()> {
    let bundle = ground.under("app-batch-job")?.text("job.sh", SCRIPT)?;
    let said = bundle.run(command, LIMIT).await?;
    ensure!(said.ends_with("all done\n"), "{said}");
    ensure!(!said.contains("not permitted") && !said.contains("not implemented"), "{said}");
    Ok(())
}

async fn a_job_cannot_listen(ground: &Ground<'_>) -> Result<()> {
    let mut job = ground.under("app-batch-job")?.start(&["busybox", "nc", "-l", "-p", "8080"])?;
    let status = job.ended(LIMIT).await?;
    let log = job.log()?;
    ensure!(
        !status.success() && log.contains("listen: Operation not permitted"),
        "{status}:\n{log}"
    );
    Ok(())
}
