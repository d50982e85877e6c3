//! A map's memory in this process's own: reading it costs no system call.

use std::{
    io,
    os::fd::BorrowedFd,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Words that the kernel's programs change meanwhile.
#[derive(Debug)]
pub(super) struct Mapped {
    start: NonNull<AtomicU64>,
    words: usize,
}

impl Mapped {
    /// Maps so many words from an offset on, in bytes: whole pages from the start of a page.
    pub(super) fn new(map: BorrowedFd<'_>, offset: u64, words: usize) -> io::Result<Self> {
        Self::with(map, offset, words, ProtFlags::READ | ProtFlags::WRITE)
    }

    /// The same of what only the kernel may change: nothing is to be stored there, and loads are to be relaxed ones.
    pub(super) fn read_only(map: BorrowedFd<'_>, offset: u64, words: usize) -> io::Result<Self> {
        Self::with(map, offset, words, ProtFlags::READ)
    }

    fn with(map: BorrowedFd<'_>, offset: u64, words: usize, access: ProtFlags) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "memory that is shared with the kernel has no safe form")]
        // SAFETY: the kernel chooses a place where nothing is.
        let start = unsafe {
            mmap(std::ptr::null_mut(), words * 8, access, MapFlags::SHARED, map, offset)
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, words })
    }

    pub(super) fn words(&self) -> &[AtomicU64] {
        #[expect(unsafe_code, reason = "memory that is shared with the kernel has no safe form")]
        // SAFETY: as many are mapped as long as this lives; every number is one, and others change them as a whole.
        unsafe {
            std::slice::from_raw_parts(self.start.as_ptr(), self.words)
        }
    }

    /// The second half of a word, as it lies in memory.
    pub(super) fn second_half(&self, word: usize) -> Option<&AtomicU32> {
        let word: *const AtomicU64 = self.words().get(word)?;
        let half = word.cast::<AtomicU32>().wrapping_add(1);
        #[expect(unsafe_code, reason = "memory that is shared with the kernel has no safe form")]
        // SAFETY: inside of a word that is mapped as long as this lives, and aligned.
        Some(unsafe { &*half })
    }
}

impl AsRef<[AtomicU64]> for Mapped {
    fn as_ref(&self) -> &[AtomicU64] {
        self.words()
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "what was mapped is unmapped")]
        // SAFETY: nobody has a reference into it any more.
        let _nothing_to_be_done = unsafe { munmap(self.start.as_ptr().cast(), self.words * 8) };
    }
}

#[expect(unsafe_code, reason = "a pointer says nothing of threads")]
// SAFETY: what is there is only used by atomic operations.
unsafe impl Send for Mapped {}

#[expect(unsafe_code, reason = "a pointer says nothing of threads")]
// SAFETY: what is there is only used by atomic operations.
unsafe impl Sync for Mapped {}
