//! Instructions as `llvm-mc` assembles them, and what is told of them.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;
use crate::scan::value::{Body, Values};

/// Where the code of each test begins.
const BASE: u64 = 0x1000;

/// A pointer that the dynamic linker writes, and a function elsewhere.
const SLOT: u64 = 0x3020;
const FUNCTION: u64 = 0x2010;

const ADRP_X0_FUNCTION: u32 = 0xb000_0000; // adrp x0, #4096
const ADD_X0_16: u32 = 0x9100_4000; // add x0, x0, #16
const ADRP_X16_SLOT: u32 = 0xd000_0010; // adrp x16, #8192
const LDR_X17_X16: u32 = 0xf940_1211; // ldr x17, [x16, #32]
const BR_X17: u32 = 0xd61f_0220; // br x17
const BLR_X17: u32 = 0xd63f_0220; // blr x17
const STR_X17_X1: u32 = 0xf900_0031; // str x17, [x1]
const MOV_X0_X17: u32 = 0xaa11_03e0; // mov x0, x17
const CBZ_X1_8: u32 = 0xb400_0041; // cbz x1, #8
const BL: u32 = 0x9400_0400; // bl #4096
const RET: u32 = 0xd65f_03c0; // ret
const NOP: u32 = 0xd503_201f; // nop
const BRK: u32 = 0xd420_0000; // brk #0
const SVC: u32 = 0xd400_0001; // svc #0
const MOV_W8_93: u32 = 0x5280_0ba8; // mov w8, #93
const MOV_W8_64: u32 = 0x5280_0808; // mov w8, #64
const MOV_W8_W0: u32 = 0x2a00_03e8; // mov w8, w0

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What is told of a function, but for where it comes back.
fn told(words: &[u32]) -> Vec<(u64, Kind)> {
    let mut facts = Vec::new();
    let known = |address| address == SLOT || (BASE..0x3000).contains(&address);
    facts_of(words, &mut facts, &known);
    let all = facts.into_iter().map(|fact| ((fact.at - BASE) / SIZE, fact.kind));
    all.filter(|(_, kind)| *kind != Kind::Leaves).collect()
}

fn facts_of(words: &[u32], facts: &mut Vec<Fact>, known: &dyn Fn(u64) -> bool) {
    let mut seen = Seen { facts, known, fixed: false, next: None };
    super::facts(&bytes(words), BASE, &mut seen);
}

/// What `x8` can hold before the last instruction.
fn number(words: &[u32]) -> Values {
    let last = BASE + SIZE * (words.len() as u64 - 1);
    Body::new(steps(&bytes(words), BASE)).values(last, NUMBER)
}

fn constants(words: &[u32]) -> Vec<u64> {
    let values = number(words);
    assert!(!values.unknown && values.arguments.is_empty(), "{values:?}");
    values.constants.into_iter().collect()
}

#[test]
fn an_address_is_told_where_both_its_parts_are_there() {
    let alone = [ADRP_X0_FUNCTION, ADD_X0_16, RET];
    assert_eq!(told(&alone), [(1, Kind::Address(FUNCTION))]);
    // The page stays for a second address, also behind a branch.
    let page = 0xb000_0013; // adrp x19, #4096
    let second = 0x9100_8261; // add x1, x19, #32
    let two = [page, CBZ_X1_8, NOP, second, 0x9100_4260, RET]; // add x0, x19, #16
    assert_eq!(told(&two), [(3, Kind::Address(0x2020)), (4, Kind::Address(FUNCTION))]);
    // Another number in between is the end of it, and a call may be.
    for other in [0xd280_0000, BL] {
        // mov x0, #0
        let told = told(&[ADRP_X0_FUNCTION, other, ADD_X0_16, RET]);
        assert!(!told.iter().any(|(_, kind)| matches!(kind, Kind::Address(_))), "{told:?}");
    }
    assert_eq!(told(&[0x1000_0200, RET]), [(0, Kind::Address(BASE + 64))]); // adr x0, #64
}

#[test]
fn both_ways_to_an_instruction_are_followed() {
    // The page of one way or of the other.
    let other = 0x9000_0000; // adrp x0, #0
    let words = [ADRP_X0_FUNCTION, CBZ_X1_8, other, ADD_X0_16, RET];
    let expected = [0x1010, FUNCTION].map(|address| (3, Kind::Address(address)));
    assert_eq!(told(&words), expected);
    // A way back to what is before it.
    let back = 0xb5ff_ffe1; // cbnz x1, #-4
    let words = [other, ADD_X0_16, ADRP_X0_FUNCTION, back, RET];
    assert_eq!(told(&words)[0], (1, Kind::Address(0x1010)));
    let words = [CBZ_X1_8, NOP, ADD_X0_16, ADRP_X0_FUNCTION, 0xb5ff_ffc1, RET]; // cbnz x1, #-8
    assert_eq!(told(&words), [(2, Kind::Address(FUNCTION))]);
}

