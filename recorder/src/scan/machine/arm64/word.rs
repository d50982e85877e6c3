//! The words that code of arm64 is made of, decoded. Pure.

use yaxpeax_arch::{Decoder as _, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Instruction, Opcode, Operand};

/// How long an instruction is.
pub(super) const SIZE: u64 = 4;

/// One instruction.
pub(super) struct Word {
    pub(super) at: u64,
    pub(super) bits: u32,
    /// None where it is data, or of a newer machine.
    pub(super) instruction: Option<Instruction>,
}

impl Word {
    fn read(at: u64, bytes: &[u8]) -> Option<Self> {
        let bits = u32::from_le_bytes(bytes.try_into().ok()?);
        let decoded = InstDecoder::default().decode(&mut U8Reader::new(bytes));
        let instruction = decoded.ok().filter(|decoded| decoded.opcode != Opcode::Invalid);
        Some(Self { at, bits, instruction })
    }

    pub(super) fn next(&self) -> u64 {
        self.at.wrapping_add(SIZE)
    }

    pub(super) fn is(&self, opcodes: &[Opcode]) -> bool {
        self.instruction.is_some_and(|instruction| opcodes.contains(&instruction.opcode))
    }

    pub(super) fn operands(&self) -> &[Operand] {
        self.instruction.as_ref().map_or(&[], |instruction| &instruction.operands)
    }

    /// `nop`, or zeros.
    pub(super) fn is_padding(&self) -> bool {
        matches!(self.bits, 0xd503_201f | 0)
    }

    /// Goes to where a register says.
    pub(super) fn is_jump_by_register(&self) -> bool {
        use Opcode as O;
        self.is(&[O::BR, O::BRAA, O::BRAAZ, O::BRAB, O::BRABZ])
    }

    /// Calls a function, by its address or by a register.
    pub(super) fn is_call(&self) -> bool {
        use Opcode as O;
        self.is(&[O::BL, O::BLR, O::BLRAA, O::BLRAAZ, O::BLRAB, O::BLRABZ])
    }
}

/// The instructions from an address on.
pub(super) fn words(code: &[u8], address: u64) -> impl Iterator<Item = Word> {
    // Where an address was misread it may lead between two of them.
    let skipped = address.wrapping_neg() % SIZE;
    let code = usize::try_from(skipped).ok().and_then(|skipped| code.get(skipped..));
    let first = address.wrapping_add(skipped);
    let places = (0..).map(move |number: u64| first.wrapping_add(number * SIZE));
    places.zip(code.unwrap_or_default().chunks_exact(4)).filter_map(|(at, b)| Word::read(at, b))
}

/// The instruction at an address, where the code has one.
pub(super) fn at(code: &[u8], address: u64, at: u64) -> Option<Word> {
    let offset = usize::try_from(at.checked_sub(address)?).ok()?;
    Word::read(at, code.get(offset..offset.checked_add(4)?)?)
}
