//! `cinch report`: which workloads run Disabled, Recording, Applying; what is being recorded, and what was denied.

use std::process::ExitCode;

use anyhow::Context as _;
use k8s_openapi::jiff::Timestamp;

use self::{content::Report, gather::Gather};
use crate::{
    args::{ReportFlags, ReportOutput},
    cluster::Cluster,
    files::{print, print_json},
};

pub(crate) mod confinement;
pub(crate) mod content;
mod folder;
pub(crate) mod gather;
mod known;
mod listed;
mod page;
pub(crate) mod pod;
mod text;
mod violations;

#[cfg(test)]
mod tests;

/// Prints the report on a cluster, or on a folder of what was taken from one.
pub(crate) fn report(flags: &ReportFlags) -> anyhow::Result<ExitCode> {
    let ReportFlags { output, namespaces, kubeconfig, manifests } = flags;
    let mut gather = Gather::default();
    let now = Timestamp::now();
    let made = match manifests {
        Some(path) => {
            folder::read(path, namespaces, &mut gather)?;
            gather::made(now, path.display().to_string(), None, namespaces)
        }
        None => runtime()?.block_on(async {
            let cluster = Cluster::connect(kubeconfig.as_deref()).await?;
            listed::list(&cluster, namespaces, &mut gather).await?;
            let version = cluster.client.apiserver_version().await.ok().map(|it| it.git_version);
            anyhow::Ok(gather::made(now, cluster.url, version, namespaces))
        })?,
    };
    let report: Report = gather.report(made);
    match output {
        ReportOutput::Text => print(&text::text(&report))?,
        ReportOutput::Json => print_json(&report)?,
        ReportOutput::Html => print(&page::page(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What asks the API server: one thread is enough.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")
}
