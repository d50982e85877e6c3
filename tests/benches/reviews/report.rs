//! The table that people read.

use std::{
    fmt::{Display, Formatter, Result},
    time::Duration,
};

use crate::measure::{Figures, Turn, median};

/// What is wanted, on one core with a 12 KB review.
const OF_ECHO: f64 = 0.7;
const P99_MICROSECONDS: f64 = 1000.0;
const MEMORY_MIB: f64 = 30.0;
const READY_MILLISECONDS: f64 = 1000.0;
const FLAT: f64 = 1.2;
/// The most of its time that a server's core may have been taken by others before the figures mean little.
const NOISE: f64 = 0.1;

/// All figures of one size; the echo stands first, then the webhook with one binding.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) title: String,
    pub(crate) figures: Vec<Figures>,
}

impl Figures {
    fn median(&self, of: fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().map(of))
    }

    /// The median of the ratios to another server in the same turn.
    fn ratio(&self, other: &Self, of: fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().zip(&other.turns).map(|(own, other)| of(own) / of(other)))
    }

    fn microseconds(&self, quantile: f64) -> f64 {
        Duration::from_nanos(self.latency.value_at_quantile(quantile)).as_secs_f64() * 1e6
    }

    fn label(&self) -> String {
        match self.bindings {
            None => self.name.clone(),
            Some(1) => format!("{}, 1 binding", self.name),
            Some(n) => format!("{}, {n} bindings", self.name),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "\n{}, TLS keep-alive, one core", self.title)?;
        writeln!(
            f,
            "{:<46} {:>9} {:>7} {:>9} {:>7}  {:>7} {:>7} {:>7} {:>7}  {:>7} {:>7} {:>7}",
            "",
            "per s",
            "of echo",
            "cpu us",
            "of echo",
            "at /s",
            "p50 us",
            "p99",
            "p99.9",
            "RSS MiB",
            "peak",
            "ready ms"
        )?;
        let Some(echo) = self.figures.first() else { return Ok(()) };
        for figures in &self.figures {
            line(f, figures, echo)?;
        }
        self.goals(f)
    }
}

fn line(f: &mut Formatter<'_>, own: &Figures, echo: &Figures) -> Result {
    let ready = own.ready.map_or(String::new(), |ready| ready.as_millis().to_string());
    writeln!(
        f,
        "{:<46} {:>9.0} {:>7.2} {:>9.1} {:>7.2}  {:>7.0} {:>7.0} {:>7.0} {:>7.0}  {:>7.1} {:>7.1} {:>7}",
        own.label(),
        own.median(|turn| turn.per_second),
        own.ratio(echo, |turn| turn.per_second),
        own.median(|turn| turn.processor),
        own.ratio(echo, |turn| turn.processor),
        own.rate,
        own.microseconds(0.5),
        own.microseconds(0.99),
        own.microseconds(0.999),
        own.memory.now,
        own.memory.peak,
        ready,
    )
}

impl Report {
    fn goals(&self, f: &mut Formatter<'_>) -> Result {
        let webhooks: Vec<_> = self.figures.iter().filter(|own| own.name == "webhook").collect();
        let (Some(echo), Some(one), Some(most)) =
            (self.figures.first(), webhooks.first(), webhooks.last())
        else {
            return Ok(());
        };
        let mut goal = |what: &str, found: f64, wanted: f64, good: bool| {
            let word = if good { "reached" } else { "missed" };
            writeln!(f, "  {what:<58} {found:>8.2}  goal {wanted:>7}  {word}")
        };
        let of_echo = one.ratio(echo, |turn| turn.per_second);
        goal("reviews per second, of the echo's", of_echo, OF_ECHO, of_echo >= OF_ECHO)?;
        let p99 = one.microseconds(0.99);
        goal("p99 at half load, us", p99, P99_MICROSECONDS, p99 < P99_MICROSECONDS)?;
        let flat = most.ratio(one, |turn| turn.processor);
        goal("processor time with most bindings, of that with one", flat, FLAT, flat <= FLAT)?;
        let memory = most.memory.now;
        goal("RSS with most bindings, MiB", memory, MEMORY_MIB, memory < MEMORY_MIB)?;
        let ready = most.ready.map_or(f64::NAN, |ready| ready.as_secs_f64() * 1e3);
        goal(
            "ready with most bindings, ms",
            ready,
            READY_MILLISECONDS,
            ready < READY_MILLISECONDS,
        )?;
        let all = || self.figures.iter().flat_map(|figures| &figures.turns);
        let (waited, busy) =
            (median(all().map(|turn| turn.waited)), median(all().map(|turn| turn.busy)));
        if waited > NOISE {
            writeln!(f, "  others had the servers' core for {:.0} % of the time", waited * 100.0)?;
        }
        if busy < 1.0 - NOISE {
            let busy = busy * 100.0;
            writeln!(f, "  the load kept the servers' core only {busy:.0} % busy: look at cpu us")?;
        }
        Ok(())
    }
}
