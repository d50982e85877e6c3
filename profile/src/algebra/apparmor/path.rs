//! Whether one of AppArmor's globs covers another, where that is plain to see. Pure.

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Covers {
    Yes,
    No,
    Unknown,
}

/// Whether every file that the inner path stands for is one that the outer path stands for.
pub(super) fn covers(outer: &str, inner: &str) -> Covers {
    if outer == inner {
        return Covers::Yes;
    }
    if is_literal(outer) && is_literal(inner) {
        return Covers::No;
    }
    if let Some(folder) = outer.strip_suffix("/**")
        && is_literal(folder)
    {
        // Everything below, but not the folder itself.
        let below = inner.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        match below.and_then(|rest| rest.chars().next()) {
            Some(first) if is_plain(first) || first == '*' => return Covers::Yes,
            _ if is_literal(inner) => return Covers::No,
            _ => {}
        }
    }
    Covers::Unknown
}

/// Whether a path and a glob may have a file in common.
pub(super) fn may_meet(one: &str, other: &str) -> bool {
    let is_apart = |glob: &str, path: &str| is_literal(path) && covers(glob, path) == Covers::No;
    !is_apart(one, other) && !is_apart(other, one)
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
    #[case("/etc/**", "/etc/hosts", Covers::Yes)]
    #[case("/etc/**", "/etc/ssl/*.pem", Covers::Yes)]
    #[case("/etc/**", "/etc/**", Covers::Yes)]
    #[case("/etc/**", "/etc/", Covers::No)]
    #[case("/etc/**", "/etcetera", Covers::No)]
    #[case("/etc/**", "/etc/{,hosts}", Covers::Unknown)]
    #[case("/etc/hosts", "/etc/passwd", Covers::No)]
    #[case("/etc/hosts", "/etc/h*", Covers::Unknown)]
    #[case("/etc/*", "/etc/hosts", Covers::Unknown)]
    #[case("@{PROC}/**", "/proc/1", Covers::Unknown)]
    fn tells_what_is_plain_to_see(
        #[case] outer: &str,
        #[case] inner: &str,
        #[case] covered: Covers,
    ) {
        assert_eq!(covers(outer, inner), covered);
    }
}
