//! What the kernel records of one mount namespace: `struct slot` of `bpf/slots.h`. Pure.

use std::collections::BTreeSet;

use profile::{kinds::seccomp::Arch, syscall};

/// Words of a bitmap.
const WORDS: usize = 10;

/// Bitmaps of one sort: the machine's own calls, its narrower ones, those of x32.
const ABIS: usize = 3;

/// The longest name of a cgroup, with its NUL.
const NAME: usize = 128;

/// Numbers before the bitmaps.
const NUMBERS: usize = 8;

/// Bytes of a slot.
pub const SLOT: usize = (NUMBERS + 3 * ABIS * WORDS) * 8 + 2 * NAME;

/// One mount namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its id, which no other namespace ever has.
    pub namespace: u64,
    /// The id of the first process's cgroup.
    pub cgroup: u64,
    /// When it was first seen, and when a call was new last: nanoseconds of the monotonic clock.
    pub since: u64,
    pub newest: u64,
    /// The first process in it, as the host counts.
    pub first: u64,
    /// Calls with a number that has no bit.
    pub overflow: u64,
    /// The namespace's inode, as in `/proc/PID/ns/mnt`.
    pub inode: u64,
    /// What the workload called.
    pub workload: Calls,
    /// What the runtime called before the workload began.
    pub setup: Calls,
    /// What a filter refused. A call that it lets through with some arguments and refuses with others is not among them.
    pub denied: Calls,
    /// The name of the first process's cgroup, and of the one above it.
    pub leaf: String,
    pub parent: String,
}

/// Calls by architecture and number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls([[u64; WORDS]; ABIS]);

impl Slot {
    /// Reads the bytes; none when nobody has claimed the slot.
    pub fn read(bytes: &[u8; SLOT]) -> Option<Self> {
        let (numbers, names) = bytes.split_at(SLOT - 2 * NAME);
        let mut numbers =
            numbers.as_chunks::<8>().0.iter().map(|number| u64::from_ne_bytes(*number));
        let mut next = || numbers.next().unwrap_or_default();
        let [namespace, _state, cgroup, since, newest, first, overflow, inode]: [u64; NUMBERS] =
            std::array::from_fn(|_| next());
        let mut calls = || Calls(std::array::from_fn(|_| std::array::from_fn(|_| next())));
        let (workload, setup, denied) = (calls(), calls(), calls());
        let text = |bytes: &[u8]| {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        let (leaf, parent) = names.split_at(NAME);
        (namespace != 0).then(|| Self {
            namespace,
            cgroup,
            since,
            newest,
            first,
            overflow,
            inode,
            workload,
            setup,
            denied,
            leaf: text(leaf),
            parent: text(parent),
        })
    }
}

impl Calls {
    /// How many different calls.
    pub fn len(&self) -> u32 {
        self.0.iter().flatten().map(|word| word.count_ones()).sum()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The calls by name, and by number where that has no name here.
    pub fn by_name(&self, arch: Arch) -> BTreeSet<(Arch, Result<&'static str, u32>)> {
        let mut calls = BTreeSet::new();
        for (map, abi) in self.0.iter().zip(abis(arch)) {
            for (word, bits) in (0_u32..).zip(map) {
                for bit in (0..64).filter(|bit| bits & 1 << bit != 0) {
                    let number = word * 64 + bit;
                    let number = if abi == Arch::X32 { number | syscall::X32_BIT } else { number };
                    calls.insert((abi, syscall::name(abi, number).ok_or(number)));
                }
            }
        }
        calls
    }

    /// Those of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (word, more) in union.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *word |= more;
        }
        union
    }
}

/// The architectures of the bitmaps on a machine.
fn abis(machine: Arch) -> [Arch; ABIS] {
    let narrow = match machine {
        Arch::Aarch64 => Arch::Arm,
        Arch::S390X => Arch::S390,
        _ => Arch::X86,
    };
    [machine, narrow, Arch::X32]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(numbers: &[(usize, u64)], leaf: &str) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        for (place, number) in numbers {
            bytes[place * 8..place * 8 + 8].copy_from_slice(&number.to_ne_bytes());
        }
        let names = SLOT - 2 * NAME;
        bytes[names..names + leaf.len()].copy_from_slice(leaf.as_bytes());
        bytes
    }

    #[test]
    fn a_slot_that_nobody_has_claimed_is_none() {
        assert_eq!(Slot::read(&[0; SLOT]), None);
    }

    #[test]
    fn every_bit_is_a_call_of_its_architecture() {
        // read and futex_requeue of the machine, exit of the narrower one, getpid and execve of x32.
        let workload = NUMBERS;
        let slot = Slot::read(&bytes(
            &[
                (0, 7),
                (5, 42),
                (workload, 1),
                (workload + 7, 1 << (456 - 7 * 64)),
                (workload + WORDS, 1 << 1),
                (workload + 2 * WORDS, 1 << 39),
                (workload + 2 * WORDS + 8, 1 << (520 - 8 * 64)),
            ],
            "cri-containerd-abc.scope",
        ))
        .unwrap();
        assert_eq!((slot.namespace, slot.first, &*slot.leaf), (7, 42, "cri-containerd-abc.scope"));
        let names: Vec<_> = slot.workload.by_name(Arch::X86_64).into_iter().collect();
        assert_eq!(
            names,
            [
                (Arch::X86, Ok("exit")),
                (Arch::X86_64, Ok("futex_requeue")),
                (Arch::X86_64, Ok("read")),
                (Arch::X32, Ok("execve")),
                (Arch::X32, Ok("getpid")),
            ]
        );
        assert_eq!(slot.workload.len(), 5);
        assert!(slot.setup.is_empty());
    }

    #[test]
    fn a_number_without_a_name_is_kept() {
        let slot = Slot::read(&bytes(&[(0, 1), (NUMBERS + 9, 1 << 63)], "")).unwrap();
        let calls: Vec<_> = slot.workload.by_name(Arch::X86_64).into_iter().collect();
        assert_eq!(calls, [(Arch::X86_64, Err(639))]);
    }
}
