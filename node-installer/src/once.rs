//! Installs what a folder holds, once, and tells how it went.

use std::{io::Write as _, process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Context as _, bail};
use daemon::manifests::Manifests;
use node_installer::{
    lane::{self, Reports},
    metrics::Metrics,
    source::folder::{Contents, Document},
    table::table,
    users::Users,
};
use profile::kinds::node::NodeProfileState;

use crate::{
    args::{Objects, Run},
    run,
};

/// Does all of it and prints the table. What is wrong with one document or profile stops no other.
pub(crate) fn once(flags: Run) -> anyhow::Result<ExitCode> {
    let Run { node, objects, once: _, admin: _, permitted, log } = flags;
    daemon::logs::start(&log)?;
    let Objects::Folder(folder) = objects else { bail!("--once needs --manifests DIR") };
    let (documents, problems) = Manifests::<Document>::new(folder).read();
    let contents = Contents::of(documents);
    let users = Arc::new(Users::of(contents.pods.iter().map(|(name, used)| (&**name, used))));
    let metrics = Arc::new(Metrics::default());
    let mut lanes: Vec<Reports> = Vec::new();
    run::prepare(&node)?;
    for backend in run::backends(&node) {
        let mechanism = backend.mechanism();
        let mut lane =
            lane::Lane::open(backend, &node.layout, permitted.clone(), Arc::clone(&metrics))
                .with_context(|| format!("cannot care for {mechanism}"))?;
        let objects: Vec<_> =
            contents.objects.iter().filter(|o| o.key.mechanism() == mechanism).cloned().collect();
        lane.apply(&objects);
        // A document that cannot be read may be that of a profile which is on the node.
        if problems.is_empty() {
            for kind in lane::kinds(mechanism) {
                lane.all(kind, &contents.keys(kind));
            }
        }
        lane.set_users(Arc::clone(&users));
        lanes.push(lane.reconcile(Instant::now(), &|_| ()));
    }
    let mut text = table(&lanes);
    text.extend(problems.iter().map(|problem| format!("\n{problem}\n")));
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")?;
    let mut states = lanes.iter().flat_map(|reports| reports.values()).map(|r| r.verdict.state);
    let failed = states.any(|state| state == NodeProfileState::Failed) || !problems.is_empty();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
