//! Which Events tell of violations, and when: one for each container of a workload and rule, at once when it is new, and
//! then ever more seldom for as long as it goes on. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use recorder::{
    cgroup,
    logs::violation::{Rule, Times, Violations},
};

use crate::{
    roster::Who,
    tracker::{Moment, Object},
};

/// The most pods that are counted for one Event.
const PODS: usize = 1024;

/// The most rules of one container that have an Event of their own; one more tells of all others.
const RULES: usize = 16;

/// The most Events that are written in one pace.
const WRITES: usize = 10;

/// The longest wait before an Event tells that it went on. Event objects are kept for an hour.
const LONGEST: Duration = Duration::from_mins(10);

/// After so many milliseconds without a name, it is not known whose violations they were.
const PATIENCE: i64 = 60_000;

/// All other rules of a container.
const OTHERS: &str = "others";

/// Whose violations are one: those of a container of all pods that one object has made, or of a pod that nothing has made.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Whose {
    pub(crate) namespace: String,
    pub(crate) object: Object,
    pub(crate) container: String,
}

/// An Event to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occurrence {
    pub(crate) whose: Whose,
    /// Of how many pods, as far as this process has seen, and the name of one of them.
    pub(crate) pods: usize,
    pub(crate) pod: String,
    pub(crate) rule: Rule,
    pub(crate) times: Times,
    /// How often it had happened before this process counted; none before it was ever written by this one.
    pub(crate) before: Option<u64>,
}

/// Violations of a node, and what was told of them.
#[derive(Debug)]
pub(crate) struct Ledger {
    pace: Duration,
    /// Of containers whose names are not known yet.
    nameless: Violations<cgroup::Container>,
    named: Violations<Whose>,
    /// Names of the pods that have violated a rule.
    pods: BTreeMap<Whose, BTreeMap<Rule, BTreeSet<String>>>,
    told: BTreeMap<Whose, BTreeMap<Rule, Told>>,
    /// Since when, and how many Events were handed out since.
    window: (Duration, usize),
}

/// What was told of a rule.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    before: Option<u64>,
    count: u64,
    next: Duration,
    wait: Duration,
}

impl Whose {
    fn of(who: &Who) -> Self {
        let pod = || Object {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: who.pod.clone(),
            uid: who.uid.clone(),
        };
        Self {
            namespace: who.namespace.clone(),
            object: who.owner.clone().unwrap_or_else(pod),
            container: who.container.clone(),
        }
    }
}

impl Occurrence {
    /// How often it happened, as far as is known.
    pub(crate) fn count(&self) -> u64 {
        self.before.unwrap_or_default().saturating_add(self.times.count)
    }
}

impl Ledger {
    pub(crate) fn new(pace: Duration) -> Self {
        Self {
            pace,
            nameless: Violations::default(),
            named: Violations::default(),
            pods: BTreeMap::new(),
            told: BTreeMap::new(),
            window: (Duration::ZERO, 0),
        }
    }

    /// Takes in new violations. How many there were of containers whose names nobody tells any more.
    pub(crate) fn take(
        &mut self,
        new: Violations<cgroup::Container>,
        who: &dyn Fn(&cgroup::Container) -> Option<Who>,
        now: Moment,
    ) -> u64 {
        self.nameless.take_over(new, &|container| Some(container.clone()));
        let nameless = std::mem::take(&mut self.nameless);
        let mut names = BTreeMap::new();
        for (container, of) in nameless.containers() {
            let Some(who) = who(container) else { continue };
            let whose = Whose::of(&who);
            let rules = self.pods.entry(whose.clone()).or_default();
            for rule in of.rules.keys() {
                let pods = rules.entry(rule.clone()).or_default();
                if pods.len() < PODS {
                    pods.insert(who.pod.clone());
                }
            }
            names.insert(container.clone(), whose);
        }
        self.nameless = self.named.take_over(nameless, &|container| names.get(container).cloned());
        // Of what has no place there, none is kept here either.
        let kept: BTreeSet<_> = self.named.containers().map(|(whose, _)| whose).collect();
        self.pods.retain(|whose, _| kept.contains(whose));
        let earliest = u64::try_from(now.wall.as_millisecond() - PATIENCE).unwrap_or_default();
        let hopeless: Vec<_> = self
            .nameless
            .containers()
            .filter(|(_, of)| of.rules.values().all(|times| times.last < earliest))
            .map(|(container, _)| container.clone())
            .collect();
        let lost = hopeless.iter().filter_map(|container| self.nameless.forget(container));
        lost.map(|of| of.count()).sum()
    }

