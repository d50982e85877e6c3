//! Programs made by hand, which call the kernel for nothing that they do not say.

const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// A program of these instructions.
pub(crate) fn program(code: &[u8]) -> Vec<u8> {
    let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2, machine].map(u16::to_le_bytes).concat());
    elf.extend(1u32.to_le_bytes());
    elf.extend([BASE + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0u32.to_le_bytes());
    elf.extend([64u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // One segment, to be read and executed.
    elf.extend([1u32, 5].map(u32::to_le_bytes).concat());
    elf.extend([0, BASE, BASE, size, size, 0x1000].map(u64::to_le_bytes).concat());
    elf.extend(code);
    elf
}

/// Ends with this code, by `exit_group`.
pub(crate) fn end_with(code: u8) -> Vec<u8> {
    if cfg!(target_arch = "aarch64") {
        // mov x0, #code; mov x8, #94; svc #0
        let number = 0xd280_0000 | u32::from(code) << 5;
        return [number, 0xd280_0bc8, 0xd400_0001].map(u32::to_le_bytes).concat();
    }
    // mov edi, code; mov eax, 231; syscall
    vec![0xbf, code, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05]
}

/// Makes a call without arguments that mean anything, and ends with the error as its code.
pub(crate) fn end_with_error_of(number: u32) -> Vec<u8> {
    if cfg!(target_arch = "aarch64") {
        // mov x8, #number; svc #0; neg w0, w0; mov x8, #94; svc #0
        let number = 0xd280_0008 | number << 5;
        let code = [number, 0xd400_0001, 0x4b00_03e0, 0xd280_0bc8, 0xd400_0001];
        return code.map(u32::to_le_bytes).concat();
    }
    // mov eax, number; syscall; neg eax; mov edi, eax; mov eax, 231; syscall
    let mut code = vec![0xb8];
    code.extend(number.to_le_bytes());
    code.extend([0x0f, 0x05, 0xf7, 0xd8, 0x89, 0xc7, 0xb8, 231, 0, 0, 0, 0x0f, 0x05]);
    code
}

/// Asks for its process id by the 32-bit entry of the same processor: mov eax, 20; int 0x80.
pub(crate) const IA32: &[u8] = &[0xb8, 20, 0, 0, 0, 0xcd, 0x80];

/// Asks for its process id as programs with short pointers do: mov eax, 0x40000027; syscall.
pub(crate) const X32: &[u8] = &[0xb8, 0x27, 0, 0, 0x40, 0x0f, 0x05];
