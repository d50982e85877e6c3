//! The rules for one system call of a merged profile. Pure.

use std::collections::BTreeSet;

use super::{lower, upper};
use crate::algebra::seccomp::{
    condition::{Conditions, conditions},
    rules::{Rules, is_wide},
    verdict::Verdict,
    work::Work,
};

/// When a merged rule applies, and what it says; in the order in which rules are kept.
pub(super) type Alternative = (Verdict, Conditions);

/// What a profile does with a system call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) default: Verdict,
    /// One that always applies, or any number with conditions.
    pub(super) rules: BTreeSet<Alternative>,
}

/// What the merged profile does with it.
#[derive(Debug, Default)]
pub(super) struct Union {
    pub(super) rules: BTreeSet<Alternative>,
    pub(super) is_widened: bool,
}

impl Input {
    fn new(rules: &Rules<'_>, name: &str) -> Self {
        let mut alternatives = BTreeSet::new();
        for source in rules.sources(name) {
            let conditions = conditions(source.args);
            let wins = conditions.is_empty();
            if wins {
                alternatives.clear();
            }
            alternatives.insert((source.verdict, conditions));
            if wins {
                break;
            }
        }
        Self { default: rules.default, rules: alternatives }
    }
}

impl Union {
    pub(super) fn of(inputs: &[Rules<'_>], name: &str, default: Verdict) -> Self {
        let sources = || inputs.iter().flat_map(|rules| rules.sources(name));
        let verdicts: BTreeSet<_> = sources().map(|source| source.verdict).collect();
        if verdicts.len() > 1 && sources().flat_map(|source| source.args).any(is_wide) {
            // On a narrow architecture rules may overlap, or always apply, that do not on a wide one.
            return Self::everything(verdicts.last().copied().max(Some(default)), default);
        }
        let mut distinct: Vec<Input> = Vec::new();
        for rules in inputs {
            let input = Input::new(rules, name);
            if !distinct.contains(&input) {
                distinct.push(input);
            }
        }
        // So that the order of the profiles does not matter.
        distinct.sort_by(|a, b| (a.default, &a.rules).cmp(&(b.default, &b.rules)));
        Self::of_inputs(&distinct, default)
    }

    fn of_inputs(inputs: &[Input], default: Verdict) -> Self {
        let all: BTreeSet<_> = inputs.iter().flat_map(|input| &input.rules).cloned().collect();
        let most = all.last().map(|(verdict, _)| *verdict).max(Some(default));
        let is_wide = all.iter().flat_map(|(_, conditions)| conditions).any(|c| c.is_wide());
        let mut work = Work::new();
        let upper = upper::rules(&all, default, &mut work);
        let lower = lower::rules(inputs, default, is_wide, &mut work);
        match (upper, lower) {
            (Ok(mut union), Ok(lower)) => {
                union.is_widened |= lower.is_widened;
                union.rules.extend(lower.rules);
                union
            }
            _ => Self::everything(most, default),
        }
    }

    /// The same for every call.
    pub(super) fn everything(verdict: Option<Verdict>, default: Verdict) -> Self {
        let rule = verdict.filter(|&verdict| verdict != default);
        Self {
            rules: rule.into_iter().map(|verdict| (verdict, Conditions::new())).collect(),
            is_widened: true,
        }
    }
}
