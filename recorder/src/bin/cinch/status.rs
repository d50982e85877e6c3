//! `cinch status`: how far profiles are on the nodes, what bindings and recordings do, and what has failed.

use std::{
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use k8s_openapi::{api::core::v1 as core, jiff::Timestamp};
use kube::{Api, api::ListParams};
use profile::kinds::{NodeSecurityProfiles, ProfileKind};

use self::{content::Status, gather::Gather};
use crate::{
    args::{Output, StatusFlags},
    cluster::{Cluster, Lacking, ListError, Resource, each},
    files::{print, print_json},
    report::runtime,
};

mod content;
mod gather;
mod text;

#[cfg(test)]
mod tests;

/// Between two looks of one who waits; longer each time, since each look is at all nodes.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// Prints the status; the exit code is 1 when something has failed, or is not there when the wait is over.
pub(crate) fn status(flags: &StatusFlags) -> anyhow::Result<ExitCode> {
    let StatusFlags { output, namespaces, kubeconfig, wait } = flags;
    let status = runtime()?.block_on(async {
        let cluster = Cluster::connect(kubeconfig.as_deref()).await?;
        look(&cluster, namespaces, *wait).await
    })?;
    match output {
        Output::Text => print(&text::text(&status, Timestamp::now()))?,
        Output::Json => print_json(&status)?,
    }
    let late = wait.is_some() && !status.pending.is_empty();
    if late {
        let said = "error: not everything was there in time";
        writeln!(std::io::stderr(), "{said}").context("cannot print")?;
    }
    let well = status.failures.is_empty() && !late;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The status as it is, or when it is as it should be, if that is before the wait is over.
async fn look(
    cluster: &Cluster,
    namespaces: &[String],
    wait: Option<Duration>,
) -> anyhow::Result<Status> {
    let end = wait.map(|wait| Instant::now() + wait);
    let mut pause = SHORTEST;
    loop {
        let mut gather = Gather::default();
        list(cluster, namespaces, &mut gather).await?;
        let status = gather.status();
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        match left {
            Some(left) if !status.ready && !left.is_zero() => {
                tokio::time::sleep(pause.min(left)).await;
                pause = (pause * 2).min(LONGEST);
            }
            _ => return Ok(status),
        }
    }
}

async fn list(cluster: &Cluster, namespaces: &[String], gather: &mut Gather) -> anyhow::Result<()> {
    let mut lacking = Lacking::default();
    for kind in ProfileKind::ALL {
        let profiles = cluster.profiles(*kind, |read| match read {
            Ok(head) => gather.profile(head),
            Err(error) => gather.note(error),
        });
        lacking.note(profiles.await)?;
    }
    let nodes: Api<core::Node> = Api::all(cluster.client.clone());
    let nodes = each(&nodes, Resource::core("nodes"), None, ListParams::default(), |node| {
        gather.node(&node);
    });
    match nodes.await {
        Err(ListError::Forbidden(_)) => {
            let so = "whether they are ready is not known, nor which of them say nothing";
            gather.note(format!("not allowed to list nodes: {so}"));
        }
        listed => listed?,
    }
    let said: Api<NodeSecurityProfiles> = Api::all(cluster.client.clone());
    // Each has a line for each profile.
    let params = ListParams::default().limit(50);
    let resource = Resource::own("nodesecurityprofiles");
    let said = each(&said, resource, None, params, |object| gather.said(&object));
    lacking.note(said.await)?;
    let scopes: Vec<Option<&str>> = match namespaces {
        [] => vec![None],
        some => some.iter().map(|name| Some(name.as_str())).collect(),
    };
    for scope in scopes {
        let bindings = cluster.bindings(scope, |read| match read {
            Ok(binding) => gather.binding(&binding),
            Err(error) => gather.note(error),
        });
        lacking.note(bindings.await)?;
        let recordings = cluster.recordings(scope, |read| match read {
            Ok(recording) => gather.recording(&recording),
            Err(error) => gather.note(error),
        });
        lacking.note(recordings.await)?;
    }
    lacking.settle()?;
    Ok(())
}
