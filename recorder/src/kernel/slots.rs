//! The slots of all mount namespaces in the kernel's memory, which is mapped here: looking at them costs no system call.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Lost,
    form::Form,
    mapped::Mapped,
    slot::{LEAVING, Muted, Slot},
};

/// The slots, and what is known of all of them.
#[derive(Debug)]
pub(super) struct Slots {
    map: OwnedFd,
    form: Form,
    control: Mapped,
    /// Only pages with a slot that was claimed are mapped, and take memory.
    pages: Mutex<BTreeMap<Pages, Mapped>>,
}

/// The pages that a slot is in: the first of them, and how many.
type Pages = (usize, usize);

impl Slots {
    /// Of the two maps, and what is where in them.
    pub(super) fn new(map: OwnedFd, control: &OwnedFd, form: Form) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let words = (form.control() * 8).next_multiple_of(page) / 8;
        let control = Mapped::new(control.as_fd(), 0, words)?;
        Ok(Self { map, form, control, pages: Mutex::default() })
    }

    pub(super) fn lost(&self) -> Lost {
        let [namespaces, accesses, permissions] =
            self.losses().map(|count| count.load(Ordering::Relaxed));
        Lost { namespaces, accesses, permissions }
    }

    /// Counts what was lost elsewhere as well.
    pub(super) fn lose(&self, lost: Lost) {
        let Lost { namespaces, accesses, permissions } = lost;
        for (count, more) in self.losses().into_iter().zip([namespaces, accesses, permissions]) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    fn losses(&self) -> [&AtomicU64; 3] {
        std::array::from_fn(|what| &self.control.words()[self.form.lost + what])
    }

    /// Places that are claimed.
    pub(super) fn used(&self) -> impl Iterator<Item = u32> {
        let words = &self.control.words()[self.form.used..self.form.control()];
        (0_u32..).zip(words).flat_map(|(word, bits)| {
            let bits = bits.load(Ordering::Acquire);
            (0..64).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| word * 64 + bit)
        })
    }

    /// What is in a slot, if it is a container's.
    pub(super) fn slot(&self, place: u32) -> io::Result<Option<Slot>> {
        self.with(place, |words, _| {
            let words: Vec<_> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
            Slot::read(&words, &self.form)
        })
    }

    /// The inode of a namespace, and the first process in it.
    pub(super) fn about(&self, namespace: u64) -> Option<(u64, u32)> {
        let mut slots = self.used().filter_map(|place| self.slot(place).ok().flatten());
        let slot = slots.find(|slot| slot.namespace == namespace)?;
        Some((slot.inode, u32::try_from(slot.first).ok()?))
    }

    pub(super) fn mute(&self, place: u32, muted: Muted) -> io::Result<()> {
        let (_, first) = self.place(place);
        self.with(place, |_, page| {
            let word = first + self.form.state;
            if let Some(half) = page.second_half(word) {
                half.store(muted.bits(), Ordering::Relaxed);
            }
        })
    }

    /// Frees slots of namespaces that are gone, if they still are theirs, and gives what was in them last. Should a
    /// namespace not be gone, what it does from now on is in another slot. `forget` is told the places when no program
    /// finds them any more, before another namespace may have them.
    pub(super) fn release(
        &self,
        leaving: &[(u32, u64)],
        forget: impl FnOnce(&HashSet<u32>),
    ) -> io::Result<Vec<Slot>> {
        let mut marked = Vec::with_capacity(leaving.len());
        for &(place, namespace) in leaving {
            let is_it = self.with(place, |words, _| {
                let (order, otherwise) = (Ordering::AcqRel, Ordering::Relaxed);
                words[self.form.namespace]
                    .compare_exchange(namespace, LEAVING, order, otherwise)
                    .is_ok()
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
        forget(&marked.iter().map(|(place, _)| *place).collect());
        let mut last = Vec::with_capacity(marked.len());
        for (place, namespace) in marked {
            let slot = self.with(place, |words, _| {
                let mut taken: Vec<_> =
                    words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
                let own = self.form.namespace;
                taken[own] = namespace;
                for (_, word) in words.iter().enumerate().filter(|(at, _)| *at != own) {
                    word.store(0, Ordering::Relaxed);
                }
                let used = &self.control.words()[self.form.used + place as usize / 64];
                used.fetch_and(!(1 << (place % 64)), Ordering::AcqRel);
                words[own].store(0, Ordering::Release);
                Slot::read(&taken, &self.form)
            })?;
            last.extend(slot);
        }
        self.unmap();
        Ok(last)
    }

    /// Unmaps pages in which no slot is claimed.
    fn unmap(&self) {
        let needed: std::collections::BTreeSet<_> =
            self.used().map(|place| self.place(place).0).collect();
        self.pages().retain(|pages, _| needed.contains(pages));
    }

    fn pages(&self) -> MutexGuard<'_, BTreeMap<Pages, Mapped>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pages that a slot is in, and with which of their words it begins.
    fn place(&self, place: u32) -> (Pages, usize) {
        let page = rustix::param::page_size() / 8;
        let first = place as usize * self.form.slot;
        let end = (first + self.form.slot).div_ceil(page);
        ((first / page, end - first / page), first % page)
    }

    /// Does something with a slot's words and the pages that they are in.
    fn with<T>(&self, place: u32, look: impl FnOnce(&[AtomicU64], &Mapped) -> T) -> io::Result<T> {
        let (number, first) = self.place(place);
        let page = rustix::param::page_size();
        let mut pages = self.pages();
        let page = match pages.entry(number) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let (offset, words) = (number.0 * page, number.1 * page / 8);
                free.insert(Mapped::new(self.map.as_fd(), offset as u64, words)?)
            }
        };
        let slot = page.words().get(first..first + self.form.slot);
        let slot = slot.ok_or(io::ErrorKind::InvalidInput)?;
        let seen = look(slot, page);
        drop(pages);
        Ok(seen)
    }
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
