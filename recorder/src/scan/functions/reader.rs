//! Reads code: what a table tells of as it is, and the rest by line or by what is reached. Pure.

use std::{collections::HashSet, ops::Range};

use super::{
    super::{
        elf::{Image, Part},
        fact::{Fact, Kind, Seen},
        machine,
    },
    tables::{pieces, within},
};

/// Jumps that go less far stay in a function, where nothing else tells.
const NEAR: u64 = 0x1000;

/// What is read of a file's code, as far as it has been read.
pub(super) struct Reader<'r, 'a> {
    pub(super) image: &'r Image<'a>,
    pub(super) known: &'r dyn Fn(u64) -> bool,
    /// Where something begins.
    pub(super) begin: Vec<u64>,
    pub(super) facts: Vec<Fact>,
    pub(super) next: HashSet<u64>,
}

impl Reader<'_, '_> {
    /// Reads what a table tells of, and gives what it does not.
    pub(super) fn functions(&mut self, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        for part in &self.image.code {
            for (range, gap) in pieces(part, within(ranges, part)) {
                if gap {
                    gaps.push(range);
                } else if let Some(code) = bytes(part, &range) {
                    self.read(code, range.start, false);
                }
            }
        }
        let begun: Vec<_> = self.facts.iter().filter_map(begins).collect();
        self.begin.extend(begun);
        gaps
    }

    fn read(&mut self, code: &[u8], address: u64, gap: bool) {
        let mut seen = Seen {
            facts: &mut self.facts,
            known: self.known,
            fixed: self.image.fixed,
            next: gap.then_some(&mut self.next),
        };
        machine::facts(self.image.arch, code, address, &mut seen);
    }

    /// Reads all of the code that no table tells of.
    pub(super) fn gaps_by_line(&mut self, gaps: &[Range<u64>]) {
        let begin = self.begin.clone();
        for gap in gaps {
            // Data between code may have been misread: it begins anew where something is known to begin.
            for piece in cut(gap, &begin) {
                let part = self.image.code.iter().find(|part| part.range().contains(&piece.start));
                if let Some(code) = part.and_then(|part| bytes(part, &piece)) {
                    self.read(code, piece.start, true);
                }
            }
        }
        let near = |fact: &Fact| match fact.kind {
            Kind::Jump(to) if to.abs_diff(fact.at) < NEAR => None,
            _ => begins(fact),
        };
        let begun: Vec<_> = self.facts.iter().filter_map(near).collect();
        self.begin.extend(begun);
    }

    /// Reads what is reached of the code that no table tells of.
    pub(super) fn gaps_by_flow(&mut self, gaps: &[Range<u64>]) {
        let mut done = HashSet::new();
        let mut left = self.begin.clone();
        while let Some(start) = left.pop() {
            let after = gaps.partition_point(|gap| gap.start <= start);
            let Some(gap) = after.checked_sub(1).map(|last| &gaps[last]) else { continue };
            if !gap.contains(&start) || done.contains(&start) {
                continue;
            }
            let part = self.image.code.iter().find(|part| part.range().contains(&gap.start));
            let Some(code) = part.and_then(|part| bytes(part, gap)) else { continue };
            let before = self.facts.len();
            let mut seen = Seen {
                facts: &mut self.facts,
                known: self.known,
                fixed: self.image.fixed,
                next: Some(&mut self.next),
            };
            machine::descend(self.image.arch, code, gap.start, start, &mut done, &mut seen);
            let new =
                self.facts[before..].iter().filter(|fact| !matches!(fact.kind, Kind::Jump(_)));
            let new: Vec<_> = new.filter_map(begins).collect();
            self.begin.extend(&new);
            left.extend(new);
        }
    }
}

/// Where something begins, as an instruction says.
fn begins(fact: &Fact) -> Option<u64> {
    match fact.kind {
        Kind::Call(to) | Kind::Address(to) | Kind::Jump(to) | Kind::Runs(to) => Some(to),
        _ => None,
    }
}

fn bytes<'a>(part: &Part<'a>, range: &Range<u64>) -> Option<&'a [u8]> {
    let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
    part.at(range.start)?.get(..length)
}

/// A range, cut at these places.
pub(super) fn cut(range: &Range<u64>, places: &[u64]) -> Vec<Range<u64>> {
    let first = places.partition_point(|place| *place <= range.start);
    let inside = places[first..].iter().take_while(|place| **place < range.end);
    let bounds = std::iter::once(range.start).chain(inside.copied());
    let bounds: Vec<_> = bounds.chain([range.end]).collect();
    bounds.windows(2).map(|pair| pair[0]..pair[1]).collect()
}
