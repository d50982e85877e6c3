//! What instructions of arm64 read, load, and go to. Pure.

use yaxpeax_arm::armv8::a64::{Opcode, Operand, SIMDSizeCode, SizeCode};

use super::word::Word;

/// Instructions that leave a function for where it was called.
pub(super) const RETURNS: [Opcode; 7] = [
    Opcode::RET,
    Opcode::RETAA,
    Opcode::RETAB,
    Opcode::RETAASPPC,
    Opcode::RETABSPPC,
    Opcode::RETAASPPCR,
    Opcode::RETABSPPCR,
];

/// What is done with registers and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Whole registers, or their lower halves.
    Load,
    Store,
    /// Less than that is stored.
    StorePart,
    /// Something else, and both may change.
    Other,
}

/// Which of these an instruction with an operand in memory does.
pub(super) fn access(opcode: Opcode) -> Access {
    use Opcode as O;
    match opcode {
        O::LDR | O::LDUR | O::LDTR | O::LDRSW | O::LDURSW | O::LDTRSW => Access::Load,
        O::LDP | O::LDNP | O::LDPSW | O::LDAR | O::LDAPR | O::LDAPUR | O::LDAXR | O::LDXR => {
            Access::Load
        }
        O::STR | O::STUR | O::STTR | O::STP | O::STNP | O::STLR | O::STLUR => Access::Store,
        O::STRB
        | O::STRH
        | O::STURB
        | O::STURH
        | O::STTRB
        | O::STTRH
        | O::STLRB
        | O::STLRH
        | O::STLURB
        | O::STLURH => Access::StorePart,
        _ => Access::Other,
    }
}

/// The stack pointer, where a number can mean that, and zero, where it can mean that.
pub(super) const LAST: u16 = 31;

/// A general register by its number; none for zero and the stack pointer.
pub(super) fn register(number: u16) -> Option<u8> {
    u8::try_from(number).ok().filter(|number| u16::from(*number) < LAST)
}

/// The general register that an operand is.
pub(super) fn general(operand: &Operand) -> Option<u8> {
    match operand {
        Operand::Register(_, number)
        | Operand::RegisterOrSP(_, number)
        | Operand::RegShift(_, _, _, number) => register(*number),
        _ => None,
    }
}

/// The number that an operand is.
pub(super) fn immediate(operand: &Operand) -> Option<u64> {
    match operand {
        Operand::Immediate(value) => Some((*value).into()),
        Operand::Imm64(value) => Some(*value),
        Operand::Imm16(value) => Some((*value).into()),
        Operand::ImmShift(value, by) => Some(u64::from(*value) << by),
        _ => None,
    }
}

/// How a register that memory is addressed by changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Not,
    By(i64),
    Unknown,
}

/// An operand in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    /// 31 is the stack pointer.
    pub(super) base: u16,
    /// What is added to that; none where it is another register.
    pub(super) offset: Option<i64>,
    pub(super) moved: Moved,
}

pub(super) fn memory(operand: &Operand) -> Option<Memory> {
    Some(match *operand {
        Operand::RegPreIndex(base, offset, back) => {
            let offset = i64::from(offset);
            let moved = if back { Moved::By(offset) } else { Moved::Not };
            Memory { base, offset: Some(offset), moved }
        }
        Operand::RegPostIndex(base, by) => {
            Memory { base, offset: Some(0), moved: Moved::By(by.into()) }
        }
        Operand::RegPostIndexReg(base, _) => {
            Memory { base, offset: Some(0), moved: Moved::Unknown }
        }
        Operand::RegRegOffset(base, ..) => Memory { base, offset: None, moved: Moved::Not },
        _ => return None,
    })
}

/// The operands before the one in memory, and that.
pub(super) fn in_memory(word: &Word) -> Option<(&[Operand], Memory)> {
    let operands = word.operands();
    let place = operands.iter().position(|operand| memory(operand).is_some())?;
    Some((operands.get(..place)?, memory(operands.get(place)?)?))
}

/// How many bytes of an operand are loaded or stored.
pub(super) fn size(operand: &Operand) -> i64 {
    match operand {
        Operand::SIMDRegister(SIMDSizeCode::Q, _) => 16,
        Operand::Register(SizeCode::W, _) | Operand::SIMDRegister(SIMDSizeCode::S, _) => 4,
        _ => 8,
    }
}

/// A pointer that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) to: u8,
    pub(super) from: Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// This one.
    Known(u64),
    /// So far from what a register holds.
    Of(u8, i64),
}

/// The pointers that are loaded.
pub(super) fn loads(word: &Word) -> Vec<Load> {
    let Some(instruction) = &word.instruction else { return Vec::new() };
    if access(instruction.opcode) != Access::Load {
        return Vec::new();
    }
    if let [Operand::Register(SizeCode::X, to), Operand::PCOffset(by), ..] = instruction.operands {
        let from = Address::Known(word.at.wrapping_add_signed(by));
        return register(to).map(|to| Load { to, from }).into_iter().collect();
    }
    let Some((registers, memory)) = in_memory(word) else { return Vec::new() };
    let (Some(base), Some(offset)) = (register(memory.base), memory.offset) else {
        return Vec::new();
    };
    let pointers = (0..).zip(registers).filter_map(|(number, operand)| match operand {
        Operand::Register(SizeCode::X, to) => {
            let from = Address::Of(base, offset.checked_add(8 * number)?);
            Some(Load { to: register(*to)?, from })
        }
        _ => None,
    });
    pointers.collect()
}

/// The register that has the address to go to.
pub(super) fn goes_to(word: &Word) -> Option<u8> {
    let goes = word.is_call() || word.is_jump_by_register();
    goes.then(|| word.operands().first().and_then(general)).flatten()
}

/// Whether an address can be made by it as a whole.
pub(super) fn makes_address(word: &Word) -> bool {
    match word.operands() {
        [_, _, third, ..] if word.is(&[Opcode::ADD, Opcode::SUB]) => immediate(third).is_some(),
        _ => word.is(&[Opcode::ADR]),
    }
}

/// The registers whose values somebody else has after an instruction, or which are changed or compared.
pub(super) fn reads(word: &Word) -> Vec<u8> {
    use Opcode as O;
    let Some(instruction) = &word.instruction else { return Vec::new() };
    let operands = &instruction.operands;
    // Where it is asked whether there is something at all, nobody has got it.
    if goes_to(word).is_some() || word.is(&[O::CBZ, O::CBNZ, O::TBZ, O::TBNZ, O::CCMP]) {
        return Vec::new();
    }
    if word.is(&[O::SUBS]) && matches!(operands[0], Operand::Register(_, LAST)) {
        return Vec::new();
    }
    let written = match in_memory(word) {
        Some((registers, _)) if access(instruction.opcode) == Access::Load => registers.len(),
        Some(_) => 0,
        None => 1,
    };
    let mut read: Vec<_> = operands.iter().skip(written).filter_map(general).collect();
    for operand in operands {
        if let Operand::RegRegOffset(_, by, ..) = operand {
            read.extend(register(*by));
        }
        read.extend(memory(operand).and_then(|memory| register(memory.base)));
    }
    read
}
