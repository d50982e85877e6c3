//! A profile as a filter is made of it: by system call, what is skipped left out, what wins in front. Pure.

use std::collections::BTreeMap;

use super::{
    call::Abi,
    condition::conditions,
    region::Tests,
    verdict::Verdict,
    word::{Test, Width},
    work::Unresolved,
};
use crate::kinds::seccomp::{Arch, Arg, SeccompProfileSpec, Syscall};

/// A profile, by system call.
#[derive(Debug)]
pub(crate) struct Rules<'s> {
    pub(crate) default: Verdict,
    archs: &'s [Arch],
    by_name: BTreeMap<&'s str, Vec<Source<'s>>>,
}

/// One alternative of a rule, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source<'s> {
    pub(crate) args: &'s [Arg],
    pub(crate) verdict: Verdict,
}

/// One alternative for a system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule<'s> {
    /// When it applies: always, without any.
    pub(crate) tests: Tests,
    pub(crate) verdict: Verdict,
    pub(crate) source: Source<'s>,
}

impl<'s> Rules<'s> {
    pub(crate) fn new(spec: &'s SeccompProfileSpec) -> Result<Self, Unresolved> {
        Unresolved::check(spec)?;
        let default = Verdict::new(spec.default_action, None);
        let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for rule in &spec.syscalls {
            let verdict = Verdict::new(rule.action, rule.errno_ret);
            for name in &rule.names {
                // A name whose rules are all passed over is one that the profile names, nevertheless.
                let sources = by_name.entry(name.as_str()).or_default();
                if verdict != default {
                    sources.extend(alternatives(rule).map(|args| Source { args, verdict }));
                }
            }
        }
        Ok(Self { default, archs: &spec.architectures, by_name })
    }

    /// The system calls that it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'s str> {
        self.by_name.keys().copied()
    }

    /// The rules for a system call as they are written, without those that are passed over.
    pub(crate) fn sources(&self, name: &str) -> &[Source<'s>] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The rules for a system call: one that always applies, or any number with conditions.
    pub(crate) fn of(&self, name: &str, width: Width) -> Vec<Rule<'s>> {
        let mut rules: Vec<_> = self.sources(name).iter().map(|s| s.at(width)).collect();
        if let Some(wins) = rules.iter().position(|rule| rule.tests.is_empty()) {
            rules = vec![rules.swap_remove(wins)];
        }
        rules
    }

    /// The rules with conditions that a filter is made of before one that always applies takes their place.
    pub(crate) fn conditional(&self, name: &str, width: Width) -> Vec<Rule<'s>> {
        let rules = self.sources(name).iter().map(|source| source.at(width));
        rules.take_while(|rule| !rule.tests.is_empty()).collect()
    }

    /// Whether calls for an architecture are served by the rules.
    pub(crate) fn serves(&self, abi: Abi) -> bool {
        match abi {
            Abi::Own | Abi::OwnNarrow => true,
            Abi::Other(arch) => Abi::foreign(arch).is_none() || self.archs.contains(&arch),
        }
    }

    /// The architectures for which calls can be made and are served, besides the node's own.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = Abi> {
        self.archs.iter().copied().filter_map(Abi::foreign)
    }

    /// Whether a value is so great that a narrow architecture sees another one.
    pub(crate) fn has_wide_values(&self) -> bool {
        self.by_name.values().flatten().flat_map(|source| source.args).any(is_wide)
    }
}

impl<'s> Source<'s> {
    fn at(self, width: Width) -> Rule<'s> {
        // libseccomp makes no comparison under an empty mask.
        let counts = |test: &Test| !matches!(test, Test::Bits { mask: 0, .. });
        let mut tests: Tests = self
            .args
            .iter()
            .map(|arg| (arg.index, Test::new(arg, width)))
            .filter(|(_, test)| counts(test))
            .collect();
        tests.sort_unstable();
        Rule { tests, verdict: self.verdict, source: self }
    }
}

/// Whether a condition, or its contrary, is another one for words of 32 bits.
pub(crate) fn is_wide(arg: &Arg) -> bool {
    conditions(std::slice::from_ref(arg)).iter().any(|condition| condition.is_wide())
}

/// The conditions of a rule, or each by itself where two are on the same argument.
fn alternatives(rule: &Syscall) -> impl Iterator<Item = &[Arg]> {
    let mut seen = [false; 256];
    let twice =
        rule.args.iter().any(|arg| std::mem::replace(&mut seen[usize::from(arg.index)], true));
    rule.args.chunks(if twice { 1 } else { rule.args.len().max(1) }).chain(
        // No chunk of no conditions: a rule that always applies.
        rule.args.is_empty().then_some(rule.args.as_slice()),
    )
}