#[test]
fn a_pointer_that_is_called_is_not_read_unless_somebody_else_has_it() {
    let load = [ADRP_X16_SLOT, LDR_X17_X16];
    let all = |rest: &[u32]| told(&[&load[..], rest].concat());
    assert_eq!(all(&[BR_X17]), [(2, Kind::JumpBy(SLOT))]);
    assert_eq!(all(&[0xd71f_0a30]), [(2, Kind::JumpBy(SLOT))]); // braa x17, x16
    assert_eq!(all(&[BLR_X17, RET]), [(2, Kind::CallBy(SLOT))]);
    assert_eq!(all(&[STR_X17_X1, RET]), [(2, Kind::Read(SLOT))]);
    // It is what somebody is called with, or what comes back.
    assert_eq!(all(&[MOV_X0_X17, RET]), [(2, Kind::Read(SLOT)), (3, Kind::Read(SLOT))]);
    // Where it is asked whether it is there, nobody has it.
    let asked = 0xb400_0051; // cbz x17, #8
    assert_eq!(all(&[asked, BLR_X17, RET]), [(3, Kind::CallBy(SLOT))]);
    let pair = 0xa940_4611; // ldp x17, x17, [x16]: not known
    assert_eq!(told(&[ADRP_X16_SLOT, pair, BR_X17]), []);
}

#[test]
fn a_jump_inside_a_function_is_none_to_another_and_a_call_at_its_end_runs_on() {
    assert_eq!(told(&[CBZ_X1_8, NOP, RET]), []);
    let outside = 0x1400_0400; // b #4096
    assert_eq!(told(&[outside]), [(0, Kind::Jump(BASE + 0x1000))]);
    assert_eq!(told(&[BL, NOP]), [(0, Kind::Call(BASE + 0x1000))]);
    let runs = [(1, Kind::Kernel(Arch::Aarch64)), (1, Kind::Runs(BASE + 8))];
    assert_eq!(told(&[MOV_W8_93, SVC]), runs);
    assert_eq!(told(&[SVC, BRK]), [(0, Kind::Kernel(Arch::Aarch64))]);
}

#[test]
fn what_is_reached_is_read_and_nothing_else() {
    let code = bytes(&[NOP, ADRP_X0_FUNCTION, CBZ_X1_8, RET, ADD_X0_16, RET, SVC]);
    let (mut facts, mut next, mut done) = (Vec::new(), HashSet::new(), HashSet::new());
    let known = |address| address == FUNCTION;
    let mut seen = Seen { facts: &mut facts, known: &known, fixed: false, next: Some(&mut next) };
    descend(&code, BASE, BASE + 4, &mut done, &mut seen);
    assert_eq!(done, HashSet::from([4, 8, 12, 16, 20].map(|by| BASE + by)));
    assert!(facts.contains(&Fact { at: BASE + 16, kind: Kind::Address(FUNCTION) }));
    assert!(!facts.iter().any(|fact| matches!(fact.kind, Kind::Kernel(_))));
    // One that is not on a word's boundary is none.
    descend(
        &code,
        BASE,
        BASE + 2,
        &mut done,
        &mut Seen { facts: &mut facts, known: &known, fixed: false, next: None },
    );
    assert_eq!(done.len(), 5);
}

