//! The union of profiles: what any of them lets through, the merged one lets through. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    condition::{Conditions, args},
    rules::Rules,
    verdict::Verdict,
    work::Unresolved,
};
use crate::kinds::{
    ProfileState,
    seccomp::{SeccompProfileSpec, Syscall},
};
use union::Union;

mod lower;
mod union;
mod upper;

/// How many names one rule may have.
const NAMES: usize = 1024;

/// A merged profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The profile, its rules in one order and spelling.
    pub spec: SeccompProfileSpec,
    /// The system calls of which the merged profile lets more through than any of the profiles, by name: rules cannot
    /// say where one condition ends and another begins.
    pub widened: Vec<String>,
}

/// Says why there is no merged profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMerged {
    /// There is nothing to merge.
    #[error("no profiles to merge")]
    Nothing,
    /// One of the profiles is not complete.
    #[error("cannot merge an incomplete profile")]
    Unresolved(#[from] Unresolved),
}

/// Unites profiles.
///
/// What happens to a call is the most that happens to it under one of them: [`Verdict`] is ordered. Rules with different
/// conditions stay apart, those with equal ones and the same action become one with sorted names, and one that another
/// covers is left out. Order and repetition of the profiles do not matter.
///
/// It is broader than the profiles together in three cases only: for system calls in [`Merged::widened`]; where one
/// profile serves an architecture that another does not; and where default actions differ, for system calls that only
/// the stricter one's libseccomp knows. Architectures and flags are united; of different listeners the first in
/// alphabetical order is taken.
pub fn merge<'s>(
    specs: impl IntoIterator<Item = &'s SeccompProfileSpec>,
) -> Result<Merged, NotMerged> {
    let specs: Vec<_> = specs.into_iter().collect();
    let inputs = specs.iter().map(|spec| Rules::new(spec)).collect::<Result<Vec<_>, _>>()?;
    let strictest = inputs.iter().max_by_key(|rules| rules.default);
    let default = strictest.ok_or(NotMerged::Nothing)?.default;

    let mut rules: BTreeMap<(Verdict, Conditions), Vec<&str>> = BTreeMap::new();
    let mut widened = Vec::new();
    let names: BTreeSet<_> = inputs.iter().flat_map(Rules::names).collect();
    for name in names {
        let union = Union::of(&inputs, name, default);
        if union.is_widened {
            widened.push(name.to_owned());
        }
        for rule in union.rules {
            rules.entry(rule).or_default().push(name);
        }
    }
    Ok(Merged { spec: with_rules(&specs, default, &rules), widened })
}

fn with_rules(
    specs: &[&SeccompProfileSpec],
    default: Verdict,
    rules: &BTreeMap<(Verdict, Conditions), Vec<&str>>,
) -> SeccompProfileSpec {
    let enabled = specs.iter().any(|spec| spec.effective_state() == ProfileState::Enabled);
    // What lets most through comes first.
    let syscalls = rules.iter().rev().flat_map(|((verdict, conditions), names)| {
        names.chunks(NAMES).map(move |names| Syscall {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            action: verdict.action(),
            errno_ret: verdict.errno_ret(),
            args: args(conditions),
        })
    });
    SeccompProfileSpec {
        state: if enabled { ProfileState::Enabled } else { ProfileState::Disabled },
        disabled: None,
        default_action: default.action(),
        base_profile_name: None,
        architectures: union_of(specs.iter().flat_map(|spec| &spec.architectures)),
        flags: union_of(specs.iter().flat_map(|spec| &spec.flags)),
        listener_path: specs.iter().filter_map(|spec| spec.listener_path.clone()).min(),
        listener_metadata: specs.iter().filter_map(|spec| spec.listener_metadata.clone()).min(),
        syscalls: syscalls.collect(),
    }
}

fn union_of<'s, T: Ord + Copy + 's>(values: impl Iterator<Item = &'s T>) -> Vec<T> {
    let values: BTreeSet<_> = values.copied().collect();
    values.into_iter().collect()
}
