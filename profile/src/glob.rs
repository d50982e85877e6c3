//! Globs: `*` stands for any run of characters, `?` for exactly one, everything else for itself. Pure.

use std::fmt;

/// A compiled glob over one part of a name.
///
/// Compiling folds what means the same into one spelling (`a?**` is `a*?`), so that equal globs compare equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Glob(Box<str>);

/// How special a glob is: the greater, the fewer names it matches.
///
/// If every name that glob A matches is matched by glob B as well, and not the other way round, A's value is the
/// greater one: A cannot have fewer literals than B, nor, with as many, fewer `?`, nor, with as many of both, more `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Speciality {
    /// Characters that stand for themselves.
    literals: u32,
    /// `?`
    singles: u32,
    /// Minus the number of `*`.
    runs: i32,
}

impl Speciality {
    /// The value of a part that is not there and so matches anything, even nothing: less special than a `*`.
    pub const ABSENT: Self = Self { literals: 0, singles: 0, runs: -2 };
}

impl std::ops::Add for Speciality {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            literals: self.literals + other.literals,
            singles: self.singles + other.singles,
            runs: self.runs + other.runs,
        }
    }
}

/// Whether a text has a glob's characters in it.
pub fn is_glob(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'*' | b'?'))
}

impl Glob {
    /// Compiles a glob. Every text is one.
    pub fn new(text: &str) -> Self {
        let mut folded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(['*', '?']) {
            let end =
                rest[start..].find(|c| c != '*' && c != '?').map_or(rest.len(), |n| start + n);
            let wild = &rest[start..end];
            folded.push_str(&rest[..start]);
            if wild.contains('*') {
                folded.push('*');
            }
            folded.extend(wild.chars().filter(|&c| c == '?'));
            rest = &rest[end..];
        }
        folded.push_str(rest);
        Self(folded.into())
    }

    /// Its text, folded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches just the one text that it spells.
    pub fn is_literal(&self) -> bool {
        !is_glob(&self.0)
    }

    /// What every matching text begins with.
    pub fn prefix(&self) -> &str {
        self.0.find(['*', '?']).map_or(&self.0, |end| &self.0[..end])
    }

    /// What every matching text ends with.
    pub fn suffix(&self) -> &str {
        self.0.rfind(['*', '?']).map_or(&self.0, |start| &self.0[start + 1..])
    }

    /// How special it is.
    pub fn speciality(&self) -> Speciality {
        self.0.chars().fold(Speciality::default(), |mut value, c| {
            match c {
                '*' => value.runs -= 1,
                '?' => value.singles += 1,
                _ => value.literals += 1,
            }
            value
        })
    }

    /// Whether it matches the whole of a text.
    pub fn matches(&self, text: &str) -> bool {
        if self.0.is_ascii() && text.is_ascii() {
            matches(self.0.as_bytes(), text.as_bytes())
        } else {
            // A `?` is a character, not a byte.
            matches(&self.0.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// On a mismatch only the last `*` has to give way: what an earlier one took can be had by the later one too.
fn matches<C: Copy + PartialEq + From<u8>>(glob: &[C], text: &[C]) -> bool {
    let (star, single) = (C::from(b'*'), C::from(b'?'));
    let (mut g, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        match glob.get(g) {
            Some(&c) if c == star => {
                retry = Some((g + 1, t));
                g += 1;
            }
            Some(&c) if c == single || c == text[t] => {
                g += 1;
                t += 1;
            }
            _ => {
                let Some((after, from)) = retry else { return false };
                retry = Some((after, from + 1));
                (g, t) = (after, from + 1);
            }
        }
    }
    glob[g..].iter().all(|&c| c == star)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// What the words of the first line say, by trying everything.
    fn by_definition(glob: &[u8], text: &[u8]) -> bool {
        match glob.first() {
            None => text.is_empty(),
            Some(b'*') => (0..=text.len()).any(|n| by_definition(&glob[1..], &text[n..])),
            Some(b'?') => !text.is_empty() && by_definition(&glob[1..], &text[1..]),
            Some(c) => text.first() == Some(c) && by_definition(&glob[1..], &text[1..]),
        }
    }

    fn all_texts() -> Vec<String> {
        let mut texts = vec![String::new()];
        for length in 1..=6 {
            for n in 0..3_usize.pow(length) {
                // "z" never stands in a glob below: it tells a wild place from a literal one.
                let digit = |place| ['a', 'b', 'z'][n / 3_usize.pow(place) % 3];
                texts.push((0..length).map(digit).collect());
            }
        }
        texts
    }

    #[rstest]
    #[case("a**b", "a*b")]
    #[case("?*", "*?")]
    #[case("?**?x", "*??x")]
    #[case("plain", "plain")]
    fn folds_spellings_that_mean_the_same(#[case] text: &str, #[case] folded: &str) {
        assert_eq!(Glob::new(text).as_str(), folded);
    }

    #[test]
    fn a_question_mark_is_a_character_not_a_byte() {
        assert!(Glob::new("?x").matches("éx"));
        assert!(!Glob::new("??x").matches("éx"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let glob = Glob::new(&"*a".repeat(200));
        assert!(!glob.matches(&"a".repeat(199)));
    }

    proptest! {
        #[test]
        fn matches_what_the_definition_says(glob in "[ab*?]{0,7}", text in "[abz]{0,9}") {
            prop_assert_eq!(
                Glob::new(&glob).matches(&text),
                by_definition(glob.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn every_match_has_prefix_and_suffix(glob in "[ab*?]{0,7}", text in "[ab]{0,9}") {
            let glob = Glob::new(&glob);
            if glob.matches(&text) {
                prop_assert!(text.starts_with(glob.prefix()) && text.ends_with(glob.suffix()));
            }
        }

        #[test]
        fn a_glob_that_matches_less_is_more_special(a in "[ab*?]{0,4}", b in "[ab*?]{0,4}") {
            let (a, b) = (Glob::new(&a), Glob::new(&b));
            let (mut a_only, mut b_only) = (false, false);
            for text in all_texts() {
                a_only |= a.matches(&text) && !b.matches(&text);
                b_only |= b.matches(&text) && !a.matches(&text);
            }
            if !a_only && b_only {
                prop_assert!(a.speciality() > b.speciality(), "{} inside {}", a, b);
            }
        }
    }
}
