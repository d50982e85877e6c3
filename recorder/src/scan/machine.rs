//! What differs from machine to machine: how code is read, and where calls have what they need. Pure.

use std::collections::HashSet;

use profile::kinds::seccomp::Arch;

use super::{
    fact::Seen,
    step::{Place, Step},
};

mod arm64;
mod x86;

/// What the code from an address on does, instruction after instruction.
pub(crate) fn facts(arch: Arch, code: &[u8], address: u64, seen: &mut Seen<'_>) {
    match arch {
        Arch::Aarch64 => arm64::facts(code, address, seen),
        _ => x86::facts(arch, code, address, seen),
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
    match arch {
        Arch::Aarch64 => arm64::descend(code, address, start, done, seen),
        _ => x86::descend(arch, code, address, start, done, seen),
    }
}

/// The instructions of a function.
pub(crate) fn steps(arch: Arch, code: &[u8], address: u64) -> Vec<Step> {
    match arch {
        Arch::Aarch64 => arm64::steps(code, address),
        _ => x86::steps(arch, code, address),
    }
}

/// Where the kernel finds the number of a call.
pub(crate) fn number(arch: Arch) -> Place {
    match arch {
        Arch::Aarch64 => arm64::NUMBER,
        _ => x86::NUMBER,
    }
}

/// How many bytes a call puts on the stack: where to come back to.
pub(crate) fn pushed(arch: Arch) -> i64 {
    match arch {
        Arch::Aarch64 => 0,
        Arch::X86 => 4,
        _ => 8,
    }
}

/// What the names of functions in the kernel's own page of code begin with (`vdso(7)`).
pub(crate) fn vdso(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "__kernel_",
        _ => "__vdso_",
    }
}
