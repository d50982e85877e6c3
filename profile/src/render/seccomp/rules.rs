//! The rules of a profile and of those that it builds on, by system call. Pure.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{Condition, Rule, SeccompError, opposite};
use crate::kinds::{
    SeccompProfileSpec,
    seccomp::{Action, Arg, Operator, Syscall},
};

/// The conditions of a rule, sorted; none for all calls.
type Conditions = Vec<Condition>;

/// What happens to each system call under which conditions.
#[derive(Debug, Default)]
pub(super) struct Rules(BTreeMap<String, BTreeMap<Conditions, Effect>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Effect {
    action: Action,
    errno: Option<u32>,
}

impl Rules {
    /// The rules of one profile.
    pub(super) fn own(spec: &SeccompProfileSpec) -> Result<Self, SeccompError> {
        let mut all = Self::default();
        for rule in &spec.syscalls {
            let effect = Effect::of(rule);
            let conditions = conditions(&rule.args);
            for name in &rule.names {
                match all.0.entry(name.clone()).or_default().entry(conditions.clone()) {
                    Entry::Vacant(vacant) => drop(vacant.insert(effect)),
                    Entry::Occupied(mut there) if there.get().same_as(effect) => {
                        // Whichever was written first.
                        let least = effect.min(*there.get());
                        there.insert(least);
                    }
                    Entry::Occupied(there) => {
                        return Err(SeccompError::Contradiction {
                            call: name.clone(),
                            one: there.get().action,
                            other: effect.action,
                        });
                    }
                }
            }
        }
        Ok(all)
    }

    /// Adds the rules of a profile below, where those above say nothing about the same arguments.
    pub(super) fn add_base(&mut self, spec: &SeccompProfileSpec) -> Result<(), SeccompError> {
        for (name, below) in Self::own(spec)?.0 {
            let above = self.0.entry(name).or_default();
            if !above.contains_key([].as_slice()) {
                for (conditions, effect) in below {
                    above.entry(conditions).or_insert(effect);
                }
            }
        }
        Ok(())
    }

    /// The rules as a filter has them: each effect once, with all of its system calls.
    pub(super) fn group(self) -> Result<Vec<Rule>, SeccompError> {
        let mut groups: BTreeMap<(Effect, Conditions), Vec<String>> = BTreeMap::new();
        for (name, rules) in self.0 {
            for (conditions, effect) in settle(&name, rules)? {
                groups.entry((effect, conditions)).or_default().push(name.clone());
            }
        }
        let rule = |((effect, args), names): ((Effect, _), _)| Rule {
            names,
            action: effect.action,
            errno_ret: effect.errno,
            args,
        };
        Ok(groups.into_iter().map(rule).collect())
    }
}

/// Makes the rules of one system call mean what they say.
///
/// A rule without conditions makes libseccomp forget all others for the same call, whatever they do. So it is given to
/// the arguments alone that no other rule is about, or, where there is no such rule, refused.
fn settle(
    call: &str,
    mut rules: BTreeMap<Conditions, Effect>,
) -> Result<BTreeMap<Conditions, Effect>, SeccompError> {
    let Some(unconditional) = rules.remove([].as_slice()) else { return Ok(rules) };
    rules.retain(|_, effect| !effect.same_as(unconditional));
    let rest = match rules.first_key_value() {
        None => Some(Vec::new()),
        Some((conditions, _)) if rules.len() == 1 => complement(conditions).map(|one| vec![one]),
        Some(_) => None,
    };
    match (rest, rules.first_key_value()) {
        (Some(conditions), _) => {
            rules.insert(conditions, unconditional);
            Ok(rules)
        }
        (None, conditional) => Err(SeccompError::Swallowed {
            call: call.to_owned(),
            conditional: conditional.map_or(unconditional.action, |(_, effect)| effect.action),
            unconditional: unconditional.action,
        }),
    }
}

/// The condition that holds exactly where the given ones do not, if there is one.
fn complement(conditions: &[Condition]) -> Option<Condition> {
    let [only] = conditions else { return None };
    Some(Condition { op: opposite(only.op)?, ..*only })
}

impl Effect {
    fn of(rule: &Syscall) -> Self {
        // With another action it has no meaning, and crun refuses it.
        let meant = matches!(rule.action, Action::Errno | Action::Trace);
        Self { action: rule.action, errno: rule.errno_ret.filter(|_| meant) }
    }

    fn same_as(self, other: Self) -> bool {
        let plain = |effect: Self| {
            let action = match effect.action {
                Action::Kill => Action::KillThread,
                action => action,
            };
            // EPERM is what runtimes give where nothing is said.
            (action, effect.errno.unwrap_or(1))
        };
        plain(self) == plain(other)
    }
}

fn conditions(args: &[Arg]) -> Conditions {
    let value = |value: Option<crate::kinds::seccomp::ArgValue>| value.unwrap_or_default().0;
    let condition = |arg: &Arg| Condition {
        index: arg.index,
        value: value(arg.value),
        value_two: if arg.op == Operator::MaskedEqual { value(arg.value_two) } else { 0 },
        op: arg.op,
    };
    let mut all: Vec<_> = args.iter().map(condition).collect();
    all.sort_unstable();
    all
}
