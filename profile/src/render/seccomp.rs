//! A `SeccompProfile` as the JSON that container runtimes read. Pure.

use std::sync::Arc;

pub use filter::{Condition, Filter, Rule};

use super::Problems;
use crate::kinds::{
    SeccompProfile, SeccompProfileSpec, Validate as _,
    seccomp::{Action, Flag, Operator},
};
use rules::Rules;

mod filter;
mod rules;

/// How many profiles can stand below one.
const DEEPEST: usize = 15;

/// Why a profile cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeccompError {
    #[error("the seccomp profile {name} is not valid: {problems}")]
    Invalid { name: String, problems: Problems },
    #[error(
        "the seccomp profile {name} builds on {base}, which nodes do not fetch: create it as a SeccompProfile in the \
         cluster and write that one's name as baseProfileName"
    )]
    Image { name: String, base: String },
    #[error("the seccomp profile {name} builds on {base}, which does not exist")]
    Missing { name: String, base: String },
    #[error("seccomp profiles build on one another in a circle: {}", .0.join(" -> "))]
    Circle(Vec<String>),
    #[error(
        "the seccomp profile {0} stands on more than {DEEPEST} others: put the rules of some of them together"
    )]
    Deep(String),
    #[error(
        "two rules for {call} contradict each other: {one} and {other} for the same arguments; leave one of them out"
    )]
    Contradiction { call: String, one: Action, other: Action },
    #[error(
        "a rule for {call} says {conditional} for some arguments and another {unconditional} for all: runtimes would \
         heed the second alone; write {unconditional} for the other arguments only"
    )]
    Swallowed { call: String, conditional: Action, unconditional: Action },
    #[error(
        "SCMP_ACT_NOTIFY cannot be the default action: the runtime itself would wait for the agent; list the system \
         calls that it is to decide on"
    )]
    NotifyByDefault,
    #[error(
        "SCMP_ACT_NOTIFY cannot be the action for write: the runtime itself needs that call to reach the agent"
    )]
    NotifyWrite,
    #[error("SCMP_ACT_NOTIFY needs listenerPath, the socket of the agent that decides")]
    NoListener,
    #[error("listenerMetadata is passed to the agent at listenerPath: write that too, or neither")]
    NoListenerForMetadata,
    #[error(
        "{0} cannot be used with SCMP_ACT_NOTIFY: the kernel refuses the two together; leave the flag out"
    )]
    FlagWithNotify(Flag),
    #[error(
        "{0} is for filters with SCMP_ACT_NOTIFY: the kernel refuses it without; leave the flag out"
    )]
    FlagWithoutNotify(Flag),
    #[error(
        "the architectures {little} and {big} have a different order of bytes: no machine has both, and runtimes refuse \
         the filter"
    )]
    ByteOrder { little: String, big: String },
}

/// Finds a profile by its name.
pub type Lookup<'a> = dyn Fn(&str) -> Option<Arc<SeccompProfileSpec>> + 'a;

/// The filter of a profile, with the rules of the profiles that it builds on.
pub fn render(
    name: &str,
    spec: &SeccompProfileSpec,
    base: &Lookup<'_>,
) -> Result<Filter, SeccompError> {
    check(name, spec)?;
    let mut rules = Rules::own(spec)?;
    let mut architectures = spec.architectures.clone();
    let mut flags = spec.flags.clone();
    for (name, below) in stack(name, spec, base)? {
        check(&name, &below)?;
        rules.add_base(&below)?;
        architectures.extend(&below.architectures);
        flags.extend(&below.flags);
    }
    let filter = Filter {
        default_action: spec.default_action,
        default_errno_ret: None,
        architectures: filter::architectures(architectures)?,
        flags: filter::flags(flags),
        listener_path: spec.listener_path.clone(),
        listener_metadata: spec.listener_metadata.clone(),
        syscalls: rules.group()?,
    };
    filter.check_notify()?;
    Ok(filter)
}

/// The names of the profiles that a profile stands on, the nearest first.
pub fn bases(
    name: &str,
    spec: &SeccompProfileSpec,
    base: &Lookup<'_>,
) -> Result<Vec<String>, SeccompError> {
    Ok(stack(name, spec, base)?.into_iter().map(|(name, _)| name).collect())
}

fn check(name: &str, spec: &SeccompProfileSpec) -> Result<(), SeccompError> {
    let problems = SeccompProfile::new(name, spec.clone()).validate();
    Problems::none(problems)
        .map_err(|problems| SeccompError::Invalid { name: name.to_owned(), problems })
}

type Stack = Vec<(String, Arc<SeccompProfileSpec>)>;

fn stack(name: &str, spec: &SeccompProfileSpec, base: &Lookup<'_>) -> Result<Stack, SeccompError> {
    let mut stack: Stack = Vec::new();
    loop {
        let top = stack.last();
        let above = top.map_or(name, |(name, _)| name).to_owned();
        let next = &top.map_or(spec, |(_, spec)| spec).base_profile_name;
        let Some(below) = next.clone() else { return Ok(stack) };
        if below.starts_with("oci://") {
            return Err(SeccompError::Image { name: above, base: below });
        }
        let names = || std::iter::once(name).chain(stack.iter().map(|(name, _)| name.as_str()));
        if let Some(start) = names().position(|name| name == below) {
            let circle = names().skip(start).chain([below.as_str()]).map(str::to_owned).collect();
            return Err(SeccompError::Circle(circle));
        }
        if stack.len() == DEEPEST {
            return Err(SeccompError::Deep(name.to_owned()));
        }
        let Some(spec) = base(&below) else {
            return Err(SeccompError::Missing { name: above, base: below });
        };
        stack.push((below, spec));
    }
}

/// The opposite comparison, where there is one.
const fn opposite(op: Operator) -> Option<Operator> {
    Some(match op {
        Operator::Equal => Operator::NotEqual,
        Operator::NotEqual => Operator::Equal,
        Operator::Less => Operator::GreaterOrEqual,
        Operator::GreaterOrEqual => Operator::Less,
        Operator::Greater => Operator::LessOrEqual,
        Operator::LessOrEqual => Operator::Greater,
        Operator::MaskedEqual => return None,
    })
}

#[cfg(test)]
mod tests;
