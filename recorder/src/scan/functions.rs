//! Which functions a file has, and what each instruction in them that matters does. Pure.

use std::{collections::HashSet, ops::Range};

use profile::kinds::seccomp::Arch;

use super::{
    elf::{Image, Part, Slot},
    fact::{Fact, Kind, Seen},
    go, unwind, x86,
};

/// A function, or a piece of code that is taken for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) range: Range<u64>,
    /// As its symbols or Go's table call it; empty where nothing does.
    pub(crate) name: String,
}

/// The code of a file.
#[derive(Debug)]
pub(crate) struct Code {
    /// By address, and apart.
    pub(crate) functions: Vec<Function>,
    /// By address.
    pub(crate) facts: Vec<Fact>,
    /// Where no table tells of functions, by address.
    pub(crate) gaps: Vec<Range<u64>>,
    /// Where something is known to go on, in these.
    pub(crate) next: HashSet<u64>,
    /// Functions that never come back.
    pub(crate) ends: HashSet<u32>,
}

impl Code {
    /// The function that an address is in.
    pub(crate) fn find(&self, address: u64) -> Option<u32> {
        let after = self.functions.partition_point(|function| function.range.start <= address);
        let number = after.checked_sub(1)?;
        let holds = self.functions[number].range.contains(&address);
        holds.then(|| u32::try_from(number).ok()).flatten()
    }

    /// The function that a number in code or data means, if it is meant to be an address at all.
    pub(crate) fn meant(&self, address: u64) -> Option<u32> {
        let number = self.find(address)?;
        let begins = self.functions[number as usize].range.start == address;
        (begins || self.is_gap(address)).then_some(number)
    }

    /// Whether no table tells what is there.
    pub(crate) fn is_gap(&self, address: u64) -> bool {
        let after = self.gaps.partition_point(|gap| gap.start <= address);
        after.checked_sub(1).is_some_and(|last| self.gaps[last].contains(&address))
    }

    /// Reads all code of a file.
    pub(crate) fn read(image: &Image<'_>) -> Self {
        let texts = texts(image);
        let Known { ranges, names } = known(image);
        let known = |address: u64| {
            image.is_code(address) || image.slots.contains_key(&address) || texts.contains(&address)
        };
        let mut reader = Reader {
            image,
            known: &known,
            begin: symbols(image),
            facts: Vec::new(),
            next: HashSet::new(),
        };
        let gaps = reader.functions(&ranges);
        if is_covered(image, &ranges) {
            reader.gaps_by_flow(&gaps);
        } else {
            reader.gaps_by_line(&gaps);
        }
        let Reader { mut begin, mut facts, next, .. } = reader;
        facts.sort_by_key(|fact| fact.at);
        let (functions, ends) = (Vec::new(), HashSet::new());
        let mut code = Self { functions, facts, gaps, next, ends };
        for _ in 0..ROUNDS {
            begin.sort_unstable();
            begin.dedup();
            code.functions = functions_of(image, &ranges, &begin, &names);
            let more = code.jumped_into();
            if more.is_empty() {
                break;
            }
            begin.extend(more);
        }
        code.ends = code.without_end();
        code
    }

    /// Where other functions jump to in the middle of what was taken for one.
    fn jumped_into(&self) -> Vec<u64> {
        let jumps = self.facts.iter().filter_map(|fact| match fact.kind {
            Kind::Jump(to) => Some((fact.at, to)),
            _ => None,
        });
        let into = jumps.filter(|(at, to)| {
            let inside = self.find(*to).filter(|number| self.find(*at) != Some(*number));
            let begins = inside.map(|number| self.functions[number as usize].range.start);
            begins.is_some_and(|start| start != *to && self.is_gap(*to))
        });
        into.map(|(_, to)| to).collect()
    }

    /// Functions of which a table tells, and which nothing leaves.
    fn without_end(&self) -> HashSet<u32> {
        let leaves = self.facts.iter().filter(|fact| fact.kind == Kind::Leaves);
        let leaving: HashSet<_> = leaves.filter_map(|fact| self.find(fact.at)).collect();
        let all = (0..).zip(&self.functions);
        let others = all.filter(|(number, function)| {
            !leaving.contains(number) && !self.is_gap(function.range.start)
        });
        others.map(|(number, _)| number).collect()
    }
}

