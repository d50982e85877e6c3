//! A BPF ring buffer's memory, read so that nothing is lost with the reader: what was taken out of it stays in it until
//! the reader says that it is kept.
//!
//! As the kernel documents it (Documentation/bpf/ringbuf.rst): a page with the consumer's position, one with the
//! producer's, and the data. Positions only grow. Each record has a header of 8 bytes, of which the first 4 are its
//! length with two flags, and begins at a multiple of 8.

use std::{
    io,
    os::fd::BorrowedFd,
    sync::atomic::{AtomicU64, Ordering, fence},
};

use super::mapped::Mapped;

/// `BPF_RINGBUF_BUSY_BIT` and `BPF_RINGBUF_DISCARD_BIT` of linux/bpf.h.
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;

/// `BPF_RINGBUF_HDR_SZ` of linux/bpf.h.
const HEADER: u64 = 8;

/// A reader with a position of its own.
#[derive(Debug)]
pub(super) struct Ring<M = Mapped> {
    /// Begins with the position up to which there is room for what is new.
    consumer: M,
    /// A page that begins with the position up to which there is something, and the data.
    shared: M,
    /// Where in `shared` the data begins, in words.
    data: usize,
    position: u64,
    record: Vec<u8>,
    unreadable: u64,
}

/// What is at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing, or something that is still being written.
    Nothing,
    /// A record, which ends there.
    Record(u64),
    /// One that was given up, which ends there.
    Discarded(u64),
    /// No record can be like this.
    Unreadable,
}

impl Ring {
    /// Of a map with so many bytes.
    pub(super) fn new(map: BorrowedFd<'_>, bytes: u32) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let consumer = Mapped::new(map, 0, page / 8)?;
        let shared = Mapped::read_only(map, page as u64, (page + bytes as usize) / 8)?;
        Ok(Self::of(consumer, shared, page / 8))
    }
}

impl<M: AsRef<[AtomicU64]>> Ring<M> {
    fn of(consumer: M, shared: M, data: usize) -> Self {
        let mut ring =
            Self { consumer, shared, data, position: 0, record: Vec::new(), unreadable: 0 };
        ring.position = ring.kept_until();
        ring
    }

    /// The next record, if there is one.
    ///
    /// What is not kept may fill half of the ring. Beyond that it is better to have room for what is new, which would be
    /// lost for certain: then what was given until now counts as kept.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        // Somebody else may have kept more.
        let kept = self.kept_until();
        if self.position.wrapping_sub(kept).cast_signed() < 0 {
            self.position = kept;
        }
        if self.position.wrapping_sub(kept) > self.bytes() / 2 {
            self.keep();
        }
        loop {
            let shared = self.shared.as_ref();
            let produced = load(shared.first()?);
            let data = shared.get(self.data..)?;
            match next(data, self.position, produced, &mut self.record) {
                Next::Nothing => return None,
                Next::Record(end) => {
                    self.position = end;
                    return Some(&self.record);
                }
                Next::Discarded(end) => self.position = end,
                Next::Unreadable => {
                    self.position = produced;
                    self.unreadable += 1;
                }
            }
        }
    }

    /// All that was given is kept by whoever asked for it: there is room again.
    pub(super) fn keep(&self) {
        if let Some(kept) = self.consumer.as_ref().first() {
            // Only readers write there. Positions never begin anew: 64 bits are for ever.
            kept.fetch_max(self.position, Ordering::Release);
        }
    }

    /// How many times what was there could not be read, and was left out.
    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn kept_until(&self) -> u64 {
        self.consumer.as_ref().first().map_or(0, |kept| kept.load(Ordering::Relaxed))
    }

    fn bytes(&self) -> u64 {
        self.shared.as_ref().len().saturating_sub(self.data) as u64 * 8
    }
}

/// Reads the record at a position. `data` is a power of two long, in words.
fn next(data: &[AtomicU64], position: u64, produced: u64, record: &mut Vec<u8>) -> Next {
    let there = produced.wrapping_sub(position);
    if there == 0 {
        return Next::Nothing;
    }
    let bytes = data.len() as u64 * 8;
    if there > bytes || there < HEADER || !position.is_multiple_of(8) {
        return Next::Unreadable;
    }
    let word = |at: u64| {
        let place = usize::try_from(at % bytes / 8).unwrap_or_default();
        data.get(place)
    };
    let Some(header) = word(position).map(load) else { return Next::Unreadable };
    let [a, b, c, d, ..] = header.to_ne_bytes();
    let header = u32::from_ne_bytes([a, b, c, d]);
    if header & BUSY != 0 {
        return Next::Nothing;
    }
    let length = u64::from(header & !(BUSY | DISCARD));
    let whole = HEADER + length.next_multiple_of(8);
    if whole > there {
        return Next::Unreadable;
    }
    let end = position.wrapping_add(whole);
    if header & DISCARD != 0 {
        return Next::Discarded(end);
    }
    record.clear();
    let words = (position.wrapping_add(HEADER)..end).step_by(8).filter_map(word);
    record.extend(words.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()));
    record.truncate(usize::try_from(length).unwrap_or_default());
    Next::Record(end)
}

