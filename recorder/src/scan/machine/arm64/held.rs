//! What registers can hold at each instruction, as far as it is an address: it is followed over all ways through the
//! code until nothing new comes. Pure.

use std::{collections::BTreeSet, ops::Range};

use yaxpeax_arm::armv8::a64::Opcode;

use super::{
    operands::{self, Address},
    word::Word,
};
use crate::scan::step::{Flow, Place, Source, Step};

/// How many numbers one register can hold: where a loop counts an address up, the first ones do.
const NUMBERS: usize = 8;

/// How often each instruction is looked at, on average.
const PATIENCE: usize = 64;

/// What a register can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Held {
    Address(u64),
    /// What the pointer at this address points to.
    Pointer(u64),
}

/// What all registers can hold, by register; nothing where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers(Vec<(u8, Held)>);

impl Registers {
    /// Whether nothing is known of any.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What one can hold.
    pub(super) fn of(&self, register: u8) -> impl Iterator<Item = Held> {
        let first = self.0.partition_point(|(of, _)| *of < register);
        self.0[first..].iter().take_while(move |(of, _)| *of == register).map(|(_, held)| *held)
    }

    /// Takes in what they can hold on another way; whether that is more.
    fn join(&mut self, other: &Self) -> bool {
        // Mostly it is nothing new: both are sorted, and are looked through side by side.
        let mut own = self.0.iter().peekable();
        let new = other.0.iter().filter(|held| {
            while own.next_if(|own| own < held).is_some() {}
            own.peek() != Some(held)
        });
        let new: Vec<_> = new.copied().collect();
        let before = self.0.len();
        for (register, held) in new {
            self.add(register, held);
        }
        self.0.len() > before
    }

    fn add(&mut self, register: u8, held: Held) {
        let Err(place) = self.0.binary_search(&(register, held)) else { return };
        let addresses = self.of(register).filter(|held| matches!(held, Held::Address(_))).count();
        if addresses < NUMBERS || matches!(held, Held::Pointer(_)) {
            self.0.insert(place, (register, held));
        }
    }

    /// Takes in what an instruction writes and loads.
    fn apply(&mut self, word: &Word, step: &Step, known: &dyn Fn(u64) -> bool) {
        // Another number than these two make is none of an address.
        let makes = word.is(&[Opcode::ADR, Opcode::ADRP]);
        if self.is_empty() && !makes && !word.is(&[Opcode::LDR]) {
            return;
        }
        // All is read before anything is written.
        let mut new = Vec::new();
        for load in operands::loads(word) {
            let mut from = |place| {
                if known(place) {
                    new.push((load.to, Held::Pointer(place)));
                }
            };
            match load.from {
                Address::Known(place) => from(place),
                Address::Of(base, by) => {
                    for held in self.of(base) {
                        if let Held::Address(address) = held {
                            from(address.wrapping_add_signed(by));
                        }
                    }
                }
            }
        }
        for (place, source) in &step.writes {
            if let Place::Register(register) = place {
                self.take(*source, makes, &mut |held| new.push((*register, held)));
            }
        }
        self.0.retain(|(of, _)| !step.changes(Place::Register(*of)));
        for (register, held) in new {
            self.add(register, held);
        }
    }

