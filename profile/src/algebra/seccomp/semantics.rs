//! What a profile does with one call. Pure.

use super::{
    call::{Abi, Call},
    region::hold,
    rules::Rules,
    verdict::Verdict,
    work::Unresolved,
};
use crate::kinds::seccomp::SeccompProfileSpec;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// The least that can happen.
    pub least: Verdict,
    /// The most that can happen: something else only where conditional rules with different actions overlap, and which
    /// of them counts is up to libseccomp.
    pub most: Verdict,
}

impl Outcome {
    /// What happens, if that is certain.
    pub fn certain(self) -> Option<Verdict> {
        (self.least == self.most).then_some(self.most)
    }
}

/// Tells what happens to a call under a profile.
pub fn evaluate(spec: &SeccompProfileSpec, call: &Call) -> Result<Outcome, Unresolved> {
    let rules = Rules::new(spec)?;
    Ok(rules.outcome(call))
}

impl Rules<'_> {
    pub(crate) fn outcome(&self, call: &Call) -> Outcome {
        if !self.serves(call.abi) {
            return Outcome { least: Verdict::UNSERVED, most: Verdict::UNSERVED };
        }
        let width = call.abi.width();
        let args = call.args.map(|arg| arg & width.greatest());
        let rules = self.of(&call.syscall, width);
        let applying = || rules.iter().filter(|r| hold(&r.tests, &args)).map(|r| r.verdict);
        Outcome {
            least: applying().min().unwrap_or(self.default),
            most: applying().max().unwrap_or(self.default),
        }
    }
}

/// The architectures for which two profiles have to be compared.
///
/// Every node has its own, and one whose words are narrow differs from the others only where a value is greater.
pub(crate) fn abis(left: &Rules<'_>, right: &Rules<'_>) -> Vec<Abi> {
    let narrow = left.has_wide_values() || right.has_wide_values();
    let own = [Some(Abi::Own), narrow.then_some(Abi::OwnNarrow)];
    let mut abis: Vec<_> =
        own.into_iter().flatten().chain(left.foreign()).chain(right.foreign()).collect();
    abis.sort_unstable();
    abis.dedup();
    abis
}
