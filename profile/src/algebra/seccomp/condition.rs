//! The conditions of a rule in one spelling, so that equal ones are found equal. Pure.

use super::{
    region::{Region, Tests},
    word::{Test, Width},
    work::{Exhausted, Work},
};
use crate::kinds::seccomp::{Arg, ArgValue, Operator};

/// Conditions that all have to hold, by index.
pub(crate) type Conditions = Vec<Condition>;

/// One condition on an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Condition {
    index: u8,
    op: Operator,
    value: u64,
    two: u64,
}

impl Condition {
    fn new(arg: &Arg) -> Self {
        let value = arg.value.unwrap_or_default().0;
        let two = arg.value_two.unwrap_or_default().0;
        let (op, value, two) = match arg.op {
            Operator::MaskedEqual if value == u64::MAX => (Operator::Equal, two, 0),
            Operator::MaskedEqual => (arg.op, value, two & value),
            op => (op, value, 0),
        };
        Self { index: arg.index, op, value, two }
    }

    /// The condition that a rule writes for a test, of 64 bits.
    fn of_test(index: u8, test: Test) -> Option<Self> {
        let (op, value, two) = match test {
            Test::AtLeast(least) => (Operator::GreaterOrEqual, least, 0),
            Test::AtMost(most) => (Operator::LessOrEqual, most, 0),
            Test::Bits { mask: u64::MAX, bits } => (Operator::Equal, bits, 0),
            Test::Bits { mask, bits } => (Operator::MaskedEqual, mask, bits),
            Test::NotBits { mask: u64::MAX, bits } => (Operator::NotEqual, bits, 0),
            // A single bit is other than this just if it is the other.
            Test::NotBits { mask, bits } if mask.is_power_of_two() => {
                (Operator::MaskedEqual, mask, bits ^ mask)
            }
            Test::NotBits { .. } | Test::Never => return None,
        };
        Some(Self { index, op, value, two })
    }

    fn arg(self) -> Arg {
        Arg {
            index: self.index,
            op: self.op,
            value: Some(ArgValue(self.value)),
            value_two: (self.op == Operator::MaskedEqual).then_some(ArgValue(self.two)),
        }
    }

    /// Whether it, or its contrary, is another condition for words of 32 bits.
    pub(crate) fn is_wide(self) -> bool {
        let by_bits =
            matches!(self.op, Operator::Equal | Operator::NotEqual | Operator::MaskedEqual);
        // 2^32-1 is the last value of a narrow word, and has one after it in a wide one.
        (self.value | self.two) >> 32 != 0 || (!by_bits && self.value == u64::from(u32::MAX))
    }
}

/// The conditions of a rule.
pub(crate) fn conditions(args: &[Arg]) -> Conditions {
    let empty_mask = |c: &Condition| c.op == Operator::MaskedEqual && c.value == 0;
    let mut conditions: Conditions =
        args.iter().map(Condition::new).filter(|c| !empty_mask(c)).collect();
    conditions.sort_unstable();
    conditions
}

/// The conditions as a rule writes them.
pub(crate) fn args(conditions: &[Condition]) -> Vec<Arg> {
    conditions.iter().map(|condition| condition.arg()).collect()
}

/// What the conditions test.
pub(crate) fn tests(conditions: &[Condition], width: Width) -> Tests {
    conditions.iter().map(|c| (c.index, Test::new(&c.arg(), width))).collect()
}

/// The conditions that hold for just the calls of a region, if one for each argument is enough.
pub(crate) fn express(region: &Region, work: &mut Work) -> Result<Option<Conditions>, Exhausted> {
    let mut conditions = Conditions::new();
    for (index, word) in (0..).zip(region.words()) {
        let needed = word.tests();
        if needed.is_empty() {
            continue;
        }
        let mut enough = None;
        for test in needed.iter().copied().chain(word.single(work)?) {
            let Some(condition) = Condition::of_test(index, test) else { continue };
            if word.is_all_of(test, work)? {
                enough = Some(condition);
                break;
            }
        }
        match enough {
            // One that means something else on a narrow architecture is of no use.
            Some(condition) if !condition.is_wide() => conditions.push(condition),
            _ => return Ok(None),
        }
    }
    Ok(Some(conditions))
}
