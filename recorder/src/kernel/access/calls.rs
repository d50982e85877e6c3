//! Which system calls do what AppArmor has rules for, and which of their arguments say to what: `struct call` of
//! `bpf/access_name.h`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use profile::{kinds::seccomp::Arch, syscall};

use super::tier::Group;
use crate::seen::Ways;

/// Numbers of an architecture.
const CALLS: u32 = 1024;

/// An argument that a call does not have.
const NONE: u8 = 255;

/// Bytes of a call in the table.
pub(super) const CALL: usize = 12;

/// `enum action` of `bpf/access_name.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Opens = 1,
    Maps,
    Locks,
    Controls,
    Changes,
    Protects,
    Names,
    NamesTwo,
    Sockets,
    SocketsByPointer,
    Binds,
    Connects,
    SendsTo,
    SendsMessage,
    Mounts,
    Unmounts,
    Pivots,
    MovesMount,
    Traces,
    TracesByRequest,
    Signals,
}

/// A name among the arguments: where the folder's number is, where the address of the name is, and how it is used.
type Argument = (Option<u8>, u8, Ways);

/// What a call does.
#[derive(Clone, Copy, Debug)]
struct Call {
    action: Action,
    names: [Option<Argument>; 2],
    flags: u8,
    how: u16,
}

const FOLLOWED: u16 = 1;
const IS_FOLDER: u16 = 2;
const REMOVES: u16 = 8;
const NOT_FOLLOWED: u16 = 16;
const CAN_BE_FOLLOWED: u16 = 32;

const fn does(action: Action) -> Call {
    Call { action, names: [None; 2], flags: NONE, how: 0 }
}

/// A call with a name at a place.
const fn names(at: u8, ways: Ways) -> Call {
    Call { names: [Some((None, at, ways)), None], ..does(Action::Names) }
}

/// A call with a folder's number before the name.
const fn names_at(at: u8, ways: Ways) -> Call {
    Call { names: [Some((Some(at), at + 1, ways)), None], ..does(Action::Names) }
}

impl Call {
    const fn how(self, how: u16) -> Self {
        Self { how, ..self }
    }

    const fn flags(self, at: u8) -> Self {
        Self { flags: at, ..self }
    }

    const fn and(self, second: Argument) -> Self {
        Self { action: Action::NamesTwo, names: [self.names[0], Some(second)], ..self }
    }

    /// As the kernel's programs read it.
    fn bytes(self) -> [u8; CALL] {
        let [first, second] = self.names.map(|name| match name {
            Some((folder, name, ways)) => (folder.unwrap_or(NONE), name, ways.bits()),
            None => (NONE, NONE, 0),
        });
        let [ways, second_ways, how] = [first.2, second.2, self.how].map(u16::to_ne_bytes);
        let mut bytes = [0; CALL];
        bytes[..6].copy_from_slice(&[
            self.action as u8,
            first.0,
            first.1,
            self.flags,
            second.0,
            second.1,
        ]);
        bytes[6..].copy_from_slice([ways, second_ways, how].as_flattened());
        bytes
    }
}

/// The calls that use files.
const FILES: &[(&str, Call)] = {
    use Action::{Changes, Controls, Locks, Maps, Opens, Protects};
    const RENAMED: Ways = Ways::RENAME;
    const LINKED: Ways = Ways::LINK;
    &[
        ("open", does(Opens)),
        ("openat", does(Opens)),
        ("openat2", does(Opens)),
        ("creat", does(Opens)),
        ("open_by_handle_at", does(Opens)),
        ("mmap", does(Maps)),
        ("mmap2", does(Maps)),
        ("mprotect", does(Protects)),
        ("pkey_mprotect", does(Protects)),
        ("flock", does(Locks)),
        ("fcntl", does(Controls)),
        ("fcntl64", does(Controls)),
        ("fchmod", does(Changes)),
        ("fchown", does(Changes)),
        ("fchown32", does(Changes)),
        ("unlink", names(0, Ways::REMOVE)),
        ("unlinkat", names_at(0, Ways::REMOVE).how(REMOVES).flags(2)),
        ("rmdir", names(0, Ways::REMOVE).how(IS_FOLDER)),
        ("mkdir", names(0, Ways::CREATE).how(IS_FOLDER)),
        ("mkdirat", names_at(0, Ways::CREATE).how(IS_FOLDER)),
        ("mknod", names(0, Ways::CREATE)),
        ("mknodat", names_at(0, Ways::CREATE)),
        ("symlink", names(1, Ways::CREATE)),
        ("symlinkat", names_at(1, Ways::CREATE)),
        ("link", names(0, LINKED).and((None, 1, LINKED))),
        ("linkat", names_at(0, LINKED).and((Some(2), 3, LINKED)).how(CAN_BE_FOLLOWED).flags(4)),
        ("rename", names(0, RENAMED).and((None, 1, RENAMED))),
        ("renameat", names_at(0, RENAMED).and((Some(2), 3, RENAMED))),
        ("renameat2", names_at(0, RENAMED).and((Some(2), 3, RENAMED))),
        ("truncate64", names(0, Ways::WRITE).how(FOLLOWED)),
        ("chown32", names(0, Ways::WRITE).how(FOLLOWED)),
        ("lchown", names(0, Ways::WRITE)),
        ("lchown32", names(0, Ways::WRITE)),
        ("truncate", names(0, Ways::WRITE).how(FOLLOWED)),
        ("chmod", names(0, Ways::WRITE).how(FOLLOWED)),
        ("fchmodat", names_at(0, Ways::WRITE).how(FOLLOWED)),
        ("fchmodat2", names_at(0, Ways::WRITE).how(FOLLOWED | NOT_FOLLOWED).flags(3)),
        ("chown", names(0, Ways::WRITE).how(FOLLOWED)),
        ("fchownat", names_at(0, Ways::WRITE).how(FOLLOWED | NOT_FOLLOWED).flags(4)),
    ]
};