    /// What comes from a source. `makes`: its numbers are addresses.
    pub(super) fn take(&self, source: Source, makes: bool, give: &mut dyn FnMut(Held)) {
        match source {
            Source::Constant(value) if makes => give(Held::Address(value)),
            Source::Copy(Place::Register(from)) => self.of(from).for_each(give),
            Source::Either(Place::Register(one), Place::Register(other)) => {
                self.of(one).chain(self.of(other)).for_each(give);
            }
            Source::Changed(Place::Register(from), change) => {
                for held in self.of(from) {
                    if let Held::Address(value) = held {
                        give(Held::Address(change.apply(value)));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Tells of each instruction what registers can hold before it. `known` are the addresses of pointers. Instructions are by
/// address, and need not be one after the other.
pub(super) fn follow(
    words: &[Word],
    steps: &[Step],
    known: &dyn Fn(u64) -> bool,
    tell: &mut dyn FnMut(&Word, &Step, &Registers),
) {
    let code = Blocks::new(words, steps);
    for (block, mut now) in code.solve(words, steps, known).into_iter().enumerate() {
        for number in code.range(block) {
            tell(&words[number], &steps[number], &now);
            now.apply(&words[number], &steps[number], known);
        }
    }
}

/// The code in pieces that are entered at their beginnings alone.
struct Blocks {
    /// The first instruction of each.
    first: Vec<usize>,
    /// How many instructions there are.
    count: usize,
    /// Where each goes on, as far as the code says: where it jumps to, and what comes after it.
    next: Vec<[Option<usize>; 2]>,
    /// Whether it goes on anywhere as well.
    goes_anywhere: Vec<bool>,
    /// Those that nothing else leads to: they are entered so, by a table.
    entered_so: Vec<usize>,
}

impl Blocks {
    fn new(words: &[Word], steps: &[Step]) -> Self {
        let find = |to: u64| words.binary_search_by_key(&to, |word| word.at).ok();
        let target = |step: &Step| match step.flow {
            Flow::Jump(to) | Flow::Branch(to) => find(to),
            _ => None,
        };
        let called = |step: &Step| match step.flow {
            Flow::Call(to) => find(to),
            _ => None,
        };
        let follows = |number: usize| {
            let next = words.get(number + 1)?;
            (next.at == words[number].next()).then_some(number + 1)
        };
        let mut begins = vec![false; steps.len()];
        let mut entered = vec![false; steps.len()];
        for (number, step) in steps.iter().enumerate() {
            if let Some(to) = target(step).or_else(|| called(step)) {
                (begins[to], entered[to]) = (true, true);
            }
            begins[number] |= number == 0 || follows(number - 1).is_none();
            if let Some(next) = follows(number) {
                begins[next] |= !matches!(step.flow, Flow::Next | Flow::Call(_));
                entered[next] |= step.flow.goes_on();
            }
        }
        let first: Vec<usize> = (0..steps.len()).filter(|number| begins[*number]).collect();
        let block = |number: usize| first.binary_search(&number).ok();
        let last = |of: usize| first.get(of + 1).map_or(steps.len(), |next| *next) - 1;
        let next = (0..first.len()).map(|of| {
            let step = &steps[last(of)];
            let after = follows(last(of)).filter(|_| step.flow.goes_on());
            [target(step), after].map(|number| number.and_then(block))
        });
        let next = next.collect();
        let goes_anywhere =
            (0..first.len()).map(|of| steps[last(of)].flow == Flow::Anywhere).collect();
        let entered_so = (1..first.len()).filter(|of| !entered[first[*of]]).collect();
        Self { next, goes_anywhere, entered_so, count: steps.len(), first }
    }

    /// The instructions of a block.
    fn range(&self, block: usize) -> Range<usize> {
        self.first[block]..self.first.get(block + 1).copied().unwrap_or(self.count)
    }

    /// What registers can hold where each block begins.
    fn solve(&self, words: &[Word], steps: &[Step], known: &dyn Fn(u64) -> bool) -> Vec<Registers> {
        let mut begin = vec![Registers::default(); self.first.len()];
        if !words.iter().any(|word| word.is(&[Opcode::ADR, Opcode::ADRP])) {
            return begin;
        }
        let mut by_table = Registers::default();
        let mut left: BTreeSet<usize> = (0..self.first.len()).collect();
        let mut patience = words.len().saturating_mul(PATIENCE);
        while let Some(block) = left.pop_first() {
            let mut now = begin[block].clone();
            for number in self.range(block) {
                now.apply(&words[number], &steps[number], known);
            }
            patience = patience.saturating_sub(self.range(block).len());
            let mut enter = |next: usize| {
                if begin[next].join(&now) && patience > 0 {
                    left.insert(next);
                }
            };
            self.next[block].into_iter().flatten().for_each(&mut enter);
            if self.goes_anywhere[block] && by_table.join(&now) {
                self.entered_so.iter().copied().for_each(&mut enter);
            }
        }
        begin
    }
}
