//! What containers did against their profiles: one condition for each container and rule, however often it happened. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::entry::rfc3339;
use crate::audit::{Record, Verdict};

/// The most rules of one container, and the most containers, of which something is kept.
const RULES: usize = 64;
const CONTAINERS: usize = 1024;

/// The longest part of a rule that is taken over: a path may have thousands of letters.
const LONGEST: usize = 256;

/// For so long after the last time a violation goes on: milliseconds.
const LASTING: u64 = 10 * 60 * 1000;

/// What was violated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// seccomp, apparmor or selinux.
    pub mechanism: &'static str,
    /// In the words of the mechanism: `mount`, `open r /etc/shadow`, `read file shadow_t`.
    pub what: String,
}

/// How often, and when: milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub count: u64,
    pub first: u64,
    pub last: u64,
    /// When it began after it had last ended.
    pub since: u64,
}

/// In the form of Kubernetes' conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    /// True while it goes on.
    pub status: &'static str,
    pub reason: &'static str,
    pub message: String,
    pub last_transition_time: String,
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

impl Rule {
    /// The rule that a record violates; none where nothing was denied.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let (mechanism, words) = match record {
            Record::Seccomp(record) => {
                let name = record.syscall.map_or_else(|| record.number.to_string(), str::to_owned);
                ("seccomp", record.action.denies().then(|| vec![name])?)
            }
            Record::AppArmor(record) if record.verdict == Verdict::Denied => {
                let fields = [&record.requested, &record.capability, &record.family, &record.name];
                let operation = std::iter::once(record.operation.to_string());
                let fields = fields.into_iter().flatten().map(ToString::to_string);
                ("apparmor", operation.chain(fields).collect())
            }
            Record::Selinux(record) if record.verdict == Verdict::Denied => {
                let permissions = record.permissions.join(",");
                let target = if record.is_self() { "self" } else { record.ttype() };
                ("selinux", vec![permissions, record.tclass.to_owned(), target.to_owned()])
            }
            _ => return None,
        };
        let what: String = words.join(" ").chars().take(LONGEST).collect();
        Some(Self { mechanism, what })
    }

    /// The type of its condition: letters and digits, as Kubernetes wants it, and another one for each rule.
    fn kind(&self) -> String {
        let readable = self.what.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        let mut readable: String = readable.take(40).collect();
        while readable.contains("--") {
            readable = readable.replace("--", "-");
        }
        let hash = digest(&[&self.what]);
        let (mechanism, readable) = (self.mechanism, readable.trim_matches('-'));
        format!("{mechanism}-{readable}-{:08x}", hash >> 32)
    }
}

/// A number for texts that is the same in every version of this program: FNV-1a, with an end after each but the last.
pub fn digest(texts: &[&str]) -> u64 {
    let bytes = texts.iter().enumerate().flat_map(|(place, text)| {
        let end = (place > 0).then_some(0xff);
        end.into_iter().chain(text.bytes())
    });
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
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

    /// The conditions as they are now, those of the most frequent violations first, and the one that says what is left out.
    pub fn conditions(&self, most: usize, now: u64) -> Vec<Condition> {
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by_key(|(rule, times)| (std::cmp::Reverse(times.count), *rule));
        let shown = rules.len().min(most);
        let mut conditions: Vec<_> =
            rules[..shown].iter().map(|(rule, times)| condition(rule, times, now)).collect();
        let left: u64 = rules[shown..].iter().map(|(_, times)| times.count).sum();
        if left + self.beyond > 0 {
            let last = rules[shown..].iter().map(|(_, times)| times.last).max();
            conditions.push(Condition {
                kind: "more".to_owned(),
                status: "True",
                reason: "MoreViolations",
                message: format!("{} more violations of other rules", left + self.beyond),
                last_transition_time: rfc3339(last.unwrap_or(now)),
            });
        }
        conditions
    }
}

