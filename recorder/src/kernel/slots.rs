//! The slots of all mount namespaces in the kernel's memory, which is mapped here: looking at them costs no system call.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Lost, SLOTS,
    mapped::Mapped,
    slot::{self, CALLS, LEAVING, Muted, NAMESPACE, SLOT, STATE, Slot},
};

/// What `struct control` of `bpf/slots.h` begins with: the layout's number, and counters of what was lost.
const LAYOUT: usize = 0;
const LOST: usize = 1;
const USED: usize = 4;

/// Words of `struct control`.
const CONTROL: usize = USED + SLOTS as usize / 64;

/// The slots, and what is known of all of them.
#[derive(Debug)]
pub(super) struct Slots {
    map: OwnedFd,
    control: Mapped,
    /// Only pages with a slot that was claimed are mapped, and take memory.
    pages: Mutex<BTreeMap<usize, Mapped>>,
    /// How many slots a page has.
    in_page: usize,
}

impl Slots {
    /// Of the two maps.
    pub(super) fn new(map: OwnedFd, control: &OwnedFd) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let control = Mapped::new(control.as_fd(), 0, (CONTROL * 8).next_multiple_of(page) / 8)?;
        Ok(Self { map, control, pages: Mutex::default(), in_page: page / (SLOT * 8) })
    }

    /// Says which layout the memory is of.
    pub(super) fn set_layout(&self, layout: u64) {
        self.control.words()[LAYOUT].store(layout, Ordering::Relaxed);
    }

    pub(super) fn lost(&self) -> Lost {
        let [namespaces, accesses, permissions] =
            std::array::from_fn(|what| self.control.words()[LOST + what].load(Ordering::Relaxed));
        Lost { namespaces, accesses, permissions }
    }

    /// Places that are claimed.
    pub(super) fn used(&self) -> impl Iterator<Item = u32> {
        let words = &self.control.words()[USED..CONTROL];
        (0_u32..).zip(words).flat_map(|(word, bits)| {
            let bits = bits.load(Ordering::Acquire);
            (0..64).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| word * 64 + bit)
        })
    }

    /// What is in a slot, if it is a container's.
    pub(super) fn slot(&self, place: u32) -> io::Result<Option<Slot>> {
        self.with(place, |words, _| {
            Slot::read(&std::array::from_fn(|word| words[word].load(Ordering::Relaxed)))
        })
    }

    /// The inode of a namespace, and the first process in it.
    pub(super) fn about(&self, namespace: u64) -> Option<(u64, u32)> {
        let mut slots = self.used().filter_map(|place| self.slot(place).ok().flatten());
        let slot = slots.find(|slot| slot.namespace == namespace)?;
        Some((slot.inode, u32::try_from(slot.first).ok()?))
    }

    pub(super) fn mute(&self, place: u32, muted: Muted) -> io::Result<()> {
        self.with(place, |_, page| {
            let word = self.first_word(place) + STATE;
            if let Some(half) = page.second_half(word) {
                half.store(muted.bits(), Ordering::Relaxed);
            }
        })
    }

    /// Frees slots of namespaces that are gone, if they still are theirs, and gives what was in them last. Should a
    /// namespace not be gone, what it does from now on is in another slot.
    pub(super) fn release(&self, leaving: &[(u32, u64)]) -> io::Result<Vec<Slot>> {
        let mut marked = Vec::with_capacity(leaving.len());
        for &(place, namespace) in leaving {
            let is_it = self.with(place, |words, _| {
                let (order, otherwise) = (Ordering::AcqRel, Ordering::Relaxed);
                words[NAMESPACE].compare_exchange(namespace, LEAVING, order, otherwise).is_ok()
            })?;
            if is_it {
                marked.push((place, namespace));
            }
        }
        if marked.is_empty() {
            return Ok(Vec::new());
        }
        // Programs that had found a slot before it was marked end in here.
        wait_for_programs();
        let mut last = Vec::with_capacity(marked.len());
        for (place, namespace) in marked {
            let slot = self.with(place, |words, _| {
                let mut taken: [u64; SLOT] =
                    std::array::from_fn(|word| words[word].load(Ordering::Relaxed));
                taken[NAMESPACE] = namespace;
                for word in &words[NAMESPACE + 1..] {
                    word.store(0, Ordering::Relaxed);
                }
                let used = &self.control.words()[USED + place as usize / 64];
                used.fetch_and(!(1 << (place % 64)), Ordering::AcqRel);
                words[NAMESPACE].store(0, Ordering::Release);
                Slot::read(&taken)
            })?;
            last.extend(slot);
        }
        self.unmap();
        Ok(last)
    }

    /// Has programs that were loaded now look at the host's namespace again: that is how they learn to know it.
    pub(super) fn look_at_host_again(&self) -> io::Result<()> {
        for place in self.used() {
            self.with(place, |words, _| {
                if slot::is_hosts(words[STATE].load(Ordering::Relaxed)) {
                    for word in &words[CALLS] {
                        word.store(0, Ordering::Relaxed);
                    }
                }
            })?;
        }
        Ok(())
    }

    /// Unmaps pages in which no slot is claimed.
    fn unmap(&self) {
        let needed: std::collections::BTreeSet<_> =
            self.used().map(|place| place as usize / self.in_page).collect();
        self.pages().retain(|page, _| needed.contains(page));
    }

    fn pages(&self) -> MutexGuard<'_, BTreeMap<usize, Mapped>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a slot begins in its page.
    fn first_word(&self, place: u32) -> usize {
        place as usize % self.in_page * SLOT
    }

    /// Does something with a slot's words and the page that they are in.
    fn with<T>(
        &self,
        place: u32,
        look: impl FnOnce(&[AtomicU64; SLOT], &Mapped) -> T,
    ) -> io::Result<T> {
        let number = place as usize / self.in_page;
        let words = self.in_page * SLOT;
        let mut pages = self.pages();
        let page = match pages.entry(number) {
            std::collections::btree_map::Entry::Occupied(page) => page.into_mut(),
            std::collections::btree_map::Entry::Vacant(page) => {
                let offset = (number * words * 8) as u64;
                page.insert(Mapped::new(self.map.as_fd(), offset, words)?)
            }
        };
        let slot = page.words()[self.first_word(place)..].first_chunk();
        let slot = slot.ok_or(io::ErrorKind::InvalidInput)?;
        let seen = look(slot, page);
        drop(pages);
        Ok(seen)
    }
}

/// Which layout the memory of some control map is of; 0 when nobody has said so yet.
pub(super) fn layout(control: BorrowedFd<'_>) -> io::Result<u64> {
    let control = Mapped::new(control, 0, rustix::param::page_size() / 8)?;
    Ok(control.words()[LAYOUT].load(Ordering::Relaxed))
}

/// Waits until programs that run now have ended: the kernel runs them inside of what its RCU waits for.
fn wait_for_programs() {
    /// `MEMBARRIER_CMD_GLOBAL` of linux/membarrier.h.
    const GLOBAL: libc::c_int = 1;
    #[expect(unsafe_code, reason = "there is no safe form of membarrier")]
    // SAFETY: it takes three numbers.
    let waited = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if waited != 0 {
        // Processors without a clock tick have no such barrier. Programs take microseconds.
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
}
