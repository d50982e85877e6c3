//! What the programs remember of the kernel's stacks: which slot the task on each of them has.

use std::{os::fd::AsFd as _, sync::atomic::Ordering};

use super::{KernelError, loaded::Loaded, mapped::Mapped};

/// The map that it is in, of `bpf/stacks.h`.
pub(super) const MAP: &str = "stacks";

/// How many words it has; the next one says whether anything may be remembered.
const STACKS: usize = 16_384;

/// So many bits of a word are a slot's place, or say that the host has it.
const PLACE_BITS: u32 = 15;

#[derive(Debug)]
pub(super) struct Stacks(Mapped);

impl Stacks {
    pub(super) fn new(loaded: &Loaded) -> Result<Self, KernelError> {
        let words = ((STACKS + 1) * 8).next_multiple_of(rustix::param::page_size()) / 8;
        let mapped = Mapped::new(loaded.map(MAP)?.as_fd(), 0, words).map_err(KernelError::Read)?;
        Ok(Self(mapped))
    }

    /// Forks are not seen any more, or not yet: nothing may be remembered, and what was is forgotten.
    pub(super) fn forbid(&self) {
        let (known, allowed) = self.0.words().split_at(STACKS);
        allowed[0].store(0, Ordering::SeqCst);
        for word in known {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Forks are seen from now on: what is known may be remembered.
    pub(super) fn allow(&self) {
        self.0.words()[STACKS].store(1, Ordering::Release);
    }

    /// Forgets which tasks have these slots. Programs that had found a slot to be a task's must have ended.
    pub(super) fn forget(&self, is_gone: impl Fn(u32) -> bool) {
        let is_gone = |known: u64| u32::try_from(known % (1 << PLACE_BITS)).is_ok_and(&is_gone);
        for word in &self.0.words()[..STACKS] {
            let known = word.load(Ordering::Relaxed);
            if known != 0 && is_gone(known) {
                // Whoever has written something else meanwhile knows better.
                let (order, otherwise) = (Ordering::AcqRel, Ordering::Relaxed);
                let _or_other = word.compare_exchange(known, 0, order, otherwise);
            }
        }
    }
}