/// What was written before this was, is read after it. A load with more than `Relaxed` may not be for memory that can
/// only be read.
fn load(word: &AtomicU64) -> u64 {
    let loaded = word.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    loaded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In words.
    const DATA: usize = 8;

    type Memory = std::rc::Rc<[AtomicU64]>;

    /// What the kernel does.
    struct Writer {
        consumer: Memory,
        shared: Memory,
    }

    impl Writer {
        fn new() -> Self {
            let words = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
            Self { consumer: words(1), shared: words(1 + DATA) }
        }

        fn reader(&self) -> Ring<Memory> {
            Ring::of(Memory::clone(&self.consumer), Memory::clone(&self.shared), 1)
        }

        fn word(&self, at: u64) -> &AtomicU64 {
            &self.shared[1 + usize::try_from(at).unwrap() / 8 % DATA]
        }

        /// False where there is no room.
        fn write(&self, bytes: &[u8], flags: u32) -> bool {
            let at = self.shared[0].load(Ordering::Relaxed);
            let whole = 8 + (bytes.len() as u64).next_multiple_of(8);
            if at + whole - self.consumer[0].load(Ordering::Relaxed) > DATA as u64 * 8 {
                return false;
            }
            self.header(at, u32::try_from(bytes.len()).unwrap() | flags);
            for (place, part) in (at + 8..).step_by(8).zip(bytes.chunks(8)) {
                let mut word = [0xff; 8];
                word[..part.len()].copy_from_slice(part);
                self.word(place).store(u64::from_ne_bytes(word), Ordering::Relaxed);
            }
            self.shared[0].store(at + whole, Ordering::Relaxed);
            true
        }

        fn header(&self, at: u64, length: u32) {
            let mut word = [0xee; 8];
            word[..4].copy_from_slice(&length.to_ne_bytes());
            self.word(at).store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
    }

    fn all(ring: &mut Ring<Memory>) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(record) = ring.next() {
            all.push(String::from_utf8(record.to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn records_are_given_in_their_order_and_with_their_lengths() {
        let writer = Writer::new();
        let mut ring = writer.reader();
        assert_eq!(ring.next(), None);
        for text in ["", "a", "eight is", "nine is 9"] {
            assert!(writer.write(text.as_bytes(), 0));
        }
        assert_eq!(all(&mut ring), ["", "a", "eight is", "nine is 9"]);
        assert_eq!(ring.next(), None);
    }

    #[test]
    fn what_was_not_kept_is_given_again_to_who_begins_anew() {
        let writer = Writer::new();
        let mut ring = writer.reader();
        writer.write(b"one", 0);
        assert_eq!(all(&mut ring), ["one"]);
        ring.keep();
        writer.write(b"two", 0);
        assert_eq!(all(&mut ring), ["two"]);
        assert_eq!(all(&mut writer.reader()), ["two"]);
        ring.keep();
        assert_eq!(ring.next(), None);
        assert_eq!(all(&mut writer.reader()), [""; 0]);
    }

    #[test]
    fn there_is_room_again_when_it_is_kept_and_records_go_over_the_end() {
        let writer = Writer::new();
        let mut ring = writer.reader();
        for round in 0..100 {
            let text = format!("{round:0>20}");
            assert!(writer.write(text.as_bytes(), 0), "round {round}");
            assert_eq!(all(&mut ring), [text]);
            ring.keep();
        }
    }

    #[test]
    fn what_is_not_kept_takes_half_of_the_room() {
        let writer = Writer::new();
        let mut ring = writer.reader();
        for text in ["1", "2"] {
            assert!(writer.write(text.as_bytes(), 0));
        }
        assert_eq!(all(&mut ring), ["1", "2"]);
        assert_eq!(all(&mut writer.reader()), ["1", "2"], "half of it");
        assert!(writer.write(b"3", 0));
        assert_eq!(all(&mut ring), ["3"]);
        assert_eq!(all(&mut writer.reader()), [""; 0], "more");
        for text in ["4", "5", "6", "7"] {
            assert!(writer.write(text.as_bytes(), 0), "{text}");
        }
        assert_eq!(all(&mut ring), ["4", "5", "6", "7"]);
    }

    #[test]
    fn what_another_reader_has_kept_is_not_given() {
        let writer = Writer::new();
        let (mut slow, mut fast) = (writer.reader(), writer.reader());
        writer.write(b"one", 0);
        all(&mut fast);
        fast.keep();
        writer.write(b"two", 0);
        slow.keep();
        assert_eq!(all(&mut writer.reader()), ["two"], "nobody takes back what is kept");
        assert_eq!(all(&mut slow), ["two"]);
    }

    #[test]
    fn what_is_still_written_is_waited_for_and_what_was_given_up_is_left_out() {
        let writer = Writer::new();
        let mut ring = writer.reader();
        writer.write(b"no", DISCARD);
        writer.write(b"late", BUSY);
        writer.write(b"next", 0);
        assert_eq!(ring.next(), None);
        writer.header(16, 4);
        assert_eq!(all(&mut ring), ["late", "next"]);
    }

    #[test]
    fn what_cannot_be_is_left_out_and_counted() {
        for wrong in [9, 65, DISCARD - 1, DISCARD | (DISCARD - 1)] {
            let writer = Writer::new();
            let mut ring = writer.reader();
            writer.write(b"wrong", 0);
            writer.header(0, wrong);
            assert_eq!(ring.next(), None, "{wrong:#x}");
            assert_eq!(ring.unreadable(), 1, "{wrong:#x}");
            writer.write(b"right", 0);
            assert_eq!(all(&mut ring), ["right"], "{wrong:#x}");
        }
        // Positions that cannot be.
        for (kept, produced) in [(4, 64), (0, 72), (0, 4)] {
            let writer = Writer::new();
            writer.consumer[0].store(kept, Ordering::Relaxed);
            writer.shared[0].store(produced, Ordering::Relaxed);
            let mut ring = writer.reader();
            assert_eq!(ring.next(), None, "{kept} {produced}");
            assert_eq!(ring.unreadable(), 1, "{kept} {produced}");
        }
    }
}