fn condition(rule: &Rule, times: &Times, now: u64) -> Condition {
    let Times { count, first, last, since } = *times;
    let lasts = now <= last.saturating_add(LASTING);
    Condition {
        kind: rule.kind(),
        status: if lasts { "True" } else { "False" },
        reason: match rule.mechanism {
            "seccomp" => "SyscallDenied",
            "apparmor" => "AccessDenied",
            _ => "PermissionDenied",
        },
        message: format!(
            "{} denied {count} times, first {}, last {}",
            rule.what,
            rfc3339(first),
            rfc3339(last)
        ),
        last_transition_time: rfc3339(if lasts { since } else { last.saturating_add(LASTING) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    fn rule(line: &str) -> Option<Rule> {
        Rule::of(&parse(line).unwrap())
    }

    fn denied(call: usize) -> Rule {
        Rule { mechanism: "seccomp", what: call.to_string() }
    }

    #[test]
    fn only_what_was_denied_violates_a_rule() {
        let call = "1326 audit(1.1:1): pid=1 arch=c000003e syscall=165 code=";
        let what = |line: &str| rule(line).map(|rule| (rule.mechanism, rule.what));
        assert_eq!(what(&format!("{call}0x50001")), Some(("seccomp", "mount".into())));
        assert_eq!(what(&format!("{call}0x7ffc0000")), None, "it was let through");
        let access = |verdict: &str| {
            format!(
                r#"1400 audit(1.1:1): apparmor="{verdict}" operation="open" profile="p" name="/etc/shadow" requested_mask="r""#
            )
        };
        assert_eq!(what(&access("DENIED")), Some(("apparmor", "open r /etc/shadow".into())));
        assert_eq!(what(&access("ALLOWED")), None);
        let avc = |permissive: u8| {
            format!(
                "1400 audit(1.1:1): avc:  denied  {{ read open }} for  pid=1 scontext=u:r:a_t:s0:c1,c2 \
                 tcontext=u:r:shadow_t:s0 tclass=file permissive={permissive}"
            )
        };
        assert_eq!(what(&avc(0)), Some(("selinux", "read,open file shadow_t".into())));
        assert_eq!(what(&avc(1)), None);
    }

    #[test]
    fn a_thousand_times_is_one_condition() {
        let mut violations = Violations::default();
        let mut new = 0;
        for n in 0..1000 {
            new += u32::from(violations.take(
                &"web",
                Rule { mechanism: "seccomp", what: "mount".into() },
                n,
            ));
        }
        assert_eq!(new, 1);
        let (_, of) = violations.containers().next().unwrap();
        let conditions = of.conditions(10, 1000);
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0].reason, "SyscallDenied");
        assert!(conditions[0].kind.starts_with("seccomp-mount-"), "{}", conditions[0].kind);
        assert_eq!(
            conditions[0].message,
            "mount denied 1000 times, first 1970-01-01T00:00:00.000Z, last 1970-01-01T00:00:00.999Z"
        );
    }

    #[test]
    fn a_condition_changes_when_it_ends_and_when_it_begins_again() {
        let mut violations = Violations::default();
        let state = |violations: &Violations<u8>, now| {
            let (_, of) = violations.containers().next().unwrap();
            let condition = of.conditions(1, now).remove(0);
            (condition.status, condition.last_transition_time)
        };
        violations.take(&0, denied(1), 1000);
        violations.take(&0, denied(1), 2000);
        assert_eq!(state(&violations, 3000), ("True", rfc3339(1000)));
        assert_eq!(state(&violations, 2001 + LASTING), ("False", rfc3339(2000 + LASTING)));
        let again = 5000 + LASTING;
        violations.take(&0, denied(1), again);
        assert_eq!(state(&violations, again), ("True", rfc3339(again)));
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

    #[test]
    fn every_condition_has_a_type_of_its_own_that_kubernetes_takes() {
        let rules = ["/a/b", "/a-b", "/a//b", "ä", "", &"x".repeat(1000)];
        let kinds: std::collections::BTreeSet<_> = rules
            .iter()
            .map(|what| Rule { mechanism: "apparmor", what: (*what).to_owned() }.kind())
            .collect();
        assert_eq!(kinds.len(), rules.len());
        for kind in kinds {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
            assert!(kind.len() <= 63 && kind.chars().all(good), "{kind}");
        }
    }
}
