//! Sets of calls by their six arguments, and what is left of one when others are taken away. Pure.

use super::{
    word::{Test, Width, Word},
    work::{Exhausted, Work},
};

/// Conditions that all have to hold, each on another argument, by index.
pub(crate) type Tests = Vec<(u8, Test)>;

/// The calls that satisfy some conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    words: [Word; 6],
    width: Width,
}

impl Region {
    pub(crate) fn full(width: Width) -> Self {
        Self { words: std::array::from_fn(|_| Word::full(width)), width }
    }

    /// What is left with these conditions too, unless that is nothing.
    pub(crate) fn within(
        &self,
        tests: &[(u8, Test)],
        work: &mut Work,
    ) -> Result<Option<Self>, Exhausted> {
        let mut inside = self.clone();
        for &(index, test) in tests {
            if !inside.require(index, test, work)? {
                return Ok(None);
            }
        }
        Ok(Some(inside))
    }

    /// Adds a condition, and tells whether anything is left.
    fn require(&mut self, index: u8, test: Test, work: &mut Work) -> Result<bool, Exhausted> {
        let word = &mut self.words[usize::from(index)];
        word.require(test);
        Ok(word.witness(work)?.is_some())
    }

    /// The six arguments of a call in it.
    pub(crate) fn witness(&self, work: &mut Work) -> Result<Option<[u64; 6]>, Exhausted> {
        let mut args = [0; 6];
        for (arg, word) in args.iter_mut().zip(&self.words) {
            match word.witness(work)? {
                Some(value) => *arg = value,
                None => return Ok(None),
            }
        }
        Ok(Some(args))
    }

    /// Whether each of its calls satisfies the conditions.
    pub(crate) fn inside(&self, tests: &[(u8, Test)], work: &mut Work) -> Result<bool, Exhausted> {
        for &(index, test) in tests {
            let mut word = self.words[usize::from(index)].clone();
            word.require(test.negated(self.width));
            if word.witness(work)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The arguments of a call in it that satisfies none of the others.
    pub(crate) fn outside<'t>(
        &self,
        others: impl IntoIterator<Item = &'t Tests>,
        work: &mut Work,
    ) -> Result<Option<[u64; 6]>, Exhausted> {
        let others: Vec<_> = others.into_iter().collect();
        self.escape(&others, work)
    }

    fn escape(&self, others: &[&Tests], work: &mut Work) -> Result<Option<[u64; 6]>, Exhausted> {
        let Some(args) = self.witness(work)? else { return Ok(None) };
        if !others.iter().any(|tests| hold(tests, &args)) {
            return Ok(Some(args));
        }
        let mut overlapping = Vec::new();
        for &tests in others {
            if self.within(tests, work)?.is_some() {
                if self.inside(tests, work)? {
                    return Ok(None);
                }
                overlapping.push(tests);
            }
        }
        // The shortest one leaves the fewest pieces.
        overlapping.sort_by_key(|tests| tests.len());
        let Some((first, rest)) = overlapping.split_first() else { return Ok(Some(args)) };
        for piece in self.without(first, work)? {
            let found = piece.escape(rest, work)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The parts, none of them empty and no two overlapping, that do not satisfy all conditions.
    pub(crate) fn without(
        &self,
        tests: &[(u8, Test)],
        work: &mut Work,
    ) -> Result<Vec<Self>, Exhausted> {
        let mut pieces = Vec::new();
        let mut inside = self.clone();
        for &(index, test) in tests {
            let mut outside = inside.clone();
            if outside.require(index, test.negated(self.width), work)? {
                pieces.push(outside);
            }
            if !inside.require(index, test, work)? {
                break;
            }
        }
        Ok(pieces)
    }

    /// The words, by index.
    pub(crate) fn words(&self) -> &[Word; 6] {
        &self.words
    }
}

/// Whether the arguments satisfy all conditions.
pub(crate) fn hold(tests: &[(u8, Test)], args: &[u64; 6]) -> bool {
    tests.iter().all(|&(index, test)| test.holds(args[usize::from(index)]))
}
