//! A program made by hand, which calls the kernel by each of the processor's entries.

const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// A program of these instructions.
fn program(code: &[u8]) -> Vec<u8> {
    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([BASE + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // One segment, to be read and executed.
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    elf.extend([0, BASE, BASE, size, size, 0x1000].map(u64::to_le_bytes).concat());
    elf.extend(code);
    elf
}

/// Asks for its parent by the 32-bit entry and as programs with short pointers do, and ends with what the first was
/// answered with, as a positive number.
pub(crate) fn of_three_abis() -> Vec<u8> {
    let code = [
        &[0xb8, 0x6e, 0, 0, 0x40, 0x0f, 0x05][..], // mov eax, 0x4000006e; syscall
        &[0xb8, 64, 0, 0, 0, 0xcd, 0x80],          // mov eax, 64; int 0x80
        &[0xf7, 0xd8, 0x89, 0xc7],                 // neg eax; mov edi, eax
        &[0xb8, 231, 0, 0, 0, 0x0f, 0x05],         // mov eax, 231; syscall
    ];
    program(&code.concat())
}
