//! Which audit records become lines of JSON, and where these go, as the command line says.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use recorder::logs::{
    enrich::{Enricher, Enrichment},
    filter::Filters,
    limit::Limit,
    names::Names,
    output::{Output, Rotation},
};

#[derive(Clone, Debug, Args)]
pub(crate) struct EntryFlags {
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
}

impl EntryFlags {
    /// Starts what writes lines.
    pub(crate) fn start(self, node: &str, names: Arc<dyn Names>) -> anyhow::Result<Enricher> {
        let Self {
            audit_log_path,
            audit_log_max_size,
            audit_log_max_backups,
            filters,
            burst,
            every,
            all,
        } = self;
        let output = match &audit_log_path {
            None => Output::stdout(),
            Some(path) => {
                let size = audit_log_max_size.saturating_mul(1 << 20);
                Output::file(path, Rotation { size, kept: audit_log_max_backups })?
            }
        };
        let limit = Limit { burst, every };
        let enrichment = Enrichment { node: node.to_owned(), filters, limit, all };
        Enricher::start(enrichment, names, output).context("cannot start a thread that writes")
    }
}

fn duration(text: &str) -> Result<Duration, profile::duration::DurationError> {
    profile::duration::parse(text)
}
