//! Which functions a file has, and what each instruction in them that matters does. Pure.

use std::{collections::HashSet, ops::Range};

use super::{
    elf::Image,
    fact::{Fact, Kind},
    machine,
};

pub(crate) use tables::words;

use reader::{Reader, cut};
use tables::{Known, is_covered, known, pieces, symbols, within};

mod reader;
mod tables;

/// How often what was taken for one function is cut.
const ROUNDS: usize = 4;

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

/// Where a file has the names of functions of the kernel's own page.
fn texts(image: &Image<'_>) -> HashSet<u64> {
    let mut found = HashSet::new();
    let prefix = machine::vdso(image.arch).as_bytes();
    for part in image.data.iter().filter(|part| !part.writable) {
        let places = part.bytes.windows(prefix.len()).enumerate();
        let places = places.filter(|(_, window)| *window == prefix);
        found.extend(places.map(|(offset, _)| part.address.wrapping_add(offset as u64)));
    }
    found
}

/// The call behind a function of the kernel's own page, by the address of its name.
pub(crate) fn behind_vdso<'a>(image: &Image<'a>, address: u64) -> Option<&'a str> {
    image.text(address)?.strip_prefix(machine::vdso(image.arch))
}
