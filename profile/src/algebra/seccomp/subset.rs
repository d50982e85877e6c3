//! Whether one profile lets no more through than another, and if not, a call that shows it. Pure.

use super::{
    call::{Abi, Call},
    region::{Region, Tests},
    rules::{Rule, Rules},
    semantics::abis,
    verdict::{Reach, Verdict},
    work::{Exhausted, Unresolved, Work},
};
use crate::kinds::seccomp::SeccompProfileSpec;

/// Whether a profile is at most as permissive as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subset {
    /// No call comes further under the first than under the second.
    Yes,
    /// This call does.
    No(Counterexample),
    /// This call may: rules of one of the profiles disagree on it, so that nobody knows.
    Ambiguous(Counterexample),
    /// It would have taken too long to find out.
    Undecided,
}

/// A call that comes further under the first profile than under the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The call.
    pub call: Call,
    /// The most that happens to it under the first profile.
    pub left: Verdict,
    /// The least that happens to it under the second.
    pub right: Verdict,
}

/// Whether the left profile is at most as permissive as the right one.
///
/// Compared is how far calls come ([`Reach`]): whether they run, run if another process says so, or do not run. How they
/// are denied, and whether they are logged, is for diff to tell.
pub fn subset(left: &SeccompProfileSpec, right: &SeccompProfileSpec) -> Result<Subset, Unresolved> {
    let (left, right) = (Rules::new(left)?, Rules::new(right)?);
    let pair = Pair { left: &left, right: &right };
    let mut answer = Subset::Yes;
    let mut work = Work::new();
    for abi in abis(&left, &right) {
        for name in pair.names() {
            match pair.exceeding(abi, &name, &mut work) {
                Ok(Subset::Yes) => {}
                Ok(no @ Subset::No(_)) => return Ok(no),
                Ok(maybe) if answer == Subset::Yes => answer = maybe,
                Err(Exhausted) => answer = Subset::Undecided,
                Ok(_) => {}
            }
        }
    }
    Ok(answer)
}

/// Two profiles that are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'p, 's> {
    pub(crate) left: &'p Rules<'s>,
    pub(crate) right: &'p Rules<'s>,
}

impl<'s> Pair<'_, 's> {
    /// The system calls that at least one of them names.
    pub(crate) fn named(&self) -> Vec<&'s str> {
        let mut names: Vec<_> = self.left.names().chain(self.right.names()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether both make the same filter for a system call, whatever it does.
    pub(crate) fn is_same(&self, name: &str) -> bool {
        self.left.default == self.right.default
            && self.left.sources(name) == self.right.sources(name)
    }

    /// The system calls that at least one of them names, and after them one that neither does.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.named().into_iter().map(str::to_owned).collect();
        names.push(unnamed(|name| names.iter().any(|known| known == name)));
        names
    }

    fn exceeding(&self, abi: Abi, name: &str, work: &mut Work) -> Result<Subset, Exhausted> {
        let both = self.right.serves(abi) && self.is_same(name);
        if both || !self.left.serves(abi) {
            return Ok(Subset::Yes);
        }
        let width = abi.width();
        let left = Half { default: self.left.default, rules: self.left.of(name, width) };
        let right = if self.right.serves(abi) {
            Half { default: self.right.default, rules: self.right.of(name, width) }
        } else {
            Half { default: Verdict::UNSERVED, rules: Vec::new() }
        };
        for certain in [true, false] {
            for reach in [Reach::Runs, Reach::Asked] {
                let reaching = left.reaching(reach, certain);
                let falling = right.falling(reach, certain);
                let region = Region::full(width);
                let Some(args) = common(&region, &reaching, &falling, work)? else { continue };
                let call = Call { abi, syscall: name.to_owned(), args };
                let found = Counterexample {
                    left: self.left.outcome(&call).most,
                    right: self.right.outcome(&call).least,
                    call,
                };
                return Ok(if certain { Subset::No(found) } else { Subset::Ambiguous(found) });
            }
        }
        Ok(Subset::Yes)
    }
}

/// A system call that is not named.
pub(crate) fn unnamed(is_named: impl Fn(&str) -> bool) -> String {
    const SELDOM: [&str; 6] =
        ["vserver", "afs_syscall", "tuxcall", "uselib", "sysfs", "lookup_dcookie"];
    let seldom = SELDOM.iter().find(|name| !is_named(name)).map(|name| (*name).to_owned());
    // Names without end, and profiles with one.
    let made_up = || (0..=u32::MAX).map(|n| format!("unnamed_{n}")).find(|name| !is_named(name));
    seldom.or_else(made_up).expect("a profile names finitely many")
}

/// What one profile does with one system call.
struct Half<'s> {
    default: Verdict,
    rules: Vec<Rule<'s>>,
}

/// Calls that satisfy all of the tests (any call, without) and none of the others.
struct Part<'h> {
    tests: &'h [(u8, super::word::Test)],
    but: Vec<&'h Tests>,
}

impl Half<'_> {
    /// The calls that come as far: for certain, or perhaps.
    fn reaching(&self, reach: Reach, certain: bool) -> Vec<Part<'_>> {
        self.parts(certain, |verdict| verdict.reach() >= reach)
    }

    /// The calls that do not come as far: for certain, or perhaps.
    fn falling(&self, reach: Reach, certain: bool) -> Vec<Part<'_>> {
        self.parts(certain, |verdict| verdict.reach() < reach)
    }

    /// The calls whose verdict is wanted: every one that applies (certain), or any.
    fn parts(&self, certain: bool, wanted: impl Fn(Verdict) -> bool) -> Vec<Part<'_>> {
        let unwanted =
            || self.rules.iter().filter(|r| !certain || !wanted(r.verdict)).map(|r| &r.tests);
        let mut parts: Vec<_> = self
            .rules
            .iter()
            .filter(|rule| wanted(rule.verdict))
            .map(|rule| Part {
                tests: &rule.tests,
                but: if certain { unwanted().collect() } else { Vec::new() },
            })
            .collect();
        if wanted(self.default) {
            // What no rule applies to; or, where every rule that may apply is wanted too, all but the unwanted.
            let but: Vec<_> = unwanted().collect();
            if certain {
                parts.clear();
            }
            parts.push(Part { tests: &[], but });
        }
        parts
    }
}

/// The arguments of a call that is in one of these parts and in one of those.
fn common(
    region: &Region,
    these: &[Part<'_>],
    those: &[Part<'_>],
    work: &mut Work,
) -> Result<Option<[u64; 6]>, Exhausted> {
    for this in these {
        let Some(inside) = region.within(this.tests, work)? else { continue };
        for that in those {
            let Some(inside) = inside.within(that.tests, work)? else { continue };
            let but = this.but.iter().chain(&that.but).copied();
            let found = inside.outside(but, work)?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}
