//! Joins audit records with the names of their containers: lines of JSON, counters, and violations for Events.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use recorder::{
    cgroup,
    logs::{
        Counts, Event, Options,
        enrich::Enricher,
        metrics::{Metrics as Counters, Sort},
        names::{Name, Names as _},
        violation::{Rule, Violations},
    },
};

use crate::{
    args::EnrichFlags,
    metrics::Metrics,
    roster::Roster,
    tracker::{Moment, Tracker},
    violations::{Ledger, Occurrence},
};

use unnamed::Unnamed;

mod unnamed;

/// What hears records while they are read; a clone is the same one.
#[derive(Clone, Debug)]
pub(crate) struct Hearing(Arc<Mutex<Listener>>);

#[derive(Debug)]
struct Listener {
    enricher: Option<Enricher>,
    counters: Counters,
    violations: Option<Violations<cgroup::Container>>,
    roster: Arc<Roster>,
    unnamed: Unnamed,
    /// As of the last turn, since the machine was started.
    now: Duration,
}

/// All that is done beside recordings.
#[derive(Debug)]
pub(crate) struct Enrich {
    pub(crate) hearing: Hearing,
    roster: Arc<Roster>,
    ledger: Ledger,
    /// Whether Events are being written.
    telling: bool,
}

/// What a turn asks for.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Whether the runtime knows names that nobody else does.
    pub(crate) ask: bool,
    /// Events to be written; [`Enrich::told`] ends it.
    pub(crate) due: Vec<Occurrence>,
}

impl Hearing {
    /// Takes in what was told; waits for nothing but the turn of another thread.
    pub(crate) fn hear(&self, event: &Event<'_>) {
        self.listener().hear(event);
    }

    /// Lets lines that wait be written.
    pub(crate) fn finish(&self) {
        let enricher = self.listener().enricher.take();
        drop(enricher);
    }

    fn settle(&self, now: Duration) {
        self.listener().settle(now);
    }

    fn take(&self) -> Violations<cgroup::Container> {
        self.listener().violations.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn listener(&self) -> MutexGuard<'_, Listener> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Counts what waited for a name.
    fn settle(&mut self, now: Duration) {
        let Self { counters, roster, unnamed, now: last, .. } = self;
        *last = now;
        let count = |sort: &Sort, name: Option<&Name>, times| counters.add(sort, name, times);
        unnamed.settle(now, |whose| roster.of(whose), count);
    }

    fn hear(&mut self, event: &Event<'_>) {
        let Self { enricher, counters, violations, roster, unnamed, now } = self;
        if let Some(enricher) = enricher {
            enricher.take(event);
        }
        let Event::Record(record, origin, _) = event else { return };
        let Some(container) = origin.container() else { return };
        if let Some(sort) = Sort::of(record) {
            let name = roster.of(container);
            let sort = match name {
                Some(_) => Some(sort),
                None => unnamed.keep(container, sort, *now),
            };
            if let Some(sort) = sort {
                counters.add(&sort, name.as_ref(), 1);
            }
        }
        if let Some(violations) = violations
            && let Some(rule) = Rule::of(record)
        {
            let at = record.stamp().unwrap_or_default().millis;
            violations.take(container, rule, at);
        }
    }
}

impl Enrich {
    /// As the flags say, for a node; none where they ask for nothing.
    pub(crate) fn new(
        flags: EnrichFlags,
        node: &str,
        metrics: &Metrics,
        counts: &Counts,
        ledger: Ledger,
    ) -> anyhow::Result<Option<Self>> {
        let EnrichFlags { enrich, violations, source: _, entries } = flags;
        if !enrich && !violations {
            return Ok(None);
        }
        let roster = Arc::new(Roster::default());
        let start = || entries.start(node, Arc::clone(&roster) as Arc<_>);
        let listener = Listener {
            enricher: enrich.then(start).transpose()?,
            counters: metrics.of_logs(node, counts),
            violations: violations.then(Violations::default),
            roster: Arc::clone(&roster),
            unnamed: Unnamed::default(),
            now: Duration::ZERO,
        };
        let hearing = Hearing(Arc::new(Mutex::new(listener)));
        Ok(Some(Self { hearing, roster, ledger, telling: false }))
    }

    /// Lets time pass.
    pub(crate) fn turn(&mut self, tracker: &Tracker, metrics: &Metrics, now: Moment) -> Turn {
        self.roster.turn(tracker.remembered(), now);
        self.hearing.settle(now.uptime);
        let new = self.hearing.take();
        for (_, container) in new.containers() {
            for (rule, times) in &container.rules {
                metrics.violated(rule.mechanism, times.count);
            }
        }
        let roster = &self.roster;
        let lost = self.ledger.take(new, &|container| roster.who(container), now);
        metrics.violated("unattributed", lost);
        let there = roster.uids();
        self.ledger.retain(&|whose| there.contains(&whose.object.uid));
        let due = if self.telling { Vec::new() } else { self.ledger.due(now) };
        self.telling |= !due.is_empty();
        Turn { ask: self.roster.ask(), due }
    }

    /// The runtime has said names.
    pub(crate) fn named(&self, names: &[recorder::cri::Named]) {
        self.roster.named(names);
    }

    /// Events were written, or not: how often each had been told before this process, where it had.
    pub(crate) fn told(&mut self, told: Vec<(Occurrence, Result<u64, ()>)>, now: Moment) {
        self.telling = false;
        for (occurrence, result) in told {
            self.ledger.told(&occurrence, result, now);
        }
    }
}

/// How records are read.
pub(crate) fn options(flags: &EnrichFlags) -> Options {
    Options { source: flags.source.clone(), ..Options::default() }
}

#[cfg(test)]
mod tests;
