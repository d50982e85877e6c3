//! A `RawSelinuxProfile` as a CIL block that it cannot leave. Pure.

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

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use rstest::rstest;

    use super::*;
    use crate::kinds::ProfileState;

    fn spec(policy: &str) -> RawSelinuxProfileSpec {
        RawSelinuxProfileSpec {
            state: ProfileState::Enabled,
            disabled: None,
            policy: policy.to_owned(),
        }
    }

    #[test]
    fn a_policy_is_put_into_a_block_as_it_stands() {
        let policy =
            "; a web server\n(blockinherit container)\n  (allow process var_log_t (file (read)))\n";
        assert_snapshot!(render("web", &spec(policy)).unwrap(), @r"
        (block web
        ; a web server
        (blockinherit container)
          (allow process var_log_t (file (read)))
        )
        ");
    }

    #[rstest]
    #[case("(blockinherit container) ; the end")]
    #[case("(blockinherit container)\r\n; the end\r\n;")]
    fn a_comment_does_not_hide_the_end_of_the_block(#[case] policy: &str) {
        let text = render("p", &spec(policy)).unwrap();
        assert!(text.ends_with("\n)\n"), "{text}");
    }

    #[rstest]
    #[case("(type t))\n(type u", "line 1: this ) has no (")]
    #[case("(typepermissive process)", "typepermissive")]
    #[case("(type t)\n;;* lme\n(type u)", "line 2: ;;* is a mark")]
    #[case("(type t)\n(type \u{0}u)", "line 2: a policy is text")]
    #[case("(type t) ; \r(type u)", "line 1: a policy is text")]
    fn what_could_leave_the_block_is_refused(#[case] policy: &str, #[case] message: &str) {
        let error = render("p", &spec(policy)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn a_name_that_no_module_can_have_is_refused() {
        let error = render("a.b", &spec("(type t)")).unwrap_err();
        assert_eq!(error, RawSelinuxError::Name(NameError::Characters("a.b".to_owned())));
    }
}
