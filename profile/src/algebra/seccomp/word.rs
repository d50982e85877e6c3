//! Sets of 64-bit values: what conditions on one argument leave of it. Pure.

use super::work::{Exhausted, Work};
use crate::kinds::seccomp::{Arg, Operator};

/// How wide the words of an architecture are. libseccomp compares no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Width {
    Narrow,
    Wide,
}

impl Width {
    /// The greatest value, and the mask of every bit.
    pub(crate) fn greatest(self) -> u64 {
        match self {
            Self::Narrow => u64::from(u32::MAX),
            Self::Wide => u64::MAX,
        }
    }
}

/// One condition on a value, of a known width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Test {
    AtLeast(u64),
    AtMost(u64),
    /// The bits of the mask are these.
    Bits {
        mask: u64,
        bits: u64,
    },
    /// The bits of the mask are not all these.
    NotBits {
        mask: u64,
        bits: u64,
    },
    Never,
}

impl Test {
    /// What a filter makes of a condition.
    pub(crate) fn new(arg: &Arg, width: Width) -> Self {
        let all = width.greatest();
        let value = arg.value.unwrap_or_default().0 & all;
        let two = arg.value_two.unwrap_or_default().0;
        match arg.op {
            Operator::NotEqual => Self::NotBits { mask: all, bits: value },
            Operator::Equal => Self::Bits { mask: all, bits: value },
            Operator::Less => value.checked_sub(1).map_or(Self::Never, Self::AtMost),
            Operator::LessOrEqual => Self::AtMost(value),
            Operator::GreaterOrEqual => Self::AtLeast(value),
            Operator::Greater if value == all => Self::Never,
            Operator::Greater => Self::AtLeast(value + 1),
            // Bits of valueTwo outside the mask are dropped by libseccomp.
            Operator::MaskedEqual => Self::Bits { mask: value, bits: two & value },
        }
    }

    pub(crate) fn holds(self, value: u64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Bits { mask, bits } => value & mask == bits,
            Self::NotBits { mask, bits } => value & mask != bits,
            Self::Never => false,
        }
    }

    /// The condition that holds just where this one does not.
    pub(crate) fn negated(self, width: Width) -> Self {
        match self {
            Self::AtLeast(least) => least.checked_sub(1).map_or(Self::Never, Self::AtMost),
            Self::AtMost(most) if most >= width.greatest() => Self::Never,
            Self::AtMost(most) => Self::AtLeast(most + 1),
            Self::Bits { mask, bits } => Self::NotBits { mask, bits },
            Self::NotBits { mask, bits } => Self::Bits { mask, bits },
            Self::Never => Self::AtLeast(0),
        }
    }
}

/// The values that satisfy some conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    least: u64,
    most: u64,
    mask: u64,
    bits: u64,
    not: Vec<(u64, u64)>,
    width: Width,
}

impl Word {
    pub(crate) fn full(width: Width) -> Self {
        Self { least: 0, most: width.greatest(), mask: 0, bits: 0, not: Vec::new(), width }
    }

    /// Leaves the values for which the condition holds.
    pub(crate) fn require(&mut self, test: Test) {
        match test {
            Test::AtLeast(least) => self.least = self.least.max(least),
            Test::AtMost(most) => self.most = self.most.min(most),
            Test::Bits { mask, bits } if (self.bits ^ bits) & self.mask & mask != 0 => {
                self.require(Test::Never);
            }
            Test::Bits { mask, bits } => {
                self.mask |= mask;
                self.bits |= bits;
            }
            Test::NotBits { mask, bits } => self.not.push((mask, bits)),
            Test::Never => (self.least, self.most) = (1, 0),
        }
    }

    /// A value, if there is one.
    pub(crate) fn witness(&self, work: &mut Work) -> Result<Option<u64>, Exhausted> {
        self.search(self.least, self.mask, self.bits, work)
    }

    /// What its values satisfy: all of these, and nothing else does.
    pub(crate) fn tests(&self) -> Vec<Test> {
        let bits = (self.mask != 0).then_some(Test::Bits { mask: self.mask, bits: self.bits });
        let least = (self.least > 0).then_some(Test::AtLeast(self.least));
        let most = (self.most < self.width.greatest()).then_some(Test::AtMost(self.most));
        let not = self.not.iter().map(|&(mask, bits)| Test::NotBits { mask, bits });
        bits.into_iter().chain(least).chain(most).chain(not).collect()
    }

    /// The test for its only value, if there is just one.
    pub(crate) fn single(&self, work: &mut Work) -> Result<Option<Test>, Exhausted> {
        let mask = self.width.greatest();
        let Some(bits) = self.witness(work)? else { return Ok(None) };
        let mut others = self.clone();
        others.require(Test::NotBits { mask, bits });
        Ok(others.witness(work)?.is_none().then_some(Test::Bits { mask, bits }))
    }

