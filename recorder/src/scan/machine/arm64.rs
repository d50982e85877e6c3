//! Instructions of arm64. Pure.
//!
//! An address takes two instructions: one has the page, and the other what is to be added, anywhere after it. So what
//! registers can hold is followed through the code first (`held`), and then it is told what each instruction does.

use std::collections::HashSet;

use profile::kinds::seccomp::Arch;
use yaxpeax_arm::armv8::a64::Opcode;

use crate::scan::{
    fact::{After, Fact, Kind, Seen},
    step::{Flow, Place, Step},
};
use held::{Held, Registers};
use word::{SIZE, Word, words};

mod effect;
mod held;
mod operands;
#[cfg(test)]
mod tests;
mod word;

/// Where the kernel finds the number of a call.
pub(crate) const NUMBER: Place = Place::Register(8);

/// What a function is given in registers (AAPCS64).
const ARGUMENTS: std::ops::RangeInclusive<u8> = 0..=7;

/// What the code from an address on does, instruction after instruction.
pub(crate) fn facts(code: &[u8], address: u64, seen: &mut Seen<'_>) {
    let words: Vec<_> = words(code, address).collect();
    let read = Code { words: &words, bytes: code, address };
    read.facts(seen);
    // Nothing at all runs on.
    let mut last = After::Stops;
    for word in &words {
        let padding = last != After::GoesOn && word.is_padding();
        if !padding {
            last = after(word);
        }
        // After a call that does not come back, code is filled up to the next function.
        if !padding || last == After::GoesOn {
            seen.goes_on(word.next(), last);
        }
    }
    // A call at the end of a function does not come back.
    if last == After::GoesOn && seen.next.is_none() {
        let end = address.saturating_add(code.len() as u64);
        let (at, kind) = (end.saturating_sub(1), Kind::Runs(end));
        seen.facts.extend([Fact { at, kind }, Fact { at, kind: Kind::Leaves }]);
    }
}

/// What the code does that is reached from a place in it, as far as jumps say where they go.
pub(crate) fn descend(
    code: &[u8],
    address: u64,
    start: u64,
    done: &mut HashSet<u64>,
    seen: &mut Seen<'_>,
) {
    let mut words = Vec::new();
    let mut left = vec![start];
    while let Some(start) = left.pop() {
        let mut at = start;
        while at.is_multiple_of(SIZE)
            && let Some(word) = word::at(code, address, at)
            && done.insert(at)
        {
            let after = after(&word);
            seen.goes_on(word.next(), after);
            match effect::flow(&word) {
                Flow::Jump(to) | Flow::Branch(to) | Flow::Call(to) => left.push(to),
                _ => {}
            }
            at = word.next();
            words.push(word);
            if after == After::Stops {
                break;
            }
        }
    }
    words.sort_unstable_by_key(|word| word.at);
    Code { words: &words, bytes: code, address }.facts(seen);
}

/// The instructions of a function.
pub(crate) fn steps(code: &[u8], address: u64) -> Vec<Step> {
    let mut compared = None;
    let steps = words(code, address).map(|word| {
        let mut step = effect::step(&word);
        step.known = effect::known(&word, compared);
        compared = effect::compares(&word);
        step
    });
    steps.collect()
}

fn after(word: &Word) -> After {
    match effect::flow(word) {
        Flow::Jump(_) | Flow::Anywhere | Flow::Stop => After::Stops,
        _ if word.is_call() => After::Called,
        Flow::Next | Flow::Call(_) | Flow::Branch(_) => After::GoesOn,
    }
}

/// Instructions by address, not all of them one after the other, and the code that they are of.
struct Code<'c> {
    words: &'c [Word],
    bytes: &'c [u8],
    address: u64,
}

impl Code<'_> {
    fn facts(&self, seen: &mut Seen<'_>) {
        let steps: Vec<_> = self.words.iter().map(effect::step).collect();
        held::follow(self.words, &steps, seen.known, &mut |word, step, registers| {
            self.flow(word, step, seen);
            addresses(word, step, registers, seen);
            if !registers.is_empty() {
                self.pointers(word, step, registers, seen);
            }
        });
    }

    /// Whether it goes on outside.
    fn leaves(&self, step: &Step, word: &Word) -> bool {
        match step.flow {
            Flow::Jump(to) | Flow::Branch(to) => {
                let end = self.address.saturating_add(self.bytes.len() as u64);
                !(self.address..end).contains(&to)
            }
            Flow::Anywhere => true,
            Flow::Stop => word.is(&operands::RETURNS),
            Flow::Next | Flow::Call(_) => false,
        }
    }

    fn flow(&self, word: &Word, step: &Step, seen: &mut Seen<'_>) {
        let (at, leaves) = (word.at, self.leaves(step, word));
        let between = seen.next.is_some();
        let mut tell = |kind| seen.facts.push(Fact { at, kind });
        match step.flow {
            Flow::Call(to) => tell(Kind::Call(to)),
            // Where no table tells where functions begin, one may begin there.
            Flow::Jump(to) | Flow::Branch(to) if leaves || between => {
                tell(Kind::Jump(to));
                tell(Kind::Leaves);
            }
            Flow::Anywhere | Flow::Stop if leaves => tell(Kind::Leaves),
            Flow::Next if word.is(&[Opcode::SVC]) => tell(Kind::Kernel(Arch::Aarch64)),
            _ => {}
        }
    }

    /// What becomes of pointers that were loaded.
    fn pointers(&self, word: &Word, step: &Step, registers: &Registers, seen: &mut Seen<'_>) {
        let mut tell = |kind| seen.facts.push(Fact { at: word.at, kind });
        let goes_to = operands::goes_to(word);
        for held in goes_to.into_iter().flat_map(|register| registers.of(register)) {
            match (held, word.is_call()) {
                (Held::Pointer(place), true) => tell(Kind::CallBy(place)),
                (Held::Pointer(place), false) => tell(Kind::JumpBy(place)),
                (Held::Address(to), true) if (seen.known)(to) => tell(Kind::Call(to)),
                (Held::Address(to), false) if (seen.known)(to) => tell(Kind::Jump(to)),
                (Held::Address(_), _) => {}
            }
        }
        // One that is used, and not to call what it points to alone, or that somebody else can use.
        let mut used = operands::reads(word);
        if word.is_call() || self.leaves(step, word) {
            used.extend(ARGUMENTS.filter(|register| Some(*register) != goes_to));
        }
        for held in used.into_iter().flat_map(|register| registers.of(register)) {
            if let Held::Pointer(place) = held {
                tell(Kind::Read(place));
            }
        }
    }
}

/// The addresses that an instruction makes.
fn addresses(word: &Word, step: &Step, registers: &Registers, seen: &mut Seen<'_>) {
    if !operands::makes_address(word) {
        return;
    }
    for (_, source) in &step.writes {
        registers.take(*source, true, &mut |held| match held {
            Held::Address(address) if (seen.known)(address) => {
                seen.facts.push(Fact { at: word.at, kind: Kind::Address(address) });
            }
            _ => {}
        });
    }
}
