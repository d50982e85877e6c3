//! What can be reached beside what a profile allows. Pure.

use std::collections::BTreeSet;

use profile::kinds::{SeccompProfileSpec, seccomp::Action};
use serde::Serialize;

use super::{Report, by_the_kernel};
use crate::base::Base;

/// How they differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What can be reached, and the profile does not allow: never seen, where it was recorded.
    pub unseen: Vec<String>,
    /// What the profile allows, and cannot be reached: too wide, or by code that was not found.
    pub unreachable: Vec<String>,
    /// Of these, what container runtimes need themselves.
    pub for_runtimes: Vec<String>,
}

/// Compares by name, whatever the architecture. A rule that looks at arguments counts as one that allows.
pub fn compare(report: &Report, profile: &SeccompProfileSpec) -> Comparison {
    let allows = |action: Action| matches!(action, Action::Allow | Action::Log);
    let rules = profile.syscalls.iter().filter(|rule| allows(rule.action));
    let allowed: BTreeSet<&str> = rules.flat_map(|rule| &rule.names).map(String::as_str).collect();
    let reachable: BTreeSet<&str> = report.calls.iter().map(|call| call.name).collect();
    let runtimes: BTreeSet<String> = [Base::Runc, Base::Crun]
        .into_iter()
        .flat_map(Base::rules)
        .flat_map(|rule| rule.names)
        .collect();
    let owned = |names: Vec<&&str>| names.into_iter().map(|name| (*name).to_owned()).collect();
    let beyond = allowed.difference(&reachable);
    let (for_runtimes, unreachable) = beyond.partition(|name| runtimes.contains(**name));
    let by_code = report.calls.iter().filter(|call| !by_the_kernel(call.arch).contains(&call.name));
    let by_code: BTreeSet<&str> = by_code.map(|call| call.name).collect();
    Comparison {
        unseen: owned(by_code.difference(&allowed).collect()),
        unreachable: owned(unreachable),
        for_runtimes: owned(for_runtimes),
    }
}
