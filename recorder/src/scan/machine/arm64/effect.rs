//! What instructions of arm64 write. Pure.

use yaxpeax_arm::armv8::a64::{Opcode, Operand, ShiftStyle, SizeCode};

use super::{
    operands::{
        Access, LAST, Memory, Moved, RETURNS, access, general, immediate, in_memory, register, size,
    },
    word::Word,
};
use crate::scan::step::{Change, Flow, FramePointer, Place, Source, StackPointer, Step};

/// What a function may change that is called (AAPCS64): x0 to x18, and where to come back to.
const CALLEE_CHANGES: std::ops::RangeInclusive<u8> = 0..=18;
const LINK: u8 = 30;

const FRAME: u16 = 29;

/// Conditions: equal, or not.
const EQUAL: u8 = 0;
const NOT_EQUAL: u8 = 1;

/// Where it goes on.
pub(super) fn flow(word: &Word) -> Flow {
    use Opcode as O;
    let Some(instruction) = &word.instruction else { return Flow::Next };
    let to = instruction.operands.iter().find_map(|operand| match operand {
        Operand::PCOffset(by) => Some(word.at.wrapping_add_signed(*by)),
        _ => None,
    });
    match (instruction.opcode, to) {
        (O::B, Some(to)) => Flow::Jump(to),
        (O::BL, Some(to)) => Flow::Call(to),
        (O::Bcc(_) | O::BCcc(_) | O::CBZ | O::CBNZ | O::TBZ | O::TBNZ, Some(to)) => {
            Flow::Branch(to)
        }
        _ if word.is_jump_by_register() => Flow::Anywhere,
        (O::UDF | O::BRK | O::HLT | O::ERET | O::ERETAA | O::ERETAB | O::DRPS, _) => Flow::Stop,
        (opcode, _) if RETURNS.contains(&opcode) => Flow::Stop,
        _ => Flow::Next,
    }
}

/// What is compared with which number.
pub(super) fn compares(word: &Word) -> Option<(Place, u64)> {
    match word.operands() {
        [Operand::Register(_, LAST), Operand::RegisterOrSP(_, of), with, ..]
            if word.is(&[Opcode::SUBS]) =>
        {
            Some((Place::Register(register(*of)?), immediate(with)?))
        }
        _ => None,
    }
}

/// What is known by the way that is taken from a branch, after what was compared.
pub(super) fn known(word: &Word, compared: Option<(Place, u64)>) -> Option<(Place, u64, bool)> {
    let instruction = word.instruction.as_ref()?;
    let zero = |jumped| Some((Place::Register(general(&instruction.operands[0])?), 0, jumped));
    match instruction.opcode {
        Opcode::Bcc(EQUAL) => compared.map(|(place, value)| (place, value, true)),
        Opcode::Bcc(NOT_EQUAL) => compared.map(|(place, value)| (place, value, false)),
        Opcode::CBZ => zero(true),
        Opcode::CBNZ => zero(false),
        _ => None,
    }
}

/// What one does.
pub(super) fn step(word: &Word) -> Step {
    let mut step = Step::new(word.at);
    step.flow = flow(word);
    let Some(instruction) = &word.instruction else {
        // Whatever it is, this is where others have what they write.
        step.set((word.bits & 0x1f) as u16, Source::Unknown);
        return step;
    };
    if word.is_call() {
        step.lose(CALLEE_CHANGES.chain([LINK]));
        return step;
    }
    if instruction.opcode == Opcode::SVC {
        step.lose([0]);
        return step;
    }
    if let Some((registers, memory)) = in_memory(word) {
        step.memory(access(instruction.opcode), registers, memory);
    } else if !step.count(word) && !step.moves(word) {
        step.other(word);
    }
    if step.frame == FramePointer::Kept
        && register(FRAME).is_some_and(|frame| step.changes(Place::Register(frame)))
    {
        step.frame = FramePointer::Unknown;
    }
    step
}

fn place(base: u16, offset: i64) -> Option<Place> {
    match base {
        LAST => Some(Place::Stack(offset)),
        FRAME => Some(Place::Frame(offset)),
        _ => None,
    }
}

/// What is left of a value in such a register.
fn narrowed(size: SizeCode, value: u64) -> u64 {
    if size == SizeCode::W { value & u64::from(u32::MAX) } else { value }
}

