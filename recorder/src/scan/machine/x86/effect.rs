//! What instructions of x86-64 and i386 write. Pure.

use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};
use profile::kinds::seccomp::Arch;

use crate::scan::step::{Change, Flow, FramePointer, Place, Source, StackPointer, Step};

/// What a function may change that is called (System V ABI).
const CALLEE_CHANGES: [u8; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];

/// The instructions of a function.
pub(crate) fn steps(arch: Arch, code: &[u8], address: u64) -> Vec<Step> {
    let mut decoder = super::decoder(arch, code, address);
    let mut factory = InstructionInfoFactory::new();
    let mut steps = Vec::new();
    let mut instruction = Instruction::default();
    let mut compared = None;
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            let next = instruction.ip().wrapping_add(1);
            let offset = usize::try_from(next.wrapping_sub(address)).unwrap_or(usize::MAX);
            if decoder.set_position(offset).is_err() {
                break;
            }
            decoder.set_ip(next);
            steps.push(Step { flow: Flow::Stop, ..Step::new(next.wrapping_sub(1)) });
            continue;
        }
        let mut step = step(arch, &instruction, &mut factory);
        step.known = compared.and_then(|(place, value)| match instruction.mnemonic() {
            Mnemonic::Je => Some((place, value, true)),
            Mnemonic::Jne => Some((place, value, false)),
            _ => None,
        });
        compared = compares(&instruction);
        steps.push(step);
    }
    steps
}

/// What is compared with which number.
fn compares(instruction: &Instruction) -> Option<(Place, u64)> {
    let place = place(instruction, 0)?;
    match instruction.mnemonic() {
        Mnemonic::Test if instruction.op0_register() == instruction.op1_register() => {
            Some((place, 0))
        }
        Mnemonic::Cmp => Some((place, immediate(instruction, 1)?)),
        _ => None,
    }
}

fn step(arch: Arch, instruction: &Instruction, factory: &mut InstructionInfoFactory) -> Step {
    let mut step = Step::new(instruction.ip());
    step.flow = flow(instruction);
    let is_call = matches!(
        instruction.flow_control(),
        FlowControl::Call | FlowControl::IndirectCall | FlowControl::Interrupt
    );
    if is_call {
        if super::kernel(arch, instruction).is_some() {
            step.lose([0, 1, 11]);
        } else {
            step.lose(CALLEE_CHANGES);
        }
        return step;
    }
    let word = if arch == Arch::X86 { 4 } else { 8 };
    special(instruction, word, &mut step);
    pointers(instruction, word, &mut step);
    for used in factory.info(instruction).used_registers() {
        let written = matches!(
            used.access(),
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        );
        if let (true, Some(register)) = (written, number(used.register())) {
            step.lose([register]);
        }
    }
    step
}

fn flow(instruction: &Instruction) -> Flow {
    let to = instruction.near_branch_target();
    match instruction.flow_control() {
        FlowControl::UnconditionalBranch if super::is_near(instruction) => Flow::Jump(to),
        FlowControl::Return | FlowControl::Exception | FlowControl::UnconditionalBranch => {
            Flow::Stop
        }
        FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => Flow::Branch(to),
        // Through a pointer of the dynamic linker it leaves the function.
        FlowControl::IndirectBranch if super::place(instruction).is_some() => Flow::Stop,
        FlowControl::IndirectBranch => Flow::Anywhere,
        FlowControl::Call if super::is_near(instruction) => Flow::Call(to),
        _ => Flow::Next,
    }
}

/// The number of a register for whole numbers, whatever part of it is meant.
fn number(register: Register) -> Option<u8> {
    let full = register.full_register();
    let is_general = full.is_gpr64() || full.is_gpr32();
    is_general.then(|| u8::try_from(full.number()).ok()).flatten()
}

/// A register that is written as a whole: 32 bits clear the others.
fn whole(register: Register) -> Option<Place> {
    (register.is_gpr64() || register.is_gpr32()).then(|| number(register))?.map(Place::Register)
}

