//! What the kernel records of one mount namespace: `struct slot` of `bpf/slots.h`. Pure.

use std::collections::BTreeSet;

use profile::{kinds::seccomp::Arch, syscall};

use super::form::Form;

/// Words of a bitmap.
const WORDS: usize = 10;

/// Bitmaps of one sort: the machine's own calls, its narrower ones, those of x32.
const ABIS: usize = 3;

/// Instead of an id: the slot is about to be free, and nobody finds or claims it.
pub(super) const LEAVING: u64 = u64::MAX;

/// `enum state` of `bpf/slots.h`: the one of the first process.
const HOST: u32 = 2;

/// What nobody wants to know of a namespace any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Muted {
    pub accesses: bool,
    pub permissions: bool,
}

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
    /// The first process in it, as this process counts; 0 where it does not see that.
    pub first: u64,
    /// Calls with a number that has no bit.
    pub overflow: u64,
    /// The namespace's inode, as in `/proc/PID/ns/mnt`.
    pub inode: u64,
    /// The id of the namespace in which the parent of the first process was: that of who has made this one.
    pub above: u64,
    /// What was muted.
    pub muted: Muted,
    /// What the workload called.
    pub workload: Calls,
    /// What the runtime called before the workload began.
    pub setup: Calls,
    /// What a filter refused. A call that it lets through with some arguments and refuses with others is not among them.
    pub denied: Calls,
    /// The name of the first process's cgroup, and of the one above it.
    pub leaf: String,
    pub parent: String,
    /// Whether it is one of an earlier recorder's, into which nothing more comes.
    pub former: bool,
}

/// Calls by architecture and number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls([[u64; WORDS]; ABIS]);

impl Slot {
    /// Reads the words; none when nobody has claimed the slot, and for the host's own, in which nothing is recorded.
    pub(super) fn read(words: &[u64], form: &Form) -> Option<Self> {
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let [state, muted] = halves(word(form.state));
        let namespace = word(form.namespace);
        if namespace == 0 || namespace == LEAVING || state == HOST {
            return None;
        }
        // A later form may have more of them than are known here.
        let mut beyond = 0;
        let mut calls = |at: usize| {
            let mut calls = Calls::default();
            for (abi, place) in
                (0..form.abis).flat_map(|abi| (0..form.words).map(move |of| (abi, of)))
            {
                let bits = word(at + abi * form.words + place);
                match calls.0.get_mut(abi).and_then(|map| map.get_mut(place)) {
                    Some(own) => *own = bits,
                    None => beyond += u64::from(bits.count_ones()),
                }
            }
            calls
        };
        let [workload, setup, denied] = [form.workload, form.setup, form.denied].map(&mut calls);
        let name = |(at, words): (usize, usize)| {
            let bytes: Vec<_> = (at..at + words).map(|at| word(at).to_ne_bytes()).collect();
            let text: Vec<u8> =
                bytes.as_flattened().iter().copied().take_while(|byte| *byte != 0).collect();
            String::from_utf8_lossy(&text).into_owned()
        };
        Some(Self {
            namespace,
            cgroup: word(form.cgroup),
            since: word(form.since),
            newest: word(form.newest),
            first: word(form.first),
            overflow: word(form.overflow).saturating_add(beyond),
            inode: word(form.inode),
            above: word(form.above),
            muted: Muted::of_bits(muted),
            workload,
            setup,
            denied,
            leaf: name(form.leaf),
            parent: name(form.parent),
            former: false,
        })
    }
}

/// The two numbers of four bytes in a word, in the machine's order.
fn halves(word: u64) -> [u32; 2] {
    [0, 4].map(|at| {
        let mut number = [0; 4];
        number.copy_from_slice(&word.to_ne_bytes()[at..at + 4]);
        u32::from_ne_bytes(number)
    })
}

impl Muted {
    /// `enum muted` of `bpf/slots.h`.
    pub(super) fn bits(self) -> u32 {
        u32::from(self.accesses) | u32::from(self.permissions) << 1
    }

    fn of_bits(bits: u32) -> Self {
        Self { accesses: bits & 1 != 0, permissions: bits & 2 != 0 }
    }
}

