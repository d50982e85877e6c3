//! What tables and data in a file tell of its functions, whatever the code says. Pure.

use std::ops::Range;

use profile::kinds::seccomp::Arch;

use super::super::{
    elf::{Image, Part, Slot},
    go, unwind,
};

/// What a table tells of functions.
pub(super) struct Known {
    /// By address, and apart.
    pub(super) ranges: Vec<Range<u64>>,
    /// By address.
    pub(super) names: Vec<(u64, String)>,
}

/// Asks the unwinder's table, Go's, and the symbols.
pub(super) fn known(image: &Image<'_>) -> Known {
    let mut ranges = Vec::new();
    if let Some(table) = &image.unwind {
        ranges.extend(unwind::functions(table, image.arch != Arch::X86));
    }
    let text = image.code.iter().max_by_key(|part| part.bytes.len());
    let go = image.go.as_ref().zip(text).map(|(table, text)| go::functions(table, text.address));
    let go = go.unwrap_or_default();
    let ends = go.iter().skip(1).map(|function| function.address);
    ranges.extend(go.iter().zip(ends).map(|(function, end)| (function.address, end)));
    ranges.sort_unstable();
    let mut names: Vec<_> =
        image.functions.iter().map(|symbol| (symbol.address, symbol.name.to_owned())).collect();
    names.extend(go.into_iter().map(|function| (function.address, function.name)));
    names.sort_by_key(|(address, _)| *address);
    let mut apart: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        // Two that overlap: the later one cuts the earlier one short.
        if let Some(last) = apart.last_mut() {
            last.end = last.end.min(start);
            if last.is_empty() {
                apart.pop();
            }
        }
        if start < end {
            apart.push(start..end);
        }
    }
    Known { ranges: apart, names }
}

/// Whether a table tells of nearly all code: then what is left is not what a compiler has made, and may be data.
pub(super) fn is_covered(image: &Image<'_>, ranges: &[Range<u64>]) -> bool {
    let code = image.code.iter().filter(|part| !part.stubs);
    let all: u64 = code.map(|part| part.bytes.len() as u64).sum();
    let known: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    known > all / 8 * 7
}

/// The ranges that are in a part of the code as a whole. Stubs are looked at one by one.
pub(super) fn within<'r>(ranges: &'r [Range<u64>], part: &Part<'_>) -> &'r [Range<u64>] {
    if part.stubs {
        return &[];
    }
    let all = part.range();
    let first = ranges.partition_point(|range| range.start < all.start);
    let rest = &ranges[first..];
    let last = rest.partition_point(|range| range.end <= all.end);
    &rest[..last]
}

/// A part of the code, cut into what is known to be functions, and what is between (`true`).
pub(super) fn pieces(part: &Part<'_>, ranges: &[Range<u64>]) -> Vec<(Range<u64>, bool)> {
    let mut pieces = Vec::new();
    let all = part.range();
    let mut at = all.start;
    for range in ranges {
        if at < range.start {
            pieces.push((at..range.start, true));
        }
        pieces.push((range.clone(), false));
        at = range.end;
    }
    if at < all.end {
        pieces.push((at..all.end, true));
    }
    pieces
}

/// What is known to begin whatever the code says, by address.
pub(super) fn symbols(image: &Image<'_>) -> Vec<u64> {
    let symbols = image.functions.iter().map(|symbol| symbol.address);
    let slots = image.slots.values().filter_map(|slot| match slot {
        Slot::Here(address) | Slot::Chosen(address) => Some(*address),
        Slot::Name(_) => None,
    });
    let entries = image.entries.iter().copied();
    let words = words(image).filter(|address| image.is_code(*address));
    let mut all: Vec<_> = symbols.chain(entries).chain(slots).chain(words).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The words in the data of a program that stays where it was linked to, which does not tell its pointers.
pub(crate) fn words(image: &Image<'_>) -> impl Iterator<Item = u64> {
    let size = if image.arch == Arch::X86 { 4 } else { 8 };
    let data = image.data.iter().filter(|_| image.fixed);
    let words = data.flat_map(move |part| part.bytes.chunks_exact(size));
    words.map(|word| word.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}
