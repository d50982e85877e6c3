//! `cinch-recorder logs`: audit records as lines of JSON, with whose they are; without a cluster.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use recorder::logs::{
    Choice, From, Options,
    enrich::{Enricher, Enrichment},
    filter::Filters,
    follow,
    limit::Limit,
    names::Nameless,
    output::{Output, Rotation},
};

#[derive(Debug, Args)]
pub(crate) struct LogsFlags {
    /// Read from the kernel (`netlink`), from the log in this file, or from the best there is
    #[arg(long, env = "CINCH_SOURCE", value_name = "auto|netlink|FILE", default_value = "auto")]
    source: Choice,
    /// Of a file, also what is in it already
    #[arg(long, env = "CINCH_FROM_START")]
    from_start: bool,
    /// Write to this file and not to standard output
    #[arg(long, env = "CINCH_AUDIT_LOG_PATH", value_name = "FILE")]
    audit_log_path: Option<PathBuf>,
    /// Set the file aside when it has so many megabytes
    #[arg(long, env = "CINCH_AUDIT_LOG_MAX_SIZE", value_name = "MB", default_value_t = 100)]
    audit_log_max_size: u64,
    /// Keep so many files that were set aside
    #[arg(long, env = "CINCH_AUDIT_LOG_MAX_BACKUPS", value_name = "NUMBER", default_value_t = 3)]
    audit_log_max_backups: u32,
    /// Write what these rules let through: a JSON list of priority, level, matchKeys and matchValues
    #[arg(long, env = "CINCH_FILTERS", value_name = "JSON", default_value = "[]")]
    filters: Filters,
    /// Write so many alike of one container at once
    #[arg(long, env = "CINCH_BURST", value_name = "NUMBER", default_value_t = 20)]
    burst: u32,
    /// Then one of them in each of these; 0s for all
    #[arg(long, env = "CINCH_EVERY", value_name = "DURATION", default_value = "1s", value_parser = duration)]
    every: Duration,
    /// Also what is no container's
    #[arg(long, env = "CINCH_ALL")]
    all: bool,
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
    let LogsFlags {
        source,
        from_start,
        audit_log_path,
        audit_log_max_size,
        audit_log_max_backups,
        filters,
        burst,
        every,
        all,
        node_name,
        proc,
        log,
    } = flags;
    daemon::logs::start(&log)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGINT, libc::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .context("cannot listen for signals")?;
    }
    let output = match &audit_log_path {
        None => Output::stdout(),
        Some(path) => {
            let size = audit_log_max_size.saturating_mul(1 << 20);
            Output::file(path, Rotation { size, kept: audit_log_max_backups })?
        }
    };
    let limit = Limit { burst, every };
    let enrichment = Enrichment { node: node_name, filters, limit, all };
    let mut enricher = Enricher::start(enrichment, Arc::new(Nameless), output)
        .context("cannot start a thread that writes")?;
    let from = if from_start { From::Start } else { From::End };
    let options = Options { source, from, proc };
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

fn duration(text: &str) -> Result<Duration, profile::duration::DurationError> {
    profile::duration::parse(text)
}
