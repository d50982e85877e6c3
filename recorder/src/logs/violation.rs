//! What containers did against their profiles: one condition for each container and rule, however often it happened. Pure.

use std::collections::BTreeMap;

pub use condition::Condition;
pub use rule::{Rule, digest};

mod condition;
mod rule;

/// The most rules of one container, and the most containers, of which something is kept.
const RULES: usize = 64;
const CONTAINERS: usize = 1024;

/// For so long after the last time a violation goes on: milliseconds.
const LASTING: u64 = 10 * 60 * 1000;

/// How often, and when: milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub count: u64,
    pub first: u64,
    pub last: u64,
    /// When it began after it had last ended.
    pub since: u64,
}

/// All violations of a node, by container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations<K> {
    containers: BTreeMap<K, Container>,
    /// Violations of containers for which there was no place.
    beyond: u64,
}

/// The violations of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    pub rules: BTreeMap<Rule, Times>,
    /// Violations of rules for which there was no place.
    pub beyond: u64,
}

impl<K: Ord> Default for Violations<K> {
    fn default() -> Self {
        Self { containers: BTreeMap::new(), beyond: 0 }
    }
}

impl<K: Ord + Clone> Violations<K> {
    /// Takes in that a container violated a rule at a time. True when it is one that is not known yet.
    pub fn take(&mut self, container: &K, rule: Rule, at: u64) -> bool {
        if !self.containers.contains_key(container) {
            if self.containers.len() >= CONTAINERS {
                self.beyond += 1;
                return false;
            }
            self.containers.insert(container.clone(), Container::default());
        }
        let Some(of) = self.containers.get_mut(container) else { return false };
        if let Some(times) = of.rules.get_mut(&rule) {
            times.take(at);
            return false;
        }
        if of.rules.len() >= RULES {
            of.beyond += 1;
            return false;
        }
        of.rules.insert(rule, Times { count: 1, first: at, last: at, since: at });
        true
    }

    /// Takes over the violations of those that have a name here; gives back the others.
    pub fn take_over<C: Ord + Clone>(
        &mut self,
        others: Violations<C>,
        name: &dyn Fn(&C) -> Option<K>,
    ) -> Violations<C> {
        self.beyond += others.beyond;
        let mut nameless = Violations::default();
        for (container, of) in others.containers {
            match name(&container) {
                Some(name) => self.absorb(name, of),
                None => drop(nameless.containers.insert(container, of)),
            }
        }
        nameless
    }

    fn absorb(&mut self, container: K, of: Container) {
        if self.containers.len() >= CONTAINERS && !self.containers.contains_key(&container) {
            self.beyond += of.count();
            return;
        }
        let there = self.containers.entry(container).or_default();
        there.beyond += of.beyond;
        for (rule, times) in of.rules {
            if let Some(before) = there.rules.get_mut(&rule) {
                before.absorb(times);
            } else if there.rules.len() >= RULES {
                there.beyond += times.count;
            } else {
                there.rules.insert(rule, times);
            }
        }
    }

    /// Forgets a container that is gone.
    pub fn forget(&mut self, container: &K) -> Option<Container> {
        self.containers.remove(container)
    }

    /// All containers that have violated something.
    pub fn containers(&self) -> impl Iterator<Item = (&K, &Container)> {
        self.containers.iter()
    }

    /// Violations of containers for which there was no place.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}

impl Times {
    fn take(&mut self, at: u64) {
        self.count += 1;
        if at > self.last.saturating_add(LASTING) {
            self.since = at;
        }
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }

    fn absorb(&mut self, later: Self) {
        if later.since > self.last.saturating_add(LASTING) {
            self.since = later.since;
        }
        self.count += later.count;
        self.first = self.first.min(later.first);
        self.last = self.last.max(later.last);
    }
}

impl Container {
    /// All violations.
    pub fn count(&self) -> u64 {
        self.beyond + self.rules.values().map(|times| times.count).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(call: usize) -> Rule {
        Rule { mechanism: "seccomp", what: call.to_string() }
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_rest_is_counted() {
        let mut violations = Violations::default();
        for call in 0..RULES + 7 {
            violations.take(&0, denied(call), 5);
        }
        for container in 1..CONTAINERS + 3 {
            violations.take(&container, denied(1), 5);
        }
        assert_eq!(violations.containers().count(), CONTAINERS);
        assert_eq!(violations.beyond(), 3);
        let of = violations.forget(&0).unwrap();
        assert_eq!((of.rules.len(), of.beyond), (RULES, 7));
        let conditions = of.conditions(10, 6);
        assert_eq!(conditions.len(), 11);
        assert_eq!(
            conditions[10].message,
            format!("{} more violations of other rules", RULES - 10 + 7)
        );
    }

    #[test]
    fn what_gets_a_name_goes_on_under_it_and_the_rest_waits() {
        let (mut named, mut new) = (Violations::default(), Violations::default());
        for (id, call, at) in [(1, 7, 10), (2, 7, 20), (2, 8, 30), (3, 9, 40)] {
            new.take(&id, denied(call), at);
        }
        // Two lives of one container; nobody knows the third.
        let name = |id: &i32| (*id < 3).then_some("web");
        let rest = named.take_over(new, &name);
        assert_eq!(
            rest.containers().map(|(id, of)| (*id, of.count())).collect::<Vec<_>>(),
            [(3, 1)]
        );
        let rest = named.take_over(rest, &|_| Some("web"));
        assert_eq!(rest, Violations::default());
        let (_, web) = named.containers().next().unwrap();
        assert_eq!(web.count(), 4);
        assert_eq!(web.rules[&denied(7)], Times { count: 2, first: 10, last: 20, since: 10 });
        for call in 0..2 * RULES {
            new_rules(&mut named, call);
        }
        let (_, web) = named.containers().next().unwrap();
        assert_eq!((web.rules.len(), web.count()), (RULES, 4 + 2 * RULES as u64));
    }

    fn new_rules(named: &mut Violations<&'static str>, call: usize) {
        let mut new = Violations::default();
        new.take(&0, denied(1000 + call), 50);
        named.take_over(new, &|_| Some("web"));
    }
}
