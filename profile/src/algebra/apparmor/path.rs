//! Whether AppArmor's globs cover another, or meet it. Pure.

use super::glob::Globs;

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Covers {
    Yes,
    No,
    Unknown,
}

/// Whether every file that the inner path stands for is one that one of the outer paths stands for.
pub(super) fn covers(outer: &[&str], inner: &str) -> Covers {
    if outer.contains(&inner) {
        return Covers::Yes;
    }
    if is_literal(inner) && outer.iter().all(|outer| is_literal(outer)) {
        return Covers::No;
    }
    let globs = Globs::new(outer.iter().copied()).zip(Globs::new([inner]));
    match globs.and_then(|(outer, inner)| outer.cover(&inner)) {
        Some(true) => Covers::Yes,
        Some(false) => Covers::No,
        None => Covers::Unknown,
    }
}

/// Whether two globs have a file in common; none where that is not known.
pub fn meet(one: &str, other: &str) -> Option<bool> {
    let (one, other) = (Globs::new([one])?, Globs::new([other])?);
    one.meet(&other)
}

fn is_literal(path: &str) -> bool {
    path.chars().all(is_plain)
}

/// Whether a character stands for itself.
fn is_plain(c: char) -> bool {
    !matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '^' | '@' | '\\' | '"')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["/etc/**"], "/etc/hosts", Covers::Yes)]
    #[case(&["/etc/**"], "/etc/**", Covers::Yes)]
    #[case(&["/etc/**"], "/etc/", Covers::No)]
    #[case(&["/etc/**"], "/etcetera", Covers::No)]
    #[case(&["/etc/**"], "/etc/{,hosts}", Covers::No)]
    #[case(&["/etc/**", "/etc/"], "/etc/{,hosts}", Covers::Yes)]
    #[case(&["/etc/hosts"], "/etc/passwd", Covers::No)]
    #[case(&["@{PROC}/**"], "/proc/1", Covers::Yes)]
    #[case(&["/@{profile_name}/**"], "/proc/1", Covers::Unknown)]
    #[case(&[], "/etc/*", Covers::No)]
    fn globs_are_compared_as_what_they_match(
        #[case] outer: &[&str],
        #[case] inner: &str,
        #[case] covered: Covers,
    ) {
        assert_eq!(covers(outer, inner), covered);
    }
}
