//! What the kernel's compilers are given of a profile: seccomp JSON, CIL, AppArmor text. Pure.
//!
//! A rendering that is returned cannot do more than its profile says: whatever could end a rule, a block or a quoted
//! text is refused with an error.

pub mod apparmor;
pub mod raw_selinux;
pub mod seccomp;
pub mod selinux;

use std::fmt;

use crate::kinds::Problem;

/// What is wrong with the fields of a profile, as a text: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let between = if n == 0 { "" } else { "; " };
            write!(f, "{between}{problem}")?;
        }
        Ok(())
    }
}

impl Problems {
    /// Nothing where there is no problem.
    fn none(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }
}
