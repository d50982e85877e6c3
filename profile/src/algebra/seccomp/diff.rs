//! What one profile does that another does not, call by call and as text. Pure.

use std::fmt;

use super::{
    call::{Abi, Call},
    region::{Region, Tests},
    rules::Rules,
    semantics::abis,
    subset::Pair,
    verdict::Verdict,
    work::{Exhausted, Unresolved, Work},
};
use crate::kinds::seccomp::{Arch, Arg, Flag, Operator, SeccompProfileSpec};

/// What differs between two profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// What happens to system calls that no rule names, in both, where that differs.
    pub default: Option<(Verdict, Verdict)>,
    /// Architectures that only the left one serves, and only the right one.
    pub architectures: (Vec<Arch>, Vec<Arch>),
    /// Flags that only the left one has, and only the right one.
    pub flags: (Vec<Flag>, Vec<Flag>),
    /// The sockets that decide on NOTIFY, where they differ.
    pub listeners: Option<(Option<String>, Option<String>)>,
    /// Calls to which something else happens.
    pub changes: Vec<Change>,
    /// System calls of which it would have taken too long to find out.
    pub undecided: Vec<String>,
}

/// Calls to which something else happens under one profile than under the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The system calls, sorted.
    pub names: Vec<String>,
    /// What the left profile does, and when.
    pub left: Case,
    /// What the right profile does, and when.
    pub right: Case,
    /// A call of the first of the names for which it is so.
    pub example: Call,
}

/// What a profile does, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The conditions of the rule that applies; none where none does.
    pub conditions: Option<Vec<Arg>>,
    /// What happens.
    pub verdict: Verdict,
}

/// Finds what differs. Nothing does just if every call meets the same fate under both.
pub fn diff(left: &SeccompProfileSpec, right: &SeccompProfileSpec) -> Result<Diff, Unresolved> {
    let (l, r) = (Rules::new(left)?, Rules::new(right)?);
    let mut diff = Diff {
        default: (l.default != r.default).then_some((l.default, r.default)),
        architectures: apart(
            &l.foreign().filter_map(arch).collect::<Vec<_>>(),
            &r.foreign().filter_map(arch).collect::<Vec<_>>(),
        ),
        flags: apart(&left.flags, &right.flags),
        listeners: (left.listener_path != right.listener_path)
            .then(|| (left.listener_path.clone(), right.listener_path.clone())),
        ..Diff::default()
    };
    let pair = Pair { left: &l, right: &r };
    let names = pair.named();
    let mut work = Work::new();
    for abi in abis(&l, &r).into_iter().filter(|abi| l.serves(*abi) && r.serves(*abi)) {
        for name in &names {
            match differing(pair, abi, name, &mut work) {
                Ok(changes) => changes.into_iter().for_each(|change| diff.add(change)),
                Err(Exhausted) => diff.undecided.push((*name).to_owned()),
            }
        }
    }
    diff.undecided.sort_unstable();
    diff.undecided.dedup();
    Ok(diff)
}

fn arch(abi: Abi) -> Option<Arch> {
    match abi {
        Abi::Other(arch) => Some(arch),
        Abi::Own | Abi::OwnNarrow => None,
    }
}

/// What is in one list only, and what is in the other only.
fn apart<T: Ord + Copy>(left: &[T], right: &[T]) -> (Vec<T>, Vec<T>) {
    let without = |these: &[T], those: &[T]| {
        let mut only: Vec<_> = these.iter().filter(|one| !those.contains(one)).copied().collect();
        only.sort_unstable();
        only.dedup();
        only
    };
    (without(left, right), without(right, left))
}

/// One of the cases of a profile: what its calls satisfy, and what they do not.
struct Part<'r> {
    tests: &'r [(u8, super::word::Test)],
    but: Vec<&'r Tests>,
    case: Case,
}

