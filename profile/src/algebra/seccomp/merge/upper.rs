//! Merged rules that let more through than the merged default: those of all profiles, side by side. Pure.

use std::collections::BTreeSet;

use super::union::{Alternative, Union};
use crate::algebra::seccomp::{
    condition::{Conditions, express, tests},
    region::Region,
    verdict::Verdict,
    word::Width,
    work::{Exhausted, Work},
};

/// The rules of all profiles that let more through than the default.
pub(super) fn rules(
    all: &BTreeSet<Alternative>,
    default: Verdict,
    work: &mut Work,
) -> Result<Union, Exhausted> {
    let above = all.iter().filter(|(verdict, _)| *verdict > default).cloned();
    let rules = maximal(above.collect());
    let Some((most, _)) = rules.last().cloned() else { return Ok(Union::default()) };
    if rules.first().is_some_and(|(verdict, _)| *verdict == most) {
        return Ok(Union { rules, is_widened: false });
    }
    if let Some(apart) = apart(&rules, work)? {
        return Ok(Union { rules: maximal(apart), is_widened: false });
    }
    let lifted = rules.into_iter().map(|(_, conditions)| (most, conditions)).collect();
    Ok(Union { rules: maximal(lifted), is_widened: true })
}

/// Leaves out the rules that another one covers which lets as much through. Too many to compare stay as they are.
pub(super) fn maximal(rules: BTreeSet<Alternative>) -> BTreeSet<Alternative> {
    uncovered(&rules, &mut Work::new()).unwrap_or(rules)
}

fn uncovered(
    rules: &BTreeSet<Alternative>,
    work: &mut Work,
) -> Result<BTreeSet<Alternative>, Exhausted> {
    // The one that lets most through first, and of equal ones the one with the fewest conditions.
    let mut ordered: Vec<_> = rules.iter().cloned().collect();
    ordered.sort_by(|a, b| (b.0, a.1.len(), &a.1).cmp(&(a.0, b.1.len(), &b.1)));
    let mut kept: Vec<Alternative> = Vec::new();
    for rule in ordered {
        let mut is_covered = false;
        for other in &kept {
            is_covered = is_covered || covers(&other.1, &rule.1, work)?;
        }
        if is_covered {
            continue;
        }
        let mut still = Vec::with_capacity(kept.len() + 1);
        for other in kept {
            if other.0 != rule.0 || !covers(&rule.1, &other.1, work)? {
                still.push(other);
            }
        }
        still.push(rule);
        kept = still;
    }
    Ok(kept.into_iter().collect())
}

/// Whether the first conditions hold wherever the second do, whatever the width of words.
fn covers(outer: &Conditions, inner: &Conditions, work: &mut Work) -> Result<bool, Exhausted> {
    if outer.is_empty() || outer == inner {
        return Ok(true);
    }
    for width in [Width::Wide, Width::Narrow] {
        let inside = Region::full(width).within(&tests(inner, width), work)?;
        if let Some(inside) = inside
            && !inside.inside(&tests(outer, width), work)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same rules without overlap between those that say different things, if they can be written so.
fn apart(
    rules: &BTreeSet<Alternative>,
    work: &mut Work,
) -> Result<Option<BTreeSet<Alternative>>, Exhausted> {
    let mut result = BTreeSet::new();
    for (verdict, conditions) in rules {
        let region = Region::full(Width::Wide).within(&tests(conditions, Width::Wide), work)?;
        let mut pieces: Vec<_> = region.into_iter().collect();
        let mut is_whole = true;
        for (_, higher) in rules.iter().filter(|(other, _)| other > verdict) {
            let higher = tests(higher, Width::Wide);
            let mut left = Vec::new();
            for piece in pieces {
                if piece.within(&higher, work)?.is_some() {
                    is_whole = false;
                    left.extend(piece.without(&higher, work)?);
                } else {
                    left.push(piece);
                }
            }
            pieces = left;
        }
        if is_whole {
            result.insert((*verdict, conditions.clone()));
            continue;
        }
        for piece in pieces {
            let Some(conditions) = express(&piece, work)? else { return Ok(None) };
            result.insert((*verdict, conditions));
        }
    }
    Ok(Some(result))
}