/// Where an operand is, where that is a place that can be followed.
fn place(instruction: &Instruction, operand: u32) -> Option<Place> {
    match instruction.op_kind(operand) {
        OpKind::Register => whole(instruction.op_register(operand)),
        OpKind::Memory
            if instruction.memory_index() == Register::None
                && matches!(instruction.memory_size().size(), 4 | 8) =>
        {
            let offset = instruction.memory_displacement64().cast_signed();
            match instruction.memory_base() {
                Register::RSP => Some(Place::Stack(offset)),
                Register::RBP => Some(Place::Frame(offset)),
                // The displacement comes without its sign.
                Register::ESP => Some(Place::Stack(narrow(offset))),
                Register::EBP => Some(Place::Frame(narrow(offset))),
                _ => None,
            }
        }
        _ => None,
    }
}

fn narrow(offset: i64) -> i64 {
    offset << 32 >> 32
}

fn immediate(instruction: &Instruction, operand: u32) -> Option<u64> {
    let is_immediate = matches!(
        instruction.op_kind(operand),
        OpKind::Immediate8
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate32to64
            | OpKind::Immediate64
    );
    is_immediate.then(|| instruction.immediate(operand))
}

/// What comes to be where, of instructions that move and count.
fn special(instruction: &Instruction, word: i64, step: &mut Step) {
    use Mnemonic as M;
    let to = place(instruction, 0);
    let from = place(instruction, 1);
    let value = (instruction.op_count() > 1).then(|| immediate(instruction, 1)).flatten();
    let same = instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register();
    if let (M::Mov, Some(register), Some(byte)) =
        (instruction.mnemonic(), low_byte(instruction), value.and_then(|v| u8::try_from(v).ok()))
    {
        let register = Place::Register(register);
        step.writes.push((
            register,
            Source::Changed(register, Change::Set { mask: 0xff, bits: byte.into() }),
        ));
        return;
    }
    let source = match instruction.mnemonic() {
        M::Mov | M::Movsxd => value
            .map(Source::Constant)
            .or_else(|| from.map(Source::Copy))
            .unwrap_or(Source::Unknown),
        M::Xor | M::Sub if same => Source::Constant(0),
        M::Sbb if same => Source::AllOrNothing,
        M::Lea => lea(instruction),
        M::Add => changed(to, value, Change::Add),
        M::Sub => changed(to, value, |by| Change::Add(by.wrapping_neg())),
        M::And if value == Some(0) => Source::Constant(0),
        M::And => changed(to, value, Change::And),
        M::Or if value == Some(u64::MAX) || value == Some(0xffff_ffff) => {
            Source::Constant(u64::MAX)
        }
        M::Or => changed(to, value, Change::Or),
        M::Xor => changed(to, value, Change::Xor),
        M::Inc => changed(to, Some(1), Change::Add),
        M::Dec => changed(to, Some(u64::MAX), Change::Add),
        M::Shl => changed(to, value, |by| Change::Shift(shift(by))),
        M::Shr => changed(to, value, |by| Change::Shift(-shift(by))),
        M::Xchg => {
            if let (Some(one), Some(other)) = (to, from) {
                step.writes.extend([(one, Source::Copy(other)), (other, Source::Copy(one))]);
            }
            return;
        }
        M::Push => {
            let pushed = immediate(instruction, 0).map(Source::Constant);
            let pushed = pushed.or_else(|| to.map(Source::Copy)).unwrap_or(Source::Unknown);
            step.writes.push((Place::Stack(-word), pushed));
            return;
        }
        M::Pop => {
            step.writes.extend(to.map(|to| (to, Source::Copy(Place::Stack(0)))));
            return;
        }
        _ if is_choice(instruction) => match (to, from) {
            (Some(one), Some(other)) => Source::Either(one, other),
            _ => Source::Unknown,
        },
        // What else writes into memory, writes something that is not known.
        _ if instruction.op0_kind() == OpKind::Memory => Source::Unknown,
        _ => return,
    };
    let compares = matches!(instruction.mnemonic(), M::Cmp | M::Test | M::Bt);
    if let (Some(to), false) = (to, compares) {
        step.write(to, source);
    }
}