fn differing(
    pair: Pair<'_, '_>,
    abi: Abi,
    name: &str,
    work: &mut Work,
) -> Result<Vec<Change>, Exhausted> {
    if pair.is_same(name) {
        return Ok(Vec::new());
    }
    let (left, right) = (pair.left.of(name, abi.width()), pair.right.of(name, abi.width()));
    let region = Region::full(abi.width());
    let mut found = Vec::new();
    for l in parts(&left, pair.left.default) {
        let Some(inside) = region.within(l.tests, work)? else { continue };
        for r in parts(&right, pair.right.default) {
            if l.case.verdict == r.case.verdict {
                continue;
            }
            let Some(both) = inside.within(r.tests, work)? else { continue };
            let but = l.but.iter().chain(&r.but).copied();
            if let Some(args) = both.outside(but, work)? {
                found.push(Change {
                    names: vec![name.to_owned()],
                    left: l.case.clone(),
                    right: r.case,
                    example: Call { abi, syscall: name.to_owned(), args },
                });
            }
        }
    }
    Ok(found)
}

fn parts<'r>(rules: &'r [super::rules::Rule<'_>], default: Verdict) -> Vec<Part<'r>> {
    let otherwise = Part {
        tests: &[],
        but: rules.iter().map(|rule| &rule.tests).collect(),
        case: Case { conditions: None, verdict: default },
    };
    let ruled = rules.iter().map(|rule| Part {
        tests: &rule.tests,
        // Where rules disagree, the one that lets most through.
        but: rules.iter().filter(|o| o.verdict > rule.verdict).map(|o| &o.tests).collect(),
        case: Case { conditions: Some(rule.source.args.to_vec()), verdict: rule.verdict },
    });
    ruled.chain([otherwise]).collect()
}

impl Diff {
    /// Whether the profiles do the same.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds a change, to one that is the same for other names if there is one.
    fn add(&mut self, change: Change) {
        let same =
            |known: &&mut Change| (&known.left, &known.right) == (&change.left, &change.right);
        match self.changes.iter_mut().find(same) {
            Some(known) => {
                let new = change.names.into_iter().filter(|name| !known.names.contains(name));
                let new: Vec<_> = new.collect();
                known.names.extend(new);
            }
            None => self.changes.push(change),
        }
    }
}

impl fmt::Display for Diff {
    /// One line for each difference: `+` lets more through on the right, `-` less, `~` is another sort of the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((left, right)) = self.default {
            writeln!(f, "{} any other system call: {left} -> {right}", sign(left, right))?;
        }
        for (sign, archs) in [('-', &self.architectures.0), ('+', &self.architectures.1)] {
            archs.iter().try_for_each(|arch| writeln!(f, "{sign} architecture {arch}"))?;
        }
        for (sign, flags) in [('-', &self.flags.0), ('+', &self.flags.1)] {
            flags.iter().try_for_each(|flag| writeln!(f, "{sign} flag {flag}"))?;
        }
        if let Some((left, right)) = &self.listeners {
            let shown = |path: &Option<String>| path.clone().unwrap_or_else(|| "none".to_owned());
            writeln!(f, "~ listener: {} -> {}", shown(left), shown(right))?;
        }
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        for name in &self.undecided {
            writeln!(f, "? {name}: too many conditions to compare")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, right) = (self.left.verdict, self.right.verdict);
        write!(
            f,
            "{} {}: {} -> {}",
            sign(left, right),
            self.names.join(", "),
            self.left,
            self.right
        )
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        for (n, arg) in self.conditions.iter().flatten().enumerate() {
            let and = if n == 0 { " if" } else { " and" };
            let value = arg.value.unwrap_or_default();
            let sign = match arg.op {
                Operator::NotEqual => "!=",
                Operator::Less => "<",
                Operator::LessOrEqual => "<=",
                Operator::Equal => "==",
                Operator::GreaterOrEqual => ">=",
                Operator::Greater => ">",
                Operator::MaskedEqual => "&",
            };
            write!(f, "{and} arg {} {sign} {value}", arg.index)?;
            if arg.op == Operator::MaskedEqual {
                write!(f, " == {}", arg.value_two.unwrap_or_default())?;
            }
        }
        Ok(())
    }
}

fn sign(left: Verdict, right: Verdict) -> char {
    match right.reach().cmp(&left.reach()) {
        std::cmp::Ordering::Greater => '+',
        std::cmp::Ordering::Less => '-',
        std::cmp::Ordering::Equal => '~',
    }
}