impl Step {
    fn set(&mut self, to: u16, source: Source) {
        if let Some(to) = register(to) {
            self.write(Place::Register(to), source);
        }
    }

    fn memory(&mut self, access: Access, registers: &[Operand], memory: Memory) {
        let Memory { base, offset, moved } = memory;
        for (number, operand) in (0..).zip(registers) {
            let size = size(operand);
            let at = |more| place(base, offset?.checked_add(number * size)?.checked_add(more)?);
            match access {
                Access::Load => {
                    if let Some(to) = general(operand) {
                        let source = at(0).map_or(Source::Unknown, Source::Copy);
                        self.write(Place::Register(to), source);
                    }
                }
                Access::Store => {
                    let source = match operand {
                        Operand::Register(_, LAST) => Source::Constant(0),
                        other => general(other)
                            .map_or(Source::Unknown, |from| Source::Copy(Place::Register(from))),
                    };
                    self.writes.extend(at(0).map(|place| (place, source)));
                    if size == 16 {
                        self.writes.extend(at(8).map(|place| (place, Source::Unknown)));
                    }
                }
                Access::StorePart => self.writes.extend(at(0).map(|at| (at, Source::Unknown))),
                Access::Other => {
                    self.lose(general(operand));
                    self.writes.extend(at(0).map(|at| (at, Source::Unknown)));
                    if let Operand::RegisterPair(_, first) = operand {
                        self.set(*first, Source::Unknown);
                        self.set(first + 1, Source::Unknown);
                    }
                }
            }
        }
        match (base, moved) {
            (_, Moved::Not) => {}
            (LAST, Moved::By(by)) => self.stack = StackPointer::Moved(by),
            (LAST, Moved::Unknown) => self.stack = StackPointer::Unknown,
            (base, Moved::By(by)) => {
                let from = register(base).map(Place::Register);
                let by = Change::Add(by.cast_unsigned());
                let source = from.map_or(Source::Unknown, |from| Source::Changed(from, by));
                self.set(base, source);
            }
            (base, Moved::Unknown) => self.set(base, Source::Unknown),
        }
    }

    /// Additions of numbers, by which stack and frame move, too.
    fn count(&mut self, word: &Word) -> bool {
        use Opcode as O;
        let Some(instruction) = &word.instruction else { return false };
        let (to, from, by) = match &instruction.operands {
            [Operand::RegisterOrSP(_, to), Operand::RegisterOrSP(_, from), by, ..] => {
                (Ok(*to), *from, by)
            }
            // The flags are set, and a last register is none.
            [Operand::Register(_, to), Operand::RegisterOrSP(_, from), by, ..] => {
                (Err(*to), *from, by)
            }
            _ => return false,
        };
        let Some(by) = immediate(by) else { return false };
        let by = match instruction.opcode {
            O::ADD | O::ADDS => by,
            O::SUB | O::SUBS => by.wrapping_neg(),
            _ => return false,
        };
        match (to, from) {
            (Ok(LAST), LAST) => self.stack = StackPointer::Moved(by.cast_signed()),
            (Ok(LAST), FRAME) => self.stack = StackPointer::OfFrame(by.cast_signed()),
            (Ok(LAST), _) => self.stack = StackPointer::Unknown,
            (Ok(to) | Err(to), LAST) => {
                if to == FRAME {
                    self.frame = FramePointer::OfStack(by.cast_signed());
                }
                self.set(to, Source::Unknown);
            }
            (Ok(to) | Err(to), from) => {
                let from = register(from).map(Place::Register);
                let source = |from| Source::Changed(from, Change::Add(by));
                self.set(to, from.map_or(Source::Unknown, source));
            }
        }
        true
    }

