//! A bound on the work that a decision may take, and what stops one from being made. Pure.

use crate::kinds::seccomp::SeccompProfileSpec;

/// How many times one decision looks for a value that satisfies the conditions on an argument.
///
/// Telling whether a value satisfies many masks is as hard as any puzzle there is, so there has to be an end; profiles
/// that people write take some steps a rule. Two seconds or so, at worst.
const STEPS: u32 = 4_000_000;

/// Counts down the steps of a decision.
#[derive(Debug)]
pub(crate) struct Work {
    left: u32,
}

/// Says that a decision would have taken too many steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Work {
    pub(crate) fn new() -> Self {
        Self { left: STEPS }
    }

    #[cfg(test)]
    pub(crate) fn of(steps: u32) -> Self {
        Self { left: steps }
    }

    pub(crate) fn step(&mut self) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(1).ok_or(Exhausted)?;
        Ok(())
    }
}

/// Says that a profile builds on one that has not been merged into it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot tell what a profile does whose base profile {base:?} is not resolved")]
pub struct Unresolved {
    /// The base profile.
    pub base: String,
}

impl Unresolved {
    pub(crate) fn check(spec: &SeccompProfileSpec) -> Result<(), Self> {
        match &spec.base_profile_name {
            Some(base) => Err(Self { base: base.clone() }),
            None => Ok(()),
        }
    }
}
