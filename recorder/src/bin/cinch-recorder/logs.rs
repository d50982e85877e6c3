//! `cinch-recorder logs`: audit records as lines of JSON, with whose they are; without a cluster.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use clap::Args;
use recorder::logs::{Choice, From, Options, follow, names::Nameless};

use crate::entries::EntryFlags;

#[derive(Debug, Args)]
pub(crate) struct LogsFlags {
    /// Read from the kernel (`netlink`), from the log in this file, or from the best there is
    #[arg(long, env = "CINCH_SOURCE", value_name = "auto|netlink|FILE", default_value = "auto")]
    source: Choice,
    /// Of a file, also what is in it already
    #[arg(long, env = "CINCH_FROM_START")]
    from_start: bool,
    #[command(flatten)]
    entries: EntryFlags,
    /// Call this node by this name
    #[arg(long, env = "CINCH_NODE_NAME", value_name = "NAME", default_value = "")]
    node_name: String,
    /// Find the processes of the host here
    #[arg(long, env = "CINCH_PROC", value_name = "DIR", default_value = "/proc")]
    proc: PathBuf,
    /// Log at this level, or by a filter such as `info,recorder=debug`
    #[arg(long, env = "CINCH_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

/// Follows until a signal says to stop.
pub(crate) fn run(flags: LogsFlags) -> anyhow::Result<()> {
    let LogsFlags { source, from_start, entries, node_name, proc, log } = flags;
    daemon::logs::start(&log)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGINT, libc::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .context("cannot listen for signals")?;
    }
    let mut enricher = entries.start(&node_name, Arc::new(Nameless))?;
    let from = if from_start { From::Start } else { From::End };
    let processes = crate::ears::ended_processes();
    let options = Options { source, from, proc, processes, ..Options::default() };
    let counted = follow(&options, &|| stop.load(Ordering::Relaxed), &mut |event| {
        enricher.take(&event);
    })?;
    let unwritten = enricher.unwritten();
    // What waits is written.
    drop(enricher);
    tracing::info!(
        records = counted.records(),
        lost = counted.lost_in_all(),
        unwritten = unwritten.load(Ordering::Relaxed),
        "stopped"
    );
    Ok(())
}
