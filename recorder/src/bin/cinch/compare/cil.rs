//! Statements of a policy in CIL, which are compared as text. Pure.

use std::collections::BTreeSet;

/// The statements at the top of a policy, each on one line, without comments.
pub(crate) fn statements(policy: &str) -> BTreeSet<String> {
    let (mut all, mut one, mut depth) = (BTreeSet::new(), String::new(), 0_usize);
    for line in policy.lines() {
        let line = line.split(';').next().unwrap_or_default();
        for c in line.chars().chain([' ']) {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ if c.is_whitespace() && (one.is_empty() || one.ends_with([' ', '('])) => continue,
                _ => {}
            }
            if c == ')' {
                one.truncate(one.trim_end().len());
            }
            one.push(if c.is_whitespace() { ' ' } else { c });
            if c == ')' && depth == 0 {
                all.insert(std::mem::take(&mut one));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_the_same_however_it_is_laid_out() {
        let one =
            "(blockinherit container) ; all\n(allow process etc_t\n  ( file ( read open ) ))\n";
        let other = "(allow process etc_t (file (read open)))\n\n(blockinherit container)";
        // Only the space before what opens is one's own.
        let expected = ["(allow process etc_t (file (read open)))", "(blockinherit container)"];
        assert_eq!(statements(one).into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(statements(one), statements(other));
    }
}