/// The register whose lowest byte is written.
fn low_byte(instruction: &Instruction) -> Option<u8> {
    let register = instruction.op0_register();
    let high = [Register::AH, Register::BH, Register::CH, Register::DH].contains(&register);
    let low = instruction.op0_kind() == OpKind::Register && register.is_gpr8() && !high;
    low.then(|| number(register)).flatten()
}

fn shift(by: u64) -> i8 {
    i8::try_from(by & 63).unwrap_or(0)
}

fn changed(to: Option<Place>, by: Option<u64>, change: impl Fn(u64) -> Change) -> Source {
    match (to, by) {
        (Some(place), Some(by)) => Source::Changed(place, change(by)),
        _ => Source::Unknown,
    }
}

fn lea(instruction: &Instruction) -> Source {
    let base = whole(instruction.memory_base());
    let simple = instruction.memory_index() == Register::None && !instruction.memory_base().is_ip();
    match (base, simple) {
        (Some(Place::Register(base)), true) if base != 4 => {
            Source::Changed(Place::Register(base), Change::Add(instruction.memory_displacement64()))
        }
        _ => Source::Unknown,
    }
}

/// Whether it writes, or does not, as a condition says.
fn is_choice(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Cmova
            | M::Cmovae
            | M::Cmovb
            | M::Cmovbe
            | M::Cmove
            | M::Cmovg
            | M::Cmovge
            | M::Cmovl
            | M::Cmovle
            | M::Cmovne
            | M::Cmovno
            | M::Cmovnp
            | M::Cmovns
            | M::Cmovo
            | M::Cmovp
            | M::Cmovs
    )
}

/// Where the stack and the frame are afterwards.
fn pointers(instruction: &Instruction, word: i64, step: &mut Step) {
    use Mnemonic as M;
    let is = |operand: u32, register: [Register; 2]| {
        instruction.op_kind(operand) == OpKind::Register
            && register.contains(&instruction.op_register(operand))
    };
    let (stack, frame) = ([Register::RSP, Register::ESP], [Register::RBP, Register::EBP]);
    let by = instruction.stack_pointer_increment();
    let displacement = || match instruction.memory_base() {
        Register::ESP | Register::EBP => narrow(instruction.memory_displacement64().cast_signed()),
        _ => instruction.memory_displacement64().cast_signed(),
    };
    let alone = instruction.memory_index() == Register::None;
    match instruction.mnemonic() {
        M::Leave => {
            step.stack = StackPointer::OfFrame(word);
            step.frame = FramePointer::Unknown;
        }
        M::Mov if is(0, stack) && is(1, frame) => step.stack = StackPointer::OfFrame(0),
        M::Mov if is(0, frame) && is(1, stack) => step.frame = FramePointer::OfStack(0),
        M::Lea if is(0, stack) && stack.contains(&instruction.memory_base()) && alone => {
            step.stack = StackPointer::Moved(displacement());
        }
        M::Lea if is(0, stack) && frame.contains(&instruction.memory_base()) && alone => {
            step.stack = StackPointer::OfFrame(displacement());
        }
        M::Lea if is(0, frame) && stack.contains(&instruction.memory_base()) && alone => {
            step.frame = FramePointer::OfStack(displacement());
        }
        M::Sub | M::Add if is(0, stack) => {
            let value = immediate(instruction, 1).map(u64::cast_signed);
            step.stack = match value {
                Some(by) if instruction.mnemonic() == M::Add => StackPointer::Moved(by),
                Some(by) => StackPointer::Moved(by.wrapping_neg()),
                None => StackPointer::Unknown,
            };
        }
        M::Push | M::Pop if !is(0, stack) => {
            step.stack = StackPointer::Moved(by.into());
            if instruction.mnemonic() == M::Pop && is(0, frame) {
                step.frame = FramePointer::Unknown;
            }
        }
        M::Cmp | M::Test | M::Bt => {}
        _ if is(0, stack) && instruction.mnemonic() != M::Push => {
            step.stack = StackPointer::Unknown;
        }
        _ if is(0, frame) && instruction.mnemonic() != M::Push => {
            step.frame = FramePointer::Unknown;
        }
        _ if by != 0 => step.stack = StackPointer::Moved(by.into()),
        _ => {}
    }
}
