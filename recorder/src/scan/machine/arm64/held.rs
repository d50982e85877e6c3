//! What registers can hold at each instruction, as far as it is an address: it is followed over all ways through the
//! code until nothing new comes. Pure.

use std::collections::{BTreeSet, HashMap};

use super::Word;
use crate::scan::step::{Flow, Place, Source, Step};

/// How many numbers one register can hold: where a loop counts an address up, the first ones do.
const NUMBERS: usize = 8;

/// How often each instruction is looked at, on average.
const PATIENCE: usize = 64;

/// What a register can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Held {
    Number(u64),
    /// What the pointer at this address points to.
    Pointer(u64),
}

/// What all registers can hold, by register; nothing where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers(Vec<(u8, Held)>);

impl Registers {
    /// What one can hold.
    pub(super) fn of(&self, register: u8) -> impl Iterator<Item = Held> {
        let first = self.0.partition_point(|(of, _)| *of < register);
        self.0[first..].iter().take_while(move |(of, _)| *of == register).map(|(_, held)| *held)
    }

    /// Takes in what they can hold on another way; whether that is more.
    fn join(&mut self, other: &Self) -> bool {
        let before = self.0.len();
        for (register, held) in &other.0 {
            self.add(*register, *held);
        }
        self.0.len() > before
    }

    fn add(&mut self, register: u8, held: Held) {
        let Err(place) = self.0.binary_search(&(register, held)) else { return };
        let numbers = self.of(register).filter(|held| matches!(held, Held::Number(_))).count();
        if numbers < NUMBERS || matches!(held, Held::Pointer(_)) {
            self.0.insert(place, (register, held));
        }
    }

    /// Takes in what an instruction writes, and what it has loaded.
    fn apply(&mut self, step: &Step, loaded: &[(u8, Held)]) {
        let written = step.writes.iter().filter_map(|(place, source)| match place {
            Place::Register(register) => Some((*register, self.from(*source))),
            _ => None,
        });
        // All is read before anything is written.
        let written: Vec<_> = written.collect();
        for (register, all) in written {
            self.0.retain(|(of, _)| *of != register);
            for held in all {
                self.add(register, held);
            }
        }
        for (register, held) in loaded {
            self.add(*register, *held);
        }
    }

    fn from(&self, source: Source) -> Vec<Held> {
        match source {
            Source::Constant(value) => vec![Held::Number(value)],
            Source::Copy(Place::Register(from)) => self.of(from).collect(),
            Source::Either(Place::Register(one), Place::Register(other)) => {
                self.of(one).chain(self.of(other)).collect()
            }
            Source::Changed(Place::Register(from), change) => {
                let numbers = self.of(from).filter_map(|held| match held {
                    Held::Number(value) => Some(Held::Number(change.apply(value))),
                    Held::Pointer(_) => None,
                });
                numbers.collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What an instruction loads into which registers.
pub(super) type Loads<'l> = &'l dyn Fn(&Word, &Registers) -> Vec<(u8, Held)>;

/// Tells of each instruction what registers can hold before and after it. Instructions are by address, and need not be one
/// after the other.
pub(super) fn follow(
    words: &[Word],
    steps: &[Step],
    loads: Loads<'_>,
    tell: &mut dyn FnMut(&Word, &Registers, &Registers),
) {
    let code = Blocks::new(words, steps);
    let begin = code.solve(words, steps, loads);
    for (block, mut now) in (0..).zip(begin) {
        for number in code.range(block) {
            let before = now.clone();
            now.apply(&steps[number], &loads(&words[number], &before));
            tell(&words[number], &before, &now);
        }
    }
}

/// The code in pieces that are entered at their beginnings alone.
struct Blocks {
    /// The first instruction of each.
    first: Vec<usize>,
    /// How many instructions there are.
    count: usize,
    /// Where each goes on, as far as the code says.
    next: Vec<Vec<usize>>,
    /// Those that go on anywhere, and those that nothing else leads to: by a table, it may be.
    from_anywhere: BTreeSet<usize>,
    anywhere: Vec<usize>,
}

impl Blocks {
    fn new(words: &[Word], steps: &[Step]) -> Self {
        let by_address: HashMap<u64, usize> =
            words.iter().enumerate().map(|(number, word)| (word.at, number)).collect();
        let target = |step: &Step| match step.flow {
            Flow::Jump(to) | Flow::Branch(to) => by_address.get(&to).copied(),
            _ => None,
        };
        let called = |step: &Step| match step.flow {
            Flow::Call(to) => by_address.get(&to).copied(),
            _ => None,
        };
        let follows = |number: usize| {
            let next = words.get(number + 1)?;
            (next.at == words[number].next()).then_some(number + 1)
        };
        let mut begins = BTreeSet::new();
        for (number, step) in steps.iter().enumerate() {
            begins.extend(target(step).into_iter().chain(called(step)));
            if number == 0 || follows(number - 1).is_none() {
                begins.insert(number);
            }
            if !matches!(step.flow, Flow::Next | Flow::Call(_)) && number + 1 < steps.len() {
                begins.insert(number + 1);
            }
        }
        let first: Vec<usize> = begins.into_iter().collect();
        let block: HashMap<usize, usize> = first.iter().copied().zip(0..).collect();
        let mut code = Self {
            next: vec![Vec::new(); first.len()],
            first,
            count: steps.len(),
            from_anywhere: BTreeSet::new(),
            anywhere: Vec::new(),
        };
        let mut entered: BTreeSet<usize> = steps
            .iter()
            .filter_map(called)
            .filter_map(|called| block.get(&called).copied())
            .collect();
        entered.insert(0);
        for number in 0..code.first.len() {
            let Some(last) = code.range(number).last() else { continue };
            let goes_on = matches!(steps[last].flow, Flow::Next | Flow::Call(_) | Flow::Branch(_));
            let after = follows(last).filter(|_| goes_on);
            let next = [target(&steps[last]), after].into_iter().flatten();
            code.next[number] = next.filter_map(|next| block.get(&next).copied()).collect();
            entered.extend(&code.next[number]);
            if steps[last].flow == Flow::Anywhere {
                code.from_anywhere.insert(number);
            }
        }
        code.anywhere = (0..code.first.len()).filter(|block| !entered.contains(block)).collect();
        code
    }

    /// The instructions of a block.
    fn range(&self, block: usize) -> std::ops::Range<usize> {
        self.first[block]..self.first.get(block + 1).copied().unwrap_or(self.count)
    }

    /// What registers can hold where each block begins.
    fn solve(&self, words: &[Word], steps: &[Step], loads: Loads<'_>) -> Vec<Registers> {
        let mut begin = vec![Registers::default(); self.first.len()];
        let mut by_table = Registers::default();
        let mut left: BTreeSet<usize> = (0..self.first.len()).collect();
        let mut patience = words.len().saturating_mul(PATIENCE);
        while let Some(block) = left.pop_first() {
            let mut now = begin[block].clone();
            for number in self.range(block) {
                let loaded = loads(&words[number], &now);
                now.apply(&steps[number], &loaded);
            }
            patience = patience.saturating_sub(self.range(block).len());
            let mut goes_on = self.next[block].clone();
            if self.from_anywhere.contains(&block) && by_table.join(&now) {
                goes_on.extend(&self.anywhere);
            }
            for next in goes_on {
                if begin[next].join(&now) && patience > 0 {
                    left.insert(next);
                }
            }
        }
        begin
    }
}