#[test]
fn a_number_is_followed_through_registers_and_the_stack() {
    assert_eq!(constants(&[MOV_W8_93, SVC]), [93]);
    assert_eq!(constants(&[0x9280_0008, SVC]), [u64::MAX]); // mov x8, #-1
    assert_eq!(constants(&[0x1280_0008, SVC]), [u64::from(u32::MAX)]); // mov w8, #-1
    assert_eq!(constants(&[0x2a1f_03e8, SVC]), [0]); // mov w8, wzr
    assert_eq!(constants(&[0x3200_03e8, SVC]), [1]); // orr w8, wzr, #1
    let through_x0 = [0x5280_0ba0, MOV_W8_W0, SVC]; // mov w0, #93
    assert_eq!(constants(&through_x0), [93]);
    // stp x29, x30, [sp, #-32]!; mov x29, sp; str x8, [x29, #24]; mov w8, w0; ldr w8, [x29, #24]
    let stack = [MOV_W8_93, 0xa9be_7bfd, 0x9100_03fd, 0xf900_0fa8, MOV_W8_W0, 0xb940_1ba8, SVC];
    assert_eq!(constants(&stack), [93]);
    // stp x8, xzr, [sp, #16]; sub sp, sp, #16; ldp x9, x8, [sp, #32]
    assert_eq!(constants(&[MOV_W8_93, 0xa901_7fe8, 0xd100_43ff, 0xa942_23e9, SVC]), [0]);
    // What is below it when it moves up is found again when it comes down.
    assert_eq!(constants(&[MOV_W8_93, 0xf900_07e8, 0x9100_43ff, 0xf85f_83e8, SVC]), [93]); // ldr x8, [sp, #-8]
    for (change, expected) in [
        (0x1200_0d08_u32, 13),   // and w8, w8, #0xf
        (0x531f_7908, 186),      // lsl w8, w8, #1
        (0x5301_7d08, 46),       // lsr w8, w8, #1
        (0x3200_0508, 95),       // orr w8, w8, #0x3
        (0x5200_0108, 92),       // eor w8, w8, #0x1
        (0x5100_0508, 92),       // sub w8, w8, #1
        (0x72a0_0028, 0x1_005d), // movk w8, #1, lsl #16
        (0xd340_7d08, 93),       // uxtw
        (0x9340_7d08, 93),       // sxtw x8, w8
    ] {
        assert_eq!(constants(&[MOV_W8_93, change, SVC]), [expected], "{change:#x}");
    }
}

#[test]
fn the_kernel_keeps_the_number_and_a_function_does_not() {
    assert_eq!(constants(&[MOV_W8_93, SVC, SVC]), [93]);
    assert!(number(&[MOV_W8_93, BL, SVC]).unknown);
    assert!(number(&[MOV_W8_93, BLR_X17, SVC]).unknown);
    assert!(number(&[MOV_W8_93, 0xf821_0048, SVC]).unknown); // ldadd x1, x8, [x2]
    assert!(number(&[MOV_W8_93, 0xf840_8428, SVC]).unknown); // ldr x8, [x1], #8
    assert!(number(&[MOV_W8_93, 0x8b01_0008, SVC]).unknown); // add x8, x0, x1
    // Stores and comparisons change nothing.
    assert_eq!(constants(&[MOV_W8_93, 0x3900_0028, 0x7100_0d1f, SVC]), [93]); // strb w8, [x1]; cmp w8, #3
    // What no decoder knows may write where others do.
    assert!(number(&[MOV_W8_93, 0x0420_e3e8, SVC]).unknown); // cntb x8, of SVE
    assert_eq!(constants(&[MOV_W8_93, 0x0420_e3e0, SVC]), [93]); // cntb x0
}

#[test]
fn a_number_by_either_way_or_as_it_was_compared() {
    let either = [MOV_W8_93, CBZ_X1_8, MOV_W8_64, SVC];
    assert_eq!(constants(&either), [64, 93]);
    // mov w1, #3; mov w2, #5; csel w8, w1, w2, eq
    assert_eq!(constants(&[0x5280_0061, 0x5280_00a2, 0x1a82_0028, SVC]), [3, 5]);
    // cmp w8, #3; b.ne #8 (over the call)
    assert_eq!(constants(&[0x7100_0d1f, 0x5400_0041, SVC]), [3]);
    // cbnz w8, #8
    assert_eq!(constants(&[0x3500_0048, SVC]), [0]);
}

#[test]
fn a_number_that_a_function_is_given_is_its_argument() {
    assert_eq!(number(&[MOV_W8_W0, SVC]).arguments, BTreeSet::from([Place::Register(0)]));
    // ldr x8, [sp, #8]: as Go's older functions are given it.
    assert_eq!(number(&[0xf940_07e8, SVC]).arguments, BTreeSet::from([Place::Stack(8)]));
    // stp x29, x30, [sp, #-32]!; ldr x8, [sp, #40]
    assert_eq!(
        number(&[0xa9be_7bfd, 0xf940_17e8, SVC]).arguments,
        BTreeSet::from([Place::Stack(8)])
    );
}

proptest! {
    #[test]
    fn whatever_the_words_are_they_are_read(words in proptest::collection::vec(any::<u32>(), 0..200), by in 0_u64..9) {
        let code = bytes(&words);
        let (mut facts, mut next, mut done) = (Vec::new(), HashSet::new(), HashSet::new());
        let known = |address: u64| address.is_multiple_of(3);
        let mut seen = Seen { facts: &mut facts, known: &known, fixed: true, next: Some(&mut next) };
        super::facts(&code, BASE + by, &mut seen);
        descend(&code, BASE, BASE + by, &mut done, &mut seen);
        let steps = steps(&code, BASE);
        prop_assert_eq!(steps.len(), words.len());
        let body = Body::new(steps);
        for number in (0..).take(words.len()) {
            body.values(BASE + number * SIZE, NUMBER);
        }
    }
}