    /// Forgets containers that are gone.
    pub(crate) fn retain(&mut self, is_there: &dyn Fn(&Whose) -> bool) {
        let gone = self.named.containers().map(|(whose, _)| whose);
        let gone = gone.filter(|whose| !is_there(whose));
        for whose in gone.cloned().collect::<Vec<_>>() {
            self.named.forget(&whose);
            self.pods.remove(&whose);
            self.told.remove(&whose);
        }
    }

    /// Events to be written now; each is one until it was [told](Self::told).
    pub(crate) fn due(&mut self, now: Moment) -> Vec<Occurrence> {
        let mut due = Vec::new();
        for (whose, of) in self.named.containers() {
            if !self.told.contains_key(whose) {
                self.told.insert(whose.clone(), BTreeMap::new());
            }
            let Some(told) = self.told.get_mut(whose) else { continue };
            let (mut others, mut other_pods) = (None, BTreeSet::new());
            for (rule, times) in &of.rules {
                let pods = self.pods.get(whose).and_then(|rules| rules.get(rule));
                let pods = pods.into_iter().flatten();
                if told.contains_key(rule) || told.len() < RULES {
                    ask(told, whose, rule, (*times, &pods.collect()), now, &mut due);
                } else {
                    others = Some(both(others, *times));
                    other_pods.extend(pods);
                }
            }
            if let Some(mut times) = others {
                times.count += of.beyond;
                let rule = Rule { mechanism: OTHERS, what: String::new() };
                ask(told, whose, &rule, (times, &other_pods), now, &mut due);
            }
        }
        // What nobody has heard of comes first, and then what was told longest ago.
        due.sort_by_key(|(next, _)| *next);
        if now.since(self.window.0) >= self.pace {
            self.window = (now.uptime, 0);
        }
        due.truncate(WRITES.saturating_sub(self.window.1));
        self.window.1 += due.len();
        due.into_iter().map(|(_, occurrence)| occurrence).collect()
    }

    /// An Event was written, or not: how often it had happened before this process counted.
    pub(crate) fn told(&mut self, occurrence: &Occurrence, result: Result<u64, ()>, now: Moment) {
        let of = self.told.get_mut(&occurrence.whose);
        let Some(told) = of.and_then(|rules| rules.get_mut(&occurrence.rule)) else { return };
        if let Ok(before) = result {
            (told.before, told.count) = (Some(before), occurrence.times.count);
        }
        told.wait = (told.wait * 2).clamp(self.pace, LONGEST.max(self.pace));
        told.next = now.uptime + told.wait;
    }
}

fn ask(
    told: &mut BTreeMap<Rule, Told>,
    whose: &Whose,
    rule: &Rule,
    (times, pods): (Times, &BTreeSet<&String>),
    now: Moment,
    due: &mut Vec<(Duration, Occurrence)>,
) {
    if !told.contains_key(rule) {
        told.insert(rule.clone(), Told::default());
    }
    let Some(told) = told.get_mut(rule) else { return };
    if times.count <= told.count || now.uptime < told.next {
        return;
    }
    // It had stopped, and begins again.
    if now.since(told.next) > LONGEST {
        told.wait = Duration::ZERO;
    }
    let occurrence = Occurrence {
        whose: whose.clone(),
        pods: pods.len(),
        pod: pods.first().map(|pod| (*pod).clone()).unwrap_or_default(),
        rule: rule.clone(),
        times,
        before: told.before,
    };
    due.push((told.next, occurrence));
}

fn both(one: Option<Times>, other: Times) -> Times {
    one.map_or(other, |one| Times {
        count: one.count + other.count,
        first: one.first.min(other.first),
        last: one.last.max(other.last),
        since: one.since.min(other.since),
    })
}

#[cfg(test)]
mod tests;
