//! How long the node installer takes and what it holds in memory, beside a bare loop that writes the same bytes.
//!
//! `BENCH=short` measures less of it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "as in a test, for people to read")]

use std::time::{Duration, Instant};

use agent::Agent;
use node::Node;

mod agent;
mod floor;
mod lane;
mod node;

/// Goals, as the design has them.
const FROM_NOTHING: Duration = Duration::from_secs(2);
const CHANGE: Duration = Duration::from_millis(250);
const MEMORY: u64 = 30 << 20;

fn main() {
    let short = std::env::var("BENCH").is_ok_and(|bench| bench == "short");
    let (counts, changes) = if short { ([100, 1_000], 20) } else { ([1_000, 10_000], 200) };
    println!("seccomp profiles               {:>12}  {:>12}", counts[0], counts[1]);
    let figures = counts.map(|count| Figures::of(count, changes));
    let row = |name: &str, value: &dyn Fn(&Figures) -> String, goal: &str| {
        println!("{name:<30} {:>12}  {:>12}  {goal}", value(&figures[0]), value(&figures[1]));
    };
    row("floor: bare loop, one flush", &|f| time(f.floor), "");
    let goal = format!("goal for 1,000: {}", time(FROM_NOTHING));
    row("from nothing, --once", &|f| time(f.from_nothing), &goal);
    row("  against the floor", &|f| times(f.from_nothing, f.floor), "");
    row("in place, --once", &|f| time(f.in_place), "");
    row("  files written", &|f| f.written.to_string(), "goal: 0");
    row("daemon, in place until ready", &|f| time(f.ready), "");
    let goal = format!("goal: {}", time(CHANGE));
    row("object to file, p50", &|f| time(percentile(&f.objects, 50)), "");
    row("object to file, p99", &|f| time(percentile(&f.objects, 99)), &goal);
    row("manifest to file, p50", &|f| time(percentile(&f.manifests, 50)), "");
    row("manifest to file, p99", &|f| time(percentile(&f.manifests, 99)), &goal);
    let goal = format!("goal: {}", mebibytes(MEMORY));
    row("memory", &|f| mebibytes(f.memory), &goal);
    row("  at most", &|f| mebibytes(f.most_memory), "");
}

/// What was measured with so many profiles.
#[derive(Debug)]
struct Figures {
    floor: Duration,
    from_nothing: Duration,
    in_place: Duration,
    written: usize,
    ready: Duration,
    /// From a change that is told of, as by a cluster, to the file; and from a manifest that is written. Sorted.
    objects: Vec<Duration>,
    manifests: Vec<Duration>,
    memory: u64,
    most_memory: u64,
}

impl Figures {
    fn of(count: usize, changes: usize) -> Self {
        let node = Node::with(count);
        let from_nothing = taken(|| node.once());
        assert_eq!(node.stamps().len(), count);
        let floor = floor::floor(&node);
        let before = node.stamps();
        let in_place = taken(|| node.once());
        let after = node.stamps();
        let written = after.iter().filter(|(name, stamp)| before.get(*name) != Some(stamp)).count();
        let start = Instant::now();
        let agent = Agent::ready(&node);
        let ready = start.elapsed();
        // Each change has the whole folder read again, which takes as long as there are profiles.
        let turns = 0..(changes * 1_000 / count).clamp(20, changes);
        let mut manifests: Vec<_> = turns.map(|turn| agent::change(&node, turn)).collect();
        manifests.sort();
        let (memory, most_memory) = agent.memory();
        drop(agent);
        let mut objects = lane::changes(&node, changes);
        objects.sort();
        Self {
            floor,
            from_nothing,
            in_place,
            written,
            ready,
            objects,
            manifests,
            memory,
            most_memory,
        }
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

fn taken(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn time(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

fn times(duration: Duration, floor: Duration) -> String {
    format!("{:.1}x", duration.as_secs_f64() / floor.as_secs_f64())
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & ((1 << 20) - 1)) * 10) >> 20)
}
