//! How soon a node has a profile, what its daemon needs for that, and what many nodes cost the API server, beside what
//! one object for each profile and node would.
//!
//! One daemon is the real program, as `cargo build --release` makes it. Many nodes are its lanes, watches and status in
//! this process, each with a folder, a Node and a token of its own, against the real API server.
//! `BENCH=short` takes a minute instead of some minutes; of `latency`, `bulk` and `fleet` those that are named are measured.

use std::{env, io::Write as _};

use anyhow::{Result, anyhow};
use tests::{cluster::Cluster, installer, programs::Programs};

mod fleet;
mod one;
mod profiles;
mod report;
mod watched;

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Profiles that are created one by one.
    singles: usize,
    /// How many are there at once, from nothing and on a restart.
    bulks: &'static [usize],
    /// Simulated nodes.
    nodes: usize,
    /// Profiles in the cluster while one changes.
    standing: &'static [usize],
    /// Profiles that change at the same time.
    batch: usize,
}

const SHORT: Effort =
    Effort { singles: 100, bulks: &[1_000], nodes: 50, standing: &[10, 50], batch: 10 };
const FULL: Effort =
    Effort { singles: 500, bulks: &[1_000, 10_000], nodes: 200, standing: &[10, 100], batch: 50 };

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_other| anyhow!("somebody has chosen how to encrypt"))?;
    let effort = if env::var_os("BENCH").is_some_and(|v| v == "short") { SHORT } else { FULL };
    let mut out = std::io::stdout().lock();
    let programs = match (Programs::find(), installer::program()) {
        (Ok(programs), Ok(_)) => programs,
        (Err(missing), _) => return Ok(writeln!(out, "nodes: skipped: {missing}")?),
        (_, Err(missing)) => return Ok(writeln!(out, "nodes: skipped: {missing}")?),
    };
    let named: Vec<String> = env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|wanted| wanted == name);
    if wanted("latency") {
        let cluster = Cluster::start(&programs).await?;
        let latency = one::latency(&cluster, effort.singles).await?;
        write!(out, "{}", report::Latency(latency))?;
    }
    for &count in effort.bulks.iter().filter(|_| wanted("bulk")) {
        let cluster = Cluster::start(&programs).await?;
        write!(out, "{}", one::bulk(&cluster, count).await?)?;
    }
    for &standing in effort.standing.iter().filter(|_| wanted("fleet")) {
        let cluster = Cluster::start(&programs).await?;
        let figures = fleet::measure(&cluster, effort.nodes, standing, effort.batch).await?;
        write!(out, "{figures}")?;
    }
    Ok(())
}
