//! Asks all servers in turns and gathers what they did.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::{
    Effort,
    load::Load,
    server::{Memory, Server, Used},
};

/// A server and the load on it.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    /// None for the echo.
    pub(crate) bindings: Option<usize>,
    pub(crate) server: Server,
    pub(crate) load: Load,
}

/// What one server did in one turn of the closed loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) per_second: f64,
    /// Microseconds of processor time for each answer.
    pub(crate) processor: f64,
    /// The share of the time in which the server had its core or would have run.
    pub(crate) busy: f64,
    /// The share of the time in which others had its core.
    pub(crate) waited: f64,
}

/// All that is known of one server.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) bindings: Option<usize>,
    pub(crate) turns: Vec<Turn>,
    /// Reviews a second in the open loop.
    pub(crate) rate: f64,
    pub(crate) latency: Histogram<u64>,
    pub(crate) memory: Memory,
    pub(crate) ready: Option<Duration>,
}

impl Subject {
    pub(crate) fn request<'r>(&self, echoed: &'r [u8], reviewed: &'r [u8]) -> &'r [u8] {
        if self.bindings.is_some() { reviewed } else { echoed }
    }

    fn turn(&mut self, request: &[u8], time: Duration) -> Result<Turn> {
        let before = self.server.used()?;
        let throughput = self.load.closed(request, time)?;
        let after = self.server.used()?;
        let seconds =
            |of: fn(&Used) -> Duration| of(&after).as_secs_f64() - of(&before).as_secs_f64();
        let (processor, waited) = (seconds(|used| used.processor), seconds(|used| used.waited));
        let took = throughput.took.as_secs_f64();
        Ok(Turn {
            per_second: throughput.per_second(),
            processor: processor * 1e6 / f64::from(throughput.answers),
            busy: (processor + waited) / took,
            waited: waited / took,
        })
    }
}

/// The figures of all servers, in their order.
pub(crate) fn measure(
    subjects: &mut [Subject],
    echoed: &[u8],
    reviewed: &[u8],
    effort: Effort,
) -> Result<Vec<Figures>> {
    for subject in &mut *subjects {
        let request = subject.request(echoed, reviewed);
        subject.load.closed(request, effort.closed / 2)?;
    }
    let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); subjects.len()];
    for _ in 0..effort.turns {
        for (subject, turns) in subjects.iter_mut().zip(&mut turns) {
            turns.push(subject.turn(subject.request(echoed, reviewed), effort.closed)?);
        }
    }
    // The echo gets what the webhook with one binding gets.
    let rate = |of: &[Turn]| median(of.iter().map(|turn| turn.per_second)) / 2.0;
    let mut rates: Vec<f64> = turns.iter().map(|turns| rate(turns)).collect();
    if let [echo, webhook, ..] = &mut rates[..] {
        *echo = *webhook;
    }
    let mut latencies = vec![Histogram::new(3)?; subjects.len()];
    for _ in 0..effort.turns {
        for ((subject, rate), all) in subjects.iter_mut().zip(&rates).zip(&mut latencies) {
            let request = subject.request(echoed, reviewed);
            let time = effort.open / u32::try_from(effort.turns)?;
            all.add(subject.load.open_loop(request, *rate, time)?)?;
        }
    }
    let mut figures = Vec::new();
    for (((subject, turns), rate), latency) in subjects.iter().zip(turns).zip(rates).zip(latencies)
    {
        figures.push(Figures {
            name: subject.name.clone(),
            bindings: subject.bindings,
            turns,
            rate,
            latency,
            memory: subject.server.memory()?,
            ready: subject.server.ready,
        });
    }
    Ok(figures)
}

/// The middle of some numbers, not a number when there is none.
pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
