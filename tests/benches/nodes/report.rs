//! The tables that people read.

use std::{
    fmt::{Display, Formatter, Result},
    time::Duration,
};

use hdrhistogram::Histogram;
use tests::memory::Memory;

use crate::watched::Sent;

const P99_MILLISECONDS: f64 = 250.0;
/// For a thousand profiles.
const FROM_NOTHING: Duration = Duration::from_secs(2);
const MEMORY_MIB: f64 = 30.0;

/// From object to file, in microseconds.
#[derive(Debug)]
pub(crate) struct Latency(pub(crate) Histogram<u64>);

/// Many profiles on one node.
#[derive(Debug)]
pub(crate) struct Bulk {
    pub(crate) count: usize,
    pub(crate) from_nothing: Duration,
    pub(crate) restart: Duration,
    pub(crate) rewritten: usize,
    pub(crate) writes: usize,
    /// After the first installation and after the restart.
    pub(crate) memory: Memory,
    pub(crate) memory_again: Memory,
    /// The bytes of what the node says, with and without the API server's own notes on who wrote what. None when the API
    /// server did not take it.
    pub(crate) object: Option<usize>,
    pub(crate) without_managers: Option<usize>,
}

/// Many nodes.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) nodes: usize,
    pub(crate) standing: usize,
    /// From the first node to the last status.
    pub(crate) started: Duration,
    /// The bytes that a watcher gets for a change of an object with one profile.
    pub(crate) single: u64,
    pub(crate) costs: Vec<Cost>,
}

/// What a change of profiles costs.
#[derive(Debug)]
pub(crate) struct Cost {
    /// How many profiles change at the same time.
    pub(crate) changed: usize,
    /// Until the last node has it.
    pub(crate) installed: Duration,
    pub(crate) writes: usize,
    /// By nodes, to a watcher of all of them.
    pub(crate) said: Sent,
    /// To one node, of profiles.
    pub(crate) told: Sent,
}

fn goal(f: &mut Formatter<'_>, what: &str, found: f64, wanted: f64) -> Result {
    let word = if found < wanted { "reached" } else { "missed" };
    writeln!(f, "  {what:<58} {found:>9.1}  goal {wanted:>7}  {word}")
}

impl Display for Latency {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(times) = self;
        let at =
            |quantile| Duration::from_micros(times.value_at_quantile(quantile)).as_secs_f64() * 1e3;
        writeln!(
            f,
            "\nOne node, {} profiles one by one, from the request to the file",
            times.len()
        )?;
        writeln!(f, "  p50 {:.1} ms, p90 {:.1} ms, max {:.1} ms", at(0.5), at(0.9), at(1.0))?;
        goal(f, "p99, ms", at(0.99), P99_MILLISECONDS)
    }
}

impl Display for Bulk {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { count, from_nothing, restart, rewritten, writes, .. } = self;
        writeln!(f, "\nOne node, {count} profiles of some hundred calls at once")?;
        let wanted =
            FROM_NOTHING.as_secs_f64() * f64::from(u32::try_from(*count).unwrap_or(u32::MAX)) / 1e3;
        goal(
            f,
            "from the start of the process to the last file, s",
            from_nothing.as_secs_f64(),
            wanted,
        )?;
        writeln!(
            f,
            "  restart with everything in place, until ready: {:.2} s",
            restart.as_secs_f64()
        )?;
        writeln!(
            f,
            "  files written again: {rewritten}; status writes, one more profile included: {writes}"
        )?;
        let Memory { now, peak } = self.memory;
        goal(f, "RSS, MiB", now, MEMORY_MIB)?;
        writeln!(
            f,
            "  at most {peak:.1}; after the restart {:.1}, at most {:.1}",
            self.memory_again.now, self.memory_again.peak
        )?;
        match (self.object, self.without_managers) {
            (Some(object), Some(without)) => writeln!(
                f,
                "  the node's object: {} KB, of which {} KB are the API server's managedFields",
                object / 1000,
                (object - without) / 1000
            ),
            _ => writeln!(f, "  the API server does not take the node's object"),
        }
    }
}

impl Display for Fleet {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { nodes, standing, started, single, costs } = self;
        writeln!(
            f,
            "\n{nodes} nodes, {standing} profiles; all up after {:.1} s",
            started.as_secs_f64()
        )?;
        writeln!(
            f,
            "  one object for each profile and node, computed: {single} bytes an event (measured), one write for each change \
             on each node, watched by every node and a controller"
        )?;
        writeln!(
            f,
            "  {:<10} {:>9}  {:>8} {:>9} {:>7}  {:>12} {:>14} {:>7}  {:>12}",
            "changed",
            "last node",
            "writes",
            "computed",
            "ratio",
            "KB watched",
            "computed",
            "ratio",
            "KB profiles"
        )?;
        for cost in costs {
            line(f, u64::try_from(*nodes).unwrap_or(u64::MAX), *single, cost)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody reads that many digits")]
fn line(f: &mut Formatter<'_>, nodes: u64, single: u64, cost: &Cost) -> Result {
    let Cost { changed, installed, writes, said, told } = cost;
    let other_writes = *changed as u64 * nodes;
    let other_bytes = other_writes * single * (nodes + 1);
    writeln!(
        f,
        "  {changed:<10} {:>7.2} s  {writes:>8} {other_writes:>9} {:>7.1}  {:>12} {:>14} {:>7.1}  {:>12}",
        installed.as_secs_f64(),
        other_writes as f64 / *writes as f64,
        said.bytes / 1000,
        other_bytes / 1000,
        other_bytes as f64 / said.bytes as f64,
        told.bytes * nodes / 1000,
    )
}
