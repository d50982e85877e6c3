//! Rules that overlap and disagree: which of them counts is up to libseccomp. Pure.

use std::fmt;

use super::{
    call::{Abi, Call},
    region::Region,
    rules::{Rule, Rules, is_wide},
    verdict::Verdict,
    word::Width,
    work::{Exhausted, Unresolved, Work},
};
use crate::kinds::seccomp::{Operator, SeccompProfileSpec};

/// Rules for one system call of which a filter may be made that does something else than they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// Two rules both apply to a call and say different things about it.
    Disagree {
        /// The system call.
        syscall: String,
        /// What the rules say, in their order.
        verdicts: (Verdict, Verdict),
        /// A call that both apply to; none where it would have taken too long to find out whether there is one.
        call: Option<Call>,
    },
    /// Rules that libseccomp is known to join wrongly: several of them, with conditions on more than one argument that
    /// are not all `SCMP_CMP_EQ`, or that compare the order of values of more than 32 bits.
    ///
    /// What the filter does can be more or less than each of the rules says.
    Joined {
        /// The system call.
        syscall: String,
    },
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disagree { call: Some(call), verdicts: (one, other), .. } => write!(
                f,
                "two rules apply to {call}, one with {one} and one with {other}: which of them counts is not defined, \
                 and runtimes may refuse the profile; make their conditions exclude each other"
            ),
            Self::Disagree { call: None, syscall, verdicts: (one, other) } => write!(
                f,
                "two rules for {syscall}, one with {one} and one with {other}, may apply to the same call: which of them \
                 would count is not defined"
            ),
            Self::Joined { syscall } => write!(
                f,
                "the rules for {syscall} are of a sort that libseccomp may join into another filter than they say: write \
                 them with SCMP_CMP_EQ alone, or with one condition each, on values below 2^32"
            ),
        }
    }
}

/// Finds the rules of a profile that do not say for certain what happens: one pair for each system call and pair of
/// actions that disagree, and each system call whose rules may be joined wrongly.
pub fn ambiguities(spec: &SeccompProfileSpec) -> Result<Vec<Ambiguity>, Unresolved> {
    let rules = Rules::new(spec)?;
    let mut work = Work::new();
    let mut found = Vec::new();
    for name in rules.names() {
        let start = found.len();
        for abi in [Abi::Own, Abi::OwnNarrow] {
            let conditional = rules.conditional(name, abi.width());
            let disagree = disagreements(name, abi, &conditional, &mut work);
            if found.len() == start {
                found.extend(disagree);
            }
        }
        if is_joined_wrongly(&rules.of(name, Width::Wide)) {
            found.push(Ambiguity::Joined { syscall: name.to_owned() });
        }
    }
    Ok(found)
}

fn disagreements(name: &str, abi: Abi, rules: &[Rule<'_>], work: &mut Work) -> Vec<Ambiguity> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for (n, one) in rules.iter().enumerate() {
        for other in &rules[n + 1..] {
            let verdicts = (one.verdict, other.verdict);
            if one.verdict == other.verdict || seen.contains(&verdicts) {
                continue;
            }
            let call = match overlap(one, other, abi.width(), work) {
                Ok(None) => continue,
                Ok(Some(args)) => Some(Call { abi, syscall: name.to_owned(), args }),
                Err(Exhausted) => None,
            };
            seen.push(verdicts);
            found.push(Ambiguity::Disagree { syscall: name.to_owned(), verdicts, call });
        }
    }
    found
}

/// Whether the rules are more than those of which libseccomp is known to make the right filter.
fn is_joined_wrongly(rules: &[Rule<'_>]) -> bool {
    let conditions = || rules.iter().flat_map(|rule| rule.source.args);
    let equal = || conditions().all(|arg| arg.op == Operator::Equal);
    let single = || rules.iter().all(|rule| rule.source.args.len() == 1);
    let by_bits = |op| matches!(op, Operator::Equal | Operator::NotEqual | Operator::MaskedEqual);
    let plain = || conditions().all(|arg| by_bits(arg.op) || !is_wide(arg));
    rules.len() > 1 && !equal() && !(single() && plain())
}

fn overlap(
    one: &Rule<'_>,
    other: &Rule<'_>,
    width: Width,
    work: &mut Work,
) -> Result<Option<[u64; 6]>, Exhausted> {
    let region = Region::full(width).within(&one.tests, work)?;
    let Some(region) = region else { return Ok(None) };
    region.within(&other.tests, work)?.map_or(Ok(None), |both| both.witness(work))
}
