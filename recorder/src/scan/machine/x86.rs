//! Instructions of x86-64 and i386. Pure.

use std::{collections::HashSet, ops::Range};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};
use profile::kinds::seccomp::Arch;

use crate::scan::{
    fact::{After, Fact, Kind, Seen},
    step::Place,
};

mod effect;

pub(crate) use effect::steps;

/// Where the kernel finds the number of a call.
pub(crate) const NUMBER: Place = Place::Register(0);

fn decoder(arch: Arch, code: &[u8], address: u64) -> Decoder<'_> {
    let bits = if arch == Arch::X86 { 32 } else { 64 };
    Decoder::with_ip(bits, code, address, DecoderOptions::NONE)
}

/// What the code from an address on does, instruction after instruction.
pub(crate) fn facts(arch: Arch, code: &[u8], address: u64, seen: &mut Seen<'_>) {
    let mut decoder = decoder(arch, code, address);
    let range = address..address.saturating_add(code.len() as u64);
    let mut instruction = Instruction::default();
    // Nothing at all runs on.
    let mut last = After::Stops;
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            // Data between code: it goes on with the next byte.
            if !go_to(&mut decoder, address, instruction.ip().wrapping_add(1)) {
                break;
            }
            continue;
        }
        let padding = last != After::GoesOn && is_padding(&instruction);
        if !padding {
            last = one(arch, &instruction, &range, seen);
        }
        // After a call that does not come back, code is filled up to the next function.
        if !padding || last == After::GoesOn {
            seen.goes_on(instruction.next_ip(), last);
        }
    }
    // A call at the end of a function does not come back.
    if last == After::GoesOn && seen.next.is_none() {
        let (at, kind) = (range.end.saturating_sub(1), Kind::Runs(range.end));
        seen.facts.extend([Fact { at, kind }, Fact { at, kind: Kind::Leaves }]);
    }
}

/// What the code does that is reached from a place in it, as far as jumps say where they go.
pub(crate) fn descend(
    arch: Arch,
    code: &[u8],
    address: u64,
    start: u64,
    done: &mut HashSet<u64>,
    seen: &mut Seen<'_>,
) {
    let range = address..address.saturating_add(code.len() as u64);
    let mut decoder = decoder(arch, code, address);
    let mut instruction = Instruction::default();
    let mut left = vec![start];
    while let Some(start) = left.pop() {
        if !range.contains(&start) || !go_to(&mut decoder, address, start) {
            continue;
        }
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() || !done.insert(instruction.ip()) {
                break;
            }
            let after = one(arch, &instruction, &range, seen);
            seen.goes_on(instruction.next_ip(), after);
            if is_near(&instruction) {
                left.push(instruction.near_branch_target());
            }
            if after == After::Stops {
                break;
            }
        }
    }
}

fn go_to(decoder: &mut Decoder<'_>, address: u64, next: u64) -> bool {
    let offset = usize::try_from(next.wrapping_sub(address)).unwrap_or(usize::MAX);
    decoder.set_ip(next);
    decoder.set_position(offset).is_ok()
}

fn one(arch: Arch, instruction: &Instruction, range: &Range<u64>, seen: &mut Seen<'_>) -> After {
    let at = instruction.ip();
    let mut leaves = || seen.facts.push(Fact { at, kind: Kind::Leaves });
    let after = match instruction.flow_control() {
        FlowControl::Next => After::GoesOn,
        FlowControl::Return => {
            leaves();
            After::Stops
        }
        FlowControl::Exception => After::Stops,
        FlowControl::UnconditionalBranch => {
            jump(instruction, range, seen);
            After::Stops
        }
        FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => {
            jump(instruction, range, seen);
            After::GoesOn
        }
        FlowControl::IndirectBranch => {
            leaves();
            if let Some(place) = place(instruction) {
                seen.facts.push(Fact { at, kind: Kind::JumpBy(place) });
            }
            return After::Stops;
        }
        FlowControl::Call | FlowControl::IndirectCall | FlowControl::Interrupt => {
            call(arch, instruction, seen);
            // The kernel does come back.
            let kernel = kernel(arch, instruction).is_some();
            return if kernel { After::GoesOn } else { After::Called };
        }
    };
    operands(instruction, seen);
    after
}

fn is_padding(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3)
}

fn jump(instruction: &Instruction, range: &Range<u64>, seen: &mut Seen<'_>) {
    let (at, to) = (instruction.ip(), instruction.near_branch_target());
    if is_near(instruction) && (seen.next.is_some() || !range.contains(&to)) {
        seen.facts.extend([Kind::Jump(to), Kind::Leaves].map(|kind| Fact { at, kind }));
    }
}

fn is_near(instruction: &Instruction) -> bool {
    matches!(
        instruction.op0_kind(),
        OpKind::NearBranch64 | OpKind::NearBranch32 | OpKind::NearBranch16
    )
}

fn call(arch: Arch, instruction: &Instruction, seen: &mut Seen<'_>) {
    let at = instruction.ip();
    let kind = match kernel(arch, instruction) {
        Some(numbers) => Kind::Kernel(numbers),
        None if instruction.is_call_near() && is_near(instruction) => {
            Kind::Call(instruction.near_branch_target())
        }
        None if instruction.flow_control() == FlowControl::IndirectCall => {
            match place(instruction) {
                Some(place) => Kind::CallBy(place),
                None => return,
            }
        }
        None => return,
    };
    seen.facts.push(Fact { at, kind });
}

/// Whether an instruction calls the kernel, and by which numbers.
fn kernel(arch: Arch, instruction: &Instruction) -> Option<Arch> {
    match instruction.mnemonic() {
        Mnemonic::Syscall => Some(arch),
        Mnemonic::Sysenter => Some(Arch::X86),
        Mnemonic::Int if instruction.immediate8() == 0x80 => Some(Arch::X86),
        // What libraries of i386 call the kernel by: the C library keeps the address beside the thread.
        Mnemonic::Call
            if arch == Arch::X86
                && instruction.memory_segment() == Register::GS
                && place(instruction) == Some(0x10) =>
        {
            Some(Arch::X86)
        }
        _ => None,
    }
}

/// The only address that an operand in memory can have.
fn place(instruction: &Instruction) -> Option<u64> {
    let mut kinds = (0..instruction.op_count()).map(|operand| instruction.op_kind(operand));
    if !kinds.any(|kind| kind == OpKind::Memory) {
        return None;
    }
    if instruction.is_ip_rel_memory_operand() {
        return Some(instruction.ip_rel_memory_address());
    }
    let base = instruction.memory_base() == Register::None;
    let alone = base && instruction.memory_index() == Register::None;
    alone.then(|| instruction.memory_displacement64())
}

fn operands(instruction: &Instruction, seen: &mut Seen<'_>) {
    let at = instruction.ip();
    for operand in 0..instruction.op_count() {
        let address = match instruction.op_kind(operand) {
            OpKind::Memory => match place(instruction) {
                Some(place) if instruction.mnemonic() == Mnemonic::Lea => place,
                Some(place) => {
                    if (seen.known)(place) {
                        seen.facts.push(Fact { at, kind: Kind::Read(place) });
                    }
                    continue;
                }
                // An address that is in the instruction, with an index beside it.
                None if seen.fixed => instruction.memory_displacement64(),
                None => continue,
            },
            OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64 if seen.fixed => {
                instruction.immediate(operand)
            }
            _ => continue,
        };
        if (seen.known)(address) {
            seen.facts.push(Fact { at, kind: Kind::Address(address) });
        }
    }
}