/// Whether a table tells of nearly all code: then what is left is not what a compiler has made, and may be data.
fn is_covered(image: &Image<'_>, ranges: &[Range<u64>]) -> bool {
    let code = image.code.iter().filter(|part| !part.stubs);
    let all: u64 = code.map(|part| part.bytes.len() as u64).sum();
    let known: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    known > all / 8 * 7
}

struct Reader<'r, 'a> {
    image: &'r Image<'a>,
    known: &'r dyn Fn(u64) -> bool,
    /// Where something begins.
    begin: Vec<u64>,
    facts: Vec<Fact>,
    next: HashSet<u64>,
}

impl Reader<'_, '_> {
    /// Reads what a table tells of, and gives what it does not.
    fn functions(&mut self, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
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
        x86::facts(self.image.arch, code, address, &mut seen);
    }

    /// Reads all of the code that no table tells of.
    fn gaps_by_line(&mut self, gaps: &[Range<u64>]) {
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
    fn gaps_by_flow(&mut self, gaps: &[Range<u64>]) {
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
            x86::descend(self.image.arch, code, gap.start, start, &mut done, &mut seen);
            let new =
                self.facts[before..].iter().filter(|fact| !matches!(fact.kind, Kind::Jump(_)));
            let new: Vec<_> = new.filter_map(begins).collect();
            self.begin.extend(&new);
            left.extend(new);
        }
    }
}

/// How often what was taken for one function is cut.
const ROUNDS: usize = 4;

/// Jumps that go less far stay in a function, where nothing else tells.
const NEAR: u64 = 0x1000;

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

/// What a table tells of functions.
struct Known {
    /// By address, and apart.
    ranges: Vec<Range<u64>>,
    /// By address.
    names: Vec<(u64, String)>,
}

fn known(image: &Image<'_>) -> Known {
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

/// The ranges that are in a part of the code as a whole. Stubs are looked at one by one.
fn within<'r>(ranges: &'r [Range<u64>], part: &Part<'_>) -> &'r [Range<u64>] {
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
fn pieces(part: &Part<'_>, ranges: &[Range<u64>]) -> Vec<(Range<u64>, bool)> {
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
fn symbols(image: &Image<'_>) -> Vec<u64> {
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

/// A range, cut at these places.
fn cut(range: &Range<u64>, places: &[u64]) -> Vec<Range<u64>> {
    let first = places.partition_point(|place| *place <= range.start);
    let inside = places[first..].iter().take_while(|place| **place < range.end);
    let bounds = std::iter::once(range.start).chain(inside.copied());
    let bounds: Vec<_> = bounds.chain([range.end]).collect();
    bounds.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

fn functions_of(
    image: &Image<'_>,
    ranges: &[Range<u64>],
    starts: &[u64],
    names: &[(u64, String)],
) -> Vec<Function> {
    let name = |address: u64| {
        let first = names.partition_point(|(at, _)| *at < address);
        let found = names.get(first).filter(|(at, _)| *at == address);
        found.map(|(_, name)| name.clone()).unwrap_or_default()
    };
    let mut functions = Vec::new();
    for part in &image.code {
        for (range, gap) in pieces(part, within(ranges, part)) {
            if !gap {
                functions.push(Function { name: name(range.start), range });
                continue;
            }
            functions.extend(
                cut(&range, starts)
                    .into_iter()
                    .map(|range| Function { name: name(range.start), range }),
            );
        }
    }
    functions
}

/// What the names of functions in the kernel's own page of code begin with.
const VDSO: &[u8] = b"__vdso_";

/// Where a file has the names of functions of the kernel's own page.
fn texts(image: &Image<'_>) -> HashSet<u64> {
    let mut found = HashSet::new();
    for part in image.data.iter().filter(|part| !part.writable) {
        let places = part.bytes.windows(VDSO.len()).enumerate();
        let places = places.filter(|(_, window)| *window == VDSO);
        found.extend(places.map(|(offset, _)| part.address.wrapping_add(offset as u64)));
    }
    found
}

/// The call behind a function of the kernel's own page, by the address of its name.
pub(crate) fn behind_vdso<'a>(image: &Image<'a>, address: u64) -> Option<&'a str> {
    image.text(address)?.strip_prefix("__vdso_")
}
