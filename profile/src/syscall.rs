//! System calls by name and number, for each architecture. Pure.
//!
//! The table is made by `syscall/generate`, which names its source.

use std::{collections::HashMap, sync::LazyLock};

use crate::kinds::seccomp::Arch;

/// Set in the numbers of x32 (`__X32_SYSCALL_BIT` in the kernel's `asm/unistd.h`).
pub const X32_BIT: u32 = 0x4000_0000;

/// The architectures of the table, in the order of its columns.
const COLUMNS: [Arch; 6] =
    [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Riscv64, Arch::S390X, Arch::Ppc64Le];

/// The calls for which x32 has a number of its own, from 512 on
/// (`arch/x86/entry/syscalls/syscall_64.tbl` in the kernel).
const X32_OWN: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// The first of [`X32_OWN`].
const X32_FIRST: u32 = 512;

/// The calls of one architecture.
#[derive(Debug, Default)]
struct Calls {
    by_name: HashMap<&'static str, u32>,
    by_number: HashMap<u32, &'static str>,
}

static TABLE: LazyLock<[Calls; COLUMNS.len()]> = LazyLock::new(|| {
    let mut table: [Calls; COLUMNS.len()] = Default::default();
    // Below the head, a line for each name: the name, then its number on each architecture, or `-`.
    for line in include_str!("syscall/table.tsv").lines().skip(1) {
        let mut cells = line.split('\t');
        let Some(name) = cells.next() else { continue };
        for (calls, cell) in table.iter_mut().zip(cells) {
            if let Ok(number) = cell.parse() {
                calls.by_name.insert(name, number);
                calls.by_number.insert(number, name);
            }
        }
    }
    table
});

/// The architectures whose calls are known.
pub fn architectures() -> impl Iterator<Item = Arch> {
    COLUMNS.into_iter().chain([Arch::X32])
}

/// The name of a call. A number of x32 has [`X32_BIT`] set.
pub fn name(arch: Arch, number: u32) -> Option<&'static str> {
    if arch == Arch::X32 {
        let plain = number.checked_sub(X32_BIT)?;
        let own = plain.checked_sub(X32_FIRST).and_then(|place| X32_OWN.get(place as usize));
        return own
            .copied()
            .or_else(|| name(Arch::X86_64, plain).filter(|name| !X32_OWN.contains(name)));
    }
    calls(arch)?.by_number.get(&number).copied()
}

/// The number of a call; none where the architecture does not have it.
pub fn number(arch: Arch, name: &str) -> Option<u32> {
    if arch == Arch::X32 {
        let own = (X32_FIRST..).zip(X32_OWN).find(|(_, own)| *own == name);
        let plain = own.map(|(number, _)| number).or_else(|| number(Arch::X86_64, name))?;
        return Some(plain | X32_BIT);
    }
    calls(arch)?.by_name.get(name).copied()
}

/// All names of an architecture, sorted.
pub fn names(arch: Arch) -> Vec<&'static str> {
    let table = if arch == Arch::X32 { Arch::X86_64 } else { arch };
    let mut names: Vec<_> =
        calls(table).into_iter().flat_map(|c| c.by_name.keys()).copied().collect();
    names.sort_unstable();
    names
}

/// The architecture that the audit subsystem and seccomp call by this number (`AUDIT_ARCH_…` in the kernel's
/// `linux/audit.h`). Calls of x32 come as those of `X86_64`, told apart by [`X32_BIT`].
pub fn audit_arch(value: u32) -> Option<Arch> {
    Some(match value {
        0xc000_003e => Arch::X86_64,
        0x4000_0003 => Arch::X86,
        0xc000_00b7 => Arch::Aarch64,
        0x4000_0028 => Arch::Arm,
        0xc000_00f3 => Arch::Riscv64,
        0x8000_0016 => Arch::S390X,
        0x0000_0016 => Arch::S390,
        0xc000_0015 => Arch::Ppc64Le,
        _ => return None,
    })
}

fn calls(arch: Arch) -> Option<&'static Calls> {
    COLUMNS.iter().position(|column| *column == arch).map(|place| &TABLE[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the kernel's own tables, looked up by hand.
    #[test]
    fn well_known_numbers_are_right_on_each_architecture() {
        let number_of = |name| COLUMNS.map(|arch| number(arch, name));
        assert_eq!(number_of("read"), [0, 3, 63, 63, 3, 3].map(Some));
        assert_eq!(number_of("execve"), [59, 11, 221, 221, 11, 11].map(Some));
        assert_eq!(number_of("openat"), [257, 295, 56, 56, 288, 286].map(Some));
        assert_eq!(number_of("open"), [Some(2), Some(5), None, None, Some(5), Some(5)]);
        assert_eq!(number_of("clone3"), [Some(435); 6]);
        assert_eq!(number_of("futex_requeue"), [Some(456); 6], "where the library's table ends");
    }

    #[test]
    fn names_and_numbers_are_each_others_inverse() {
        for arch in architectures() {
            for name_of in names(arch) {
                let found = number(arch, name_of).unwrap();
                let own = arch == Arch::X32 && X32_OWN.contains(&name_of);
                assert_eq!(found >= X32_BIT + X32_FIRST, own, "{name_of} of {arch}");
                assert_eq!(name(arch, found), Some(name_of), "{arch}");
            }
        }
    }

    #[test]
    fn x32_has_numbers_of_its_own() {
        assert_eq!(number(Arch::X32, "getpid"), Some(X32_BIT + 39));
        assert_eq!(number(Arch::X32, "execve"), Some(X32_BIT + 520));
        assert_eq!(name(Arch::X32, X32_BIT + 547), Some("pwritev2"));
        assert_eq!(name(Arch::X32, X32_BIT + 59), None, "execve of x86_64");
        assert_eq!(name(Arch::X32, 39), None, "not of x32 without its bit");
    }

    #[test]
    fn an_unknown_number_has_no_name() {
        assert_eq!(name(Arch::X86_64, 100_000), None);
        assert_eq!(name(Arch::Mips, 1), None, "no table");
        assert_eq!(audit_arch(0xc000_003e), Some(Arch::X86_64));
    }
}
