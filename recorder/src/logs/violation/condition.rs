//! What is said of violations, as conditions of an object. Pure.

use serde::Serialize;

use super::{super::entry::rfc3339, Container, LASTING, Rule, Times};

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

impl Container {
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
    use super::{super::Violations, *};

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
        let rule = || Rule { mechanism: "seccomp", what: "1".into() };
        let state = |violations: &Violations<u8>, now| {
            let (_, of) = violations.containers().next().unwrap();
            let condition = of.conditions(1, now).remove(0);
            (condition.status, condition.last_transition_time)
        };
        violations.take(&0, rule(), 1000);
        violations.take(&0, rule(), 2000);
        assert_eq!(state(&violations, 3000), ("True", rfc3339(1000)));
        assert_eq!(state(&violations, 2001 + LASTING), ("False", rfc3339(2000 + LASTING)));
        let again = 5000 + LASTING;
        violations.take(&0, rule(), again);
        assert_eq!(state(&violations, again), ("True", rfc3339(again)));
    }
}
