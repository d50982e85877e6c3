//! What the programs remember of the kernel's stacks: which slot the task on each of them has.

use std::{io, os::fd::AsFd as _, sync::atomic::Ordering};

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

    /// From now on the programs may remember: forks are seen.
    pub(super) fn allow(&self) -> Result<(), KernelError> {
        let allowed = self
            .0
            .words()
            .get(STACKS)
            .ok_or_else(|| KernelError::Read(io::ErrorKind::InvalidData.into()))?;
        allowed.store(1, Ordering::Release);
        Ok(())
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