impl Calls {
    /// Calls of the machine's own architecture, by number; those that have no bit are left out.
    pub fn own(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut calls = Self::default();
        for number in numbers {
            if let Some(word) = calls.0[0].get_mut(number as usize / 64) {
                *word |= 1 << (number % 64);
            }
        }
        calls
    }

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
pub(super) fn abis(machine: Arch) -> [Arch; ABIS] {
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

    const FORM: Form = Form::OURS;
    const SLOT: usize = FORM.slot;
    const WORKLOAD: usize = FORM.workload;

    fn words(numbers: &[(usize, u64)]) -> [u64; SLOT] {
        let mut words = [0; SLOT];
        for (place, number) in numbers {
            words[*place] = *number;
        }
        words
    }

    #[test]
    fn a_slot_that_nobody_has_claimed_is_none() {
        assert_eq!(Slot::read(&[0; SLOT], &FORM), None);
    }

    #[test]
    fn a_slot_that_is_about_to_be_free_is_none() {
        assert_eq!(Slot::read(&words(&[(0, LEAVING), (WORKLOAD, 1)]), &FORM), None);
    }

    #[test]
    fn what_is_muted_is_told_and_the_hosts_is_none() {
        let muted = |state: u32, muted: u32| {
            let mut word = [0; 8];
            word[..4].copy_from_slice(&state.to_ne_bytes());
            word[4..].copy_from_slice(&muted.to_ne_bytes());
            Slot::read(&words(&[(0, 1), (FORM.state, u64::from_ne_bytes(word))]), &FORM)
                .map(|slot| slot.muted)
        };
        assert_eq!(muted(3, 0), Some(Muted::default()));
        assert_eq!(muted(3, 1), Some(Muted { accesses: true, permissions: false }));
        assert_eq!(muted(3, 2), Some(Muted { accesses: false, permissions: true }));
        assert_eq!(muted(HOST, 0), None);
    }

    #[test]
    fn every_bit_is_a_call_of_its_architecture() {
        // read and futex_requeue of the machine, exit of the narrower one, getpid and execve of x32.
        let slot = Slot::read(
            &words(&[
                (0, 7),
                (WORKLOAD, 1),
                (WORKLOAD + 7, 1 << (456 - 7 * 64)),
                (WORKLOAD + WORDS, 1 << 1),
                (WORKLOAD + 2 * WORDS, 1 << 39),
                (WORKLOAD + 2 * WORDS + 8, 1 << (520 - 8 * 64)),
                (FORM.first, 42),
                (FORM.above, 9),
                (FORM.leaf.0, u64::from_ne_bytes(*b"abc.scop")),
                (FORM.leaf.0 + 1, u64::from_ne_bytes(*b"e\0\0\0\0\0\0\0")),
                (FORM.parent.0, u64::from_ne_bytes(*b"pod\0\0\0\0\0")),
            ]),
            &FORM,
        )
        .unwrap();
        assert_eq!(FORM.parent.0 + FORM.parent.1, SLOT);
        assert_eq!((slot.namespace, slot.first, slot.above), (7, 42, 9));
        assert_eq!((&*slot.leaf, &*slot.parent), ("abc.scope", "pod"));
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
        let slot = Slot::read(&words(&[(0, 1), (WORKLOAD + 9, 1 << 63)]), &FORM).unwrap();
        let calls: Vec<_> = slot.workload.by_name(Arch::X86_64).into_iter().collect();
        assert_eq!(calls, [(Arch::X86_64, Err(639))]);
    }

    #[test]
    fn a_slot_of_another_form_holds_the_same_and_what_has_no_place_here_is_counted() {
        let mut ours: [u64; SLOT] = std::array::from_fn(|word| word as u64 * 0x0101);
        (ours[FORM.namespace], ours[FORM.state]) = (7, 0);
        let expected = Slot::read(&ours, &FORM).unwrap();
        // One more word at the beginning, and one at the end of each bitmap.
        let words = WORDS + 1;
        let bitmap = |at: usize| 3 + (at - WORKLOAD) / WORDS * words;
        let moved = |at: usize| at + 1 + 3 * ABIS;
        let other = Form {
            slot: moved(SLOT),
            namespace: 1,
            state: 2,
            workload: bitmap(FORM.workload),
            setup: bitmap(FORM.setup),
            denied: bitmap(FORM.denied),
            words,
            cgroup: moved(FORM.cgroup),
            since: moved(FORM.since),
            newest: moved(FORM.newest),
            first: moved(FORM.first),
            overflow: moved(FORM.overflow),
            inode: moved(FORM.inode),
            above: moved(FORM.above),
            leaf: (moved(FORM.leaf.0), FORM.leaf.1),
            parent: (moved(FORM.parent.0), FORM.parent.1),
            ..FORM
        };
        let mut theirs = vec![u64::MAX; other.slot];
        theirs[1..3].copy_from_slice(&ours[..2]);
        for map in 0..3 * ABIS {
            let (from, to) = (WORKLOAD + map * WORDS, 3 + map * words);
            theirs[to..to + WORDS].copy_from_slice(&ours[from..from + WORDS]);
            theirs[to + WORDS] = u64::from(map == 0) << 5;
        }
        theirs[moved(FORM.cgroup)..].copy_from_slice(&ours[FORM.cgroup..]);
        let slot = Slot::read(&theirs, &other).unwrap();
        assert_eq!(slot, Slot { overflow: expected.overflow + 1, ..expected });
    }
}