/// Those that make sockets, and name others: of many messages at a time, only the first is looked at.
const SOCKETS: &[(&str, Call)] = &[
    ("socket", does(Action::Sockets)),
    ("socketpair", does(Action::Sockets)),
    ("socketcall", does(Action::SocketsByPointer)),
    ("bind", does(Action::Binds)),
    ("connect", does(Action::Connects)),
    ("sendto", does(Action::SendsTo)),
    ("sendmsg", does(Action::SendsMessage)),
    ("sendmmsg", does(Action::SendsMessage)),
];

/// Those that change what is mounted.
const MOUNTS: &[(&str, Call)] = &[
    ("mount", does(Action::Mounts)),
    ("umount", does(Action::Unmounts)),
    ("umount2", does(Action::Unmounts)),
    ("pivot_root", does(Action::Pivots)),
    ("move_mount", does(Action::MovesMount)),
];

/// Those that look into other processes, or take hold of them.
const PTRACE: &[(&str, Call)] = {
    const READS: Call = Call { names: [Some((None, 0, Ways::READ)), None], ..does(Action::Traces) };
    &[
        ("ptrace", does(Action::TracesByRequest)),
        ("process_vm_readv", does(Action::Traces)),
        ("process_vm_writev", does(Action::Traces)),
        ("pidfd_getfd", does(Action::Traces)),
        ("kcmp", READS),
        ("process_madvise", READS),
    ]
};

/// Those that send signals, with the place of the signal's number. Only whether a process is there is asked by them
/// without one being sent.
const SIGNALS: &[(&str, Call)] = {
    const fn signal_at(at: u8) -> Call {
        Call { names: [Some((None, at, Ways::READ)), None], ..does(Action::Signals) }
    }
    &[
        ("kill", signal_at(1)),
        ("tkill", signal_at(1)),
        ("tgkill", signal_at(2)),
        ("rt_sigqueueinfo", signal_at(1)),
        ("rt_tgsigqueueinfo", signal_at(2)),
        ("pidfd_send_signal", signal_at(1)),
    ]
};

/// The calls that tell of a group.
fn calls(group: Group) -> &'static [(&'static str, Call)] {
    match group {
        Group::Files => FILES,
        Group::Sockets => SOCKETS,
        Group::Mounts => MOUNTS,
        Group::Ptrace => PTRACE,
        Group::Signals => SIGNALS,
        Group::Programs | Group::Capabilities => &[],
    }
}

/// The table for some groups: what is at each place that a call has, also where it is nothing.
pub(super) fn table(machine: [Arch; 3], groups: &BTreeSet<Group>) -> BTreeMap<u32, [u8; CALL]> {
    let mut table = BTreeMap::new();
    for group in Group::ALL {
        for (abi, arch) in (0..).zip(machine) {
            for &(name, call) in calls(group) {
                let number = syscall::number(arch, name).map(|number| number & !syscall::X32_BIT);
                let Some(number) = number.filter(|number| *number < CALLS) else { continue };
                // The old one of some architectures takes a pointer to its arguments, and no library calls it.
                let by_pointer = matches!(arch, Arch::X86 | Arch::S390 | Arch::S390X);
                if by_pointer && name == "mmap" {
                    continue;
                }
                let told = groups.contains(&group);
                let bytes = if told { call.bytes() } else { [0; CALL] };
                table.insert(abi * CALLS + number, bytes);
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_where_the_architecture_has_them() {
        let machine = [Arch::X86_64, Arch::X86, Arch::X32];
        let table = table(machine, &[Group::Files].into());
        // openat, unlinkat (257, 263), of i386 (295, 301), of x32 as of x86_64.
        let unlinkat = [7, 0, 1, 2, 255, 255, 32, 0, 0, 0, 8, 0];
        assert_eq!(table[&257][0], 1);
        assert_eq!(table[&263], unlinkat);
        assert_eq!(table[&(CALLS + 295)][0], 1);
        assert_eq!(table[&(2 * CALLS + 263)], unlinkat);
        // rename has two names; socket is not asked for.
        assert_eq!(table[&82], [8, 255, 0, 255, 255, 1, 64, 0, 64, 0, 0, 0]);
        assert_eq!(table[&41], [0; CALL]);
    }
}