    /// What comes to be in a register, where that can be followed.
    fn moves(&mut self, word: &Word) -> bool {
        use Opcode as O;
        let Some(instruction) = &word.instruction else { return false };
        let at = word.at;
        let changed = |from: u16, change| {
            let from = register(from).map(Place::Register);
            from.map(|from| Source::Changed(from, change))
        };
        let (to, source) = match (instruction.opcode, &instruction.operands) {
            (O::MOVZ, [Operand::Register(_, to), Operand::ImmShift(value, by), ..]) => {
                (to, Some(Source::Constant(u64::from(*value) << by)))
            }
            (O::MOVN, [Operand::Register(size, to), Operand::ImmShift(value, by), ..]) => {
                (to, Some(Source::Constant(narrowed(*size, !(u64::from(*value) << by)))))
            }
            (O::MOVK, [Operand::Register(_, to), Operand::ImmShift(value, by), ..]) => {
                let (mask, bits) = (0xffff << by, u64::from(*value) << by);
                (to, changed(*to, Change::Set { mask, bits }))
            }
            (O::ADR, [Operand::Register(_, to), Operand::PCOffset(by), ..]) => {
                (to, Some(Source::Constant(at.wrapping_add_signed(*by))))
            }
            (O::ADRP, [Operand::Register(_, to), Operand::PCOffset(by), ..]) => {
                (to, Some(Source::Constant((at & !0xfff).wrapping_add_signed(*by))))
            }
            (O::ORR, [Operand::RegisterOrSP(_, to), Operand::Register(_, from), value, ..]) => {
                let value = immediate(value);
                let source = value.and_then(|value| match *from {
                    LAST => Some(Source::Constant(value)),
                    from => changed(from, Change::Or(value)),
                });
                (to, source.filter(|_| *to != LAST))
            }
            (
                O::ORR,
                [
                    Operand::Register(_, to),
                    Operand::Register(_, LAST),
                    Operand::RegShift(ShiftStyle::LSL, 0, _, from),
                    ..,
                ],
            ) => (to, Some(copy(*from))),
            (O::AND, [Operand::RegisterOrSP(_, to), Operand::Register(_, from), value, ..]) => {
                let source = immediate(value).and_then(|by| changed(*from, Change::And(by)));
                (to, source.filter(|_| *to != LAST))
            }
            (O::EOR, [Operand::RegisterOrSP(_, to), Operand::Register(_, from), value, ..]) => {
                let source = immediate(value).and_then(|by| changed(*from, Change::Xor(by)));
                (to, source.filter(|_| *to != LAST))
            }
            (
                opcode @ (O::UBFM | O::SBFM),
                [
                    Operand::Register(size, to),
                    Operand::Register(_, from),
                    Operand::Immediate(right),
                    Operand::Immediate(last),
                ],
            ) => (to, field(opcode, *size, *from, *right, *last)),
            (
                O::CSEL,
                [
                    Operand::Register(_, to),
                    Operand::Register(_, one),
                    Operand::Register(_, other),
                    ..,
                ],
            ) => {
                let [one, other] = [one, other].map(|number| register(*number));
                let either = one.zip(other).map(|(one, other)| {
                    Source::Either(Place::Register(one), Place::Register(other))
                });
                (to, either)
            }
            _ => return false,
        };
        match source {
            Some(source) => self.set(*to, source),
            None => return false,
        }
        true
    }

    /// Nothing is known but where it writes.
    fn other(&mut self, word: &Word) {
        let only_reads =
            self.flow != Flow::Next || word.is(&[Opcode::CCMP, Opcode::CCMN, Opcode::MSR]);
        match word.operands().first() {
            Some(Operand::RegisterOrSP(_, LAST)) => self.stack = StackPointer::Unknown,
            Some(operand) if !only_reads => {
                self.lose(general(operand));
            }
            _ => {}
        }
    }
}

fn copy(from: u16) -> Source {
    register(from).map_or(Source::Constant(0), |from| Source::Copy(Place::Register(from)))
}

/// Part of a register: what shifts and narrower moves are.
fn field(opcode: Opcode, size: SizeCode, from: u16, right: u32, last: u32) -> Option<Source> {
    let Some(from) = register(from).map(Place::Register) else {
        return Some(Source::Constant(0));
    };
    let bits = if size == SizeCode::W { 32 } else { 64 };
    let shift = |by: u32| Some(Source::Changed(from, Change::Shift(i8::try_from(by).ok()?)));
    let shift_right = |by: u32| Some(Source::Changed(from, Change::Shift(-i8::try_from(by).ok()?)));
    match opcode {
        // `sxtw`: of a number of 32 bits the lower half is the same.
        Opcode::SBFM if right == 0 && last == 31 => Some(Source::Copy(from)),
        Opcode::UBFM if right == 0 && last < 63 => {
            Some(Source::Changed(from, Change::And((1 << (last + 1)) - 1)))
        }
        Opcode::UBFM if last == bits - 1 => shift_right(right),
        Opcode::UBFM if last + 1 == right => shift(bits - right),
        _ => None,
    }
}
