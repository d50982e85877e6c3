//! A RawSelinuxProfile as a CIL block that it cannot leave. Pure.

use super::{
    Problems,
    selinux::{NameError, name},
};
use crate::kinds::{RawSelinuxProfile, RawSelinuxProfileSpec, Validate as _};

/// Why a profile cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RawSelinuxError {
    #[error("the raw SELinux profile {name} is not valid: {problems}")]
    Invalid { name: String, problems: Problems },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("line {0}: ;;* is a mark for compilers, not a comment: write ; and a space")]
    Mark(usize),
    #[error("line {0}: a policy is text without control characters")]
    Control(usize),
}

/// The CIL block of a profile, which is the whole of its module.
pub fn render(name: &str, spec: &RawSelinuxProfileSpec) -> Result<String, RawSelinuxError> {
    name::check(name)?;
    let problems = RawSelinuxProfile::new(name, spec.clone()).validate();
    Problems::none(problems)
        .map_err(|problems| RawSelinuxError::Invalid { name: name.to_owned(), problems })?;
    let policy = &spec.policy;
    for (line, text) in (1..).zip(policy.lines()) {
        if text.starts_with(";;*") {
            return Err(RawSelinuxError::Mark(line));
        }
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(RawSelinuxError::Control(line));
        }
    }
    // The line break keeps a comment at the end from hiding the parenthesis.
    let end = if policy.ends_with('\n') { "" } else { "\n" };
    Ok(format!("(block {name}\n{policy}{end})\n"))
}