    /// Whether every value for which the test holds is one of these.
    pub(crate) fn is_all_of(&self, test: Test, work: &mut Work) -> Result<bool, Exhausted> {
        for needed in self.tests() {
            let mut other = Self::full(self.width);
            other.require(test);
            other.require(needed.negated(self.width));
            if other.witness(work)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn search(
        &self,
        mut from: u64,
        mask: u64,
        bits: u64,
        work: &mut Work,
    ) -> Result<Option<u64>, Exhausted> {
        loop {
            work.step()?;
            let Some(value) = least_from(from, mask, bits).filter(|&value| value <= self.most)
            else {
                return Ok(None);
            };
            let Some(&(not_mask, not_bits)) = self.not.iter().find(|(m, b)| value & m == *b) else {
                return Ok(Some(value));
            };
            let open = not_mask & !mask;
            if open == 0 {
                return Ok(None);
            }
            if open == self.width.greatest() & !mask {
                // Just this one value is excluded.
                let Some(next) = value.checked_add(1) else { return Ok(None) };
                from = next;
                continue;
            }
            return self.branch(value, (mask, bits), (open, not_bits), work);
        }
    }

    /// A value with one of the open bits other than forbidden: the highest of them, or the highest but one, ...
    fn branch(
        &self,
        from: u64,
        (mut mask, mut bits): (u64, u64),
        (mut open, forbidden): (u64, u64),
        work: &mut Work,
    ) -> Result<Option<u64>, Exhausted> {
        while open != 0 {
            let bit = 1 << open.ilog2();
            let found = self.search(from, mask | bit, bits | (!forbidden & bit), work)?;
            if found.is_some() {
                return Ok(found);
            }
            mask |= bit;
            bits |= forbidden & bit;
            open &= !bit;
        }
        Ok(None)
    }
}

/// The least value, not below `from`, whose bits under the mask are these.
fn least_from(from: u64, mask: u64, bits: u64) -> Option<u64> {
    let wrong = (from ^ bits) & mask;
    if wrong == 0 {
        return Some(from);
    }
    let highest = wrong.ilog2();
    let raised = if bits >> highest & 1 == 1 {
        highest
    } else {
        // The bit is too great, so a free one above it has to be raised.
        let free = !from & !mask & !below(highest + 1);
        if free == 0 {
            return None;
        }
        free.trailing_zeros()
    };
    Some((from & !below(raised)) | 1 << raised | (bits & below(raised)))
}

/// The bits under this one.
fn below(bit: u32) -> u64 {
    1_u64.checked_shl(bit).map_or(u64::MAX, |bit| bit - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn test() -> impl Strategy<Value = Test> {
        // Bits at both ends and around the middle: values of eight bits, spread.
        let value = || any::<u8>().prop_map(spread);
        prop_oneof![
            value().prop_map(Test::AtLeast),
            value().prop_map(Test::AtMost),
            (value(), value()).prop_map(|(mask, bits)| Test::Bits { mask, bits: bits & mask }),
            (value(), value()).prop_map(|(mask, bits)| Test::NotBits { mask, bits: bits & mask }),
            value().prop_map(|bits| Test::NotBits { mask: u64::MAX, bits }),
        ]
    }

    fn spread(byte: u8) -> u64 {
        [0, 1, 2, 31, 32, 33, 62, 63]
            .iter()
            .enumerate()
            .map(|(n, place)| u64::from(byte >> n & 1) << place)
            .sum()
    }

    proptest! {
        #[test]
        fn there_is_a_value_just_if_one_satisfies_every_test(
            tests in prop::collection::vec(test(), 0..6),
        ) {
            let mut word = Word::full(Width::Wide);
            for &test in &tests {
                word.require(test);
            }
            let found = word.witness(&mut Work::new()).unwrap();
            let near = |value: u64| [value.checked_sub(1), Some(value), value.checked_add(1)];
            for value in (0..=255).map(spread).flat_map(near).flatten() {
                if tests.iter().all(|test| test.holds(value)) {
                    prop_assert!(found.is_some(), "{value}");
                }
            }
            if let Some(found) = found {
                prop_assert!(tests.iter().all(|test| test.holds(found)));
            }
        }

        #[test]
        fn a_negated_test_holds_just_where_the_test_does_not(test in test(), byte: u8) {
            let value = spread(byte);
            prop_assert_ne!(test.holds(value), test.negated(Width::Wide).holds(value));
        }

        #[test]
        fn least_from_is_the_next_with_these_bits(from: u8, mask: u8, bits: u8) {
            let found = least_from(from.into(), mask.into(), (bits & mask).into());
            let first = (u64::from(from)..512).find(|v| v & u64::from(mask) == u64::from(bits & mask));
            prop_assert_eq!(found, first);
        }
    }

    #[test]
    fn an_endless_puzzle_is_given_up() {
        let mut word = Word::full(Width::Wide);
        for n in 0..60 {
            for bits in 0..7 {
                word.require(Test::NotBits { mask: 7 << n, bits: bits << n });
            }
        }
        word.require(Test::NotBits { mask: u64::MAX >> 2, bits: u64::MAX >> 2 });
        assert_eq!(word.witness(&mut Work::of(20)), Err(Exhausted));
    }
}
