//! What is installed: our images and the chart, by helm.

use anyhow::{Context as _, Result};
use tests::{
    chart::{self, NAMESPACE},
    daemon,
};

use crate::{ground::Ground, user::User};

/// The name of the release.
const NAME: &str = "cinch";

/// What is not as it is by default: this kernel has neither AppArmor nor SELinux, and sends audit records to nobody on a
/// machine of tests but to its auditd.
const VALUES: &[&str] = &[
    "features.record.logs=true",
    "features.violations=true",
    "recorder.source=/var/log/audit/audit.log",
];

/// Installs it all, and waits until every part is ready.
pub(crate) async fn install(ground: &Ground) -> Result<()> {
    for archive in &ground.parts.images {
        ground.worker.import(archive).await?;
    }
    let line = format!(
        "install {NAME} {} --namespace={NAMESPACE} --create-namespace --wait --timeout=3m --set={}",
        chart::chart().display(),
        VALUES.join(",")
    );
    ground.user.helm(&line).await.context("cannot install")?;
    // Of a DaemonSet helm does not wait for the last pods, and on one node there is but one.
    let line =
        format!("wait --namespace={NAMESPACE} pods --all --for=condition=Ready --timeout=1m");
    ground.user.kubectl(&line).await?;
    Ok(())
}

/// Takes it away again.
pub(crate) async fn uninstall(user: &User) -> Result<()> {
    user.helm(&format!("uninstall {NAME} --namespace={NAMESPACE} --wait --timeout=2m")).await?;
    Ok(())
}

/// How everything is, for whoever reads of a failure.
pub(crate) async fn diagnosis(user: &User) -> String {
    let lines = [
        ("get pods --all-namespaces --output=wide".to_owned(), 40),
        (
            "get events --all-namespaces --field-selector=type=Warning --sort-by=.lastTimestamp"
                .to_owned(),
            15,
        ),
        (
            format!(
                "logs --namespace={NAMESPACE} --selector=app.kubernetes.io/name=cinch --prefix --tail=12 --max-log-requests=20"
            ),
            80,
        ),
    ];
    let mut text = String::new();
    for (line, tail) in lines {
        let said = user.kubectl(&line).await.unwrap_or_else(|error| format!("{error:#}"));
        text = format!("{text}\n--- kubectl {line}\n{}\n", daemon::tail(&said, tail));
    }
    text
}
