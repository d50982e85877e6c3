//! Merged rules that let less through than the merged default: what every profile denies. Pure.

use std::collections::BTreeSet;

use super::{
    union::{Alternative, Input, Union},
    upper::maximal,
};
use crate::algebra::seccomp::{
    condition::{express, tests},
    region::{Region, Tests},
    verdict::Verdict,
    word::Width,
    work::{Exhausted, Work},
};

/// In how many pieces a system call is cut before it is left to the default.
const PIECES: usize = 256;

/// Calls, and the most that happens to them under the profiles looked at.
type Piece = (Region, Verdict);

/// The rules for the calls that every profile lets less through of than the default.
pub(super) fn rules(
    inputs: &[Input],
    default: Verdict,
    is_wide: bool,
    work: &mut Work,
) -> Result<Union, Exhausted> {
    let is_below = |input: &Input| {
        input.default < default || input.rules.iter().any(|(verdict, _)| *verdict < default)
    };
    if !inputs.iter().all(is_below) {
        return Ok(Union::default());
    }
    if let [only] = inputs
        && let Some(rules) = as_they_stand(only, default)
    {
        return Ok(Union { rules: maximal(rules), is_widened: false });
    }
    if is_wide {
        // What conditions have in common is something else on a narrow architecture.
        return Ok(Union { rules: BTreeSet::new(), is_widened: true });
    }
    let mut pieces = vec![(Region::full(Width::Wide), Verdict::LEAST)];
    for input in inputs {
        pieces = below(&pieces, input, default, work)?;
        if pieces.len() > PIECES {
            return Ok(Union { rules: BTreeSet::new(), is_widened: true });
        }
    }
    let mut union = Union::default();
    for (region, verdict) in pieces {
        match express(&region, work)? {
            Some(conditions) => drop(union.rules.insert((verdict, conditions))),
            None => union.is_widened = true,
        }
    }
    union.rules = maximal(union.rules);
    Ok(union)
}

/// The rules of one profile, if they all say the same.
fn as_they_stand(input: &Input, default: Verdict) -> Option<BTreeSet<Alternative>> {
    let (verdict, _) = input.rules.first()?;
    let same = input.default == default && input.rules.iter().all(|rule| rule.0 == *verdict);
    same.then(|| input.rules.clone())
}

/// The parts of the pieces that the profile, too, lets less through of than the default.
fn below(
    pieces: &[Piece],
    input: &Input,
    default: Verdict,
    work: &mut Work,
) -> Result<Vec<Piece>, Exhausted> {
    let rules: Vec<_> =
        input.rules.iter().map(|(verdict, c)| (*verdict, tests(c, Width::Wide))).collect();
    let mut found = Vec::new();
    for (region, so_far) in pieces {
        for (verdict, tests) in rules.iter().filter(|(verdict, _)| *verdict < default) {
            // Where rules disagree, the one that lets most through.
            let more = rules.iter().filter(|(other, _)| other > verdict).map(|(_, tests)| tests);
            let inside = region.within(tests, work)?;
            let left = without_all(inside.into_iter().collect(), more, work)?;
            found.extend(left.into_iter().map(|piece| (piece, *verdict.max(so_far))));
        }
        if input.default < default {
            let left = rules.iter().map(|(_, tests)| tests);
            let left = without_all(vec![region.clone()], left, work)?;
            found.extend(left.into_iter().map(|piece| (piece, input.default.max(*so_far))));
        }
        if found.len() > PIECES {
            break;
        }
    }
    Ok(found)
}

/// What is left of the regions where none of these conditions hold.
fn without_all<'t>(
    mut regions: Vec<Region>,
    all: impl Iterator<Item = &'t Tests>,
    work: &mut Work,
) -> Result<Vec<Region>, Exhausted> {
    for tests in all {
        let mut left = Vec::new();
        for region in regions {
            if region.within(tests, work)?.is_some() {
                left.extend(region.without(tests, work)?);
            } else {
                left.push(region);
            }
        }
        regions = left;
    }
    Ok(regions)
}
