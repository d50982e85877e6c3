//! Where functions begin and end, from the tables by which exceptions unwind the stack (`.eh_frame`): compilers write
//! them for every function, and `strip` leaves them. Pure.
//!
//! The form is that of the Linux Standard Base (Core, "Exception Frames").

use std::collections::HashMap;

use super::elf::Part;

/// The ranges of addresses that the table names, as they come.
pub(crate) fn functions(table: &Part<'_>, wide: bool) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut encodings: HashMap<usize, Option<Common>> = HashMap::new();
    let mut reader = Reader { part: *table, at: 0, wide };
    while let Some(entry) = reader.entry() {
        let Entry { common, end } = entry;
        if let Some(common) = common {
            let common = *encodings.entry(common).or_insert_with(|| reader.at(common).common());
            let range = common.and_then(|Common { encoding, signal }| {
                let start = reader.pointer(encoding)?.checked_add(u64::from(signal))?;
                // The length has the form of a pointer, and is relative to nothing.
                let length = reader.pointer(encoding & 0x07)?;
                let length = length.checked_sub(u64::from(signal))?;
                (length > 0).then_some((start, start.checked_add(length)?))
            });
            found.extend(range);
        }
        reader.at = end;
    }
    found
}

/// What several functions have in common.
#[derive(Clone, Copy)]
struct Common {
    /// How pointers are written.
    encoding: u8,
    /// What a signal's handler comes back to is said to begin a byte early.
    signal: bool,
}

/// One record of the table.
struct Entry {
    /// Where the record is that it refers to; none where it is such a record itself.
    common: Option<usize>,
    end: usize,
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    part: Part<'a>,
    at: usize,
    wide: bool,
}

impl Reader<'_> {
    fn at(self, at: usize) -> Self {
        Self { at, ..self }
    }

    fn number(&mut self, size: usize) -> Option<u64> {
        let bytes = self.part.bytes.get(self.at..self.at.checked_add(size)?)?;
        self.at += size;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.part.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip_leb(&mut self) -> Option<()> {
        while self.byte()? & 0x80 != 0 {}
        Some(())
    }

    /// Goes into the next record.
    fn entry(&mut self) -> Option<Entry> {
        let length = match self.number(4)? {
            0 => return None,
            0xffff_ffff => self.number(8)?,
            length => length,
        };
        let begin = self.at;
        let end = begin.checked_add(usize::try_from(length).ok()?)?;
        if end <= begin || end > self.part.bytes.len() {
            return None;
        }
        let common = match usize::try_from(self.number(4)?).ok()? {
            0 => None,
            // Counted back from this very field; one from nowhere has nothing to say.
            back => Some(begin.checked_sub(back).unwrap_or(usize::MAX)),
        };
        Some(Entry { common, end })
    }

    /// What the record says in which this reader is at the beginning.
    fn common(mut self) -> Option<Common> {
        (self.entry()?.common.is_none()).then_some(())?;
        let version = self.byte()?;
        let mut letters = Vec::new();
        loop {
            match self.byte()? {
                0 => break,
                _ if letters.len() > 16 => return None,
                letter => letters.push(letter),
            }
        }
        self.skip_leb()?;
        self.skip_leb()?;
        if version == 1 {
            self.byte()?;
        } else {
            self.skip_leb()?;
        }
        if letters.first() != Some(&b'z') {
            return letters.is_empty().then_some(Common { encoding: 0, signal: false });
        }
        self.skip_leb()?;
        let signal = letters.contains(&b'S');
        for letter in &letters[1..] {
            match letter {
                b'R' => return Some(Common { encoding: self.byte()?, signal }),
                b'L' => drop(self.byte()?),
                b'P' => {
                    let encoding = self.byte()?;
                    self.pointer(encoding)?;
                }
                b'S' | b'B' => {}
                _ => return None,
            }
        }
        Some(Common { encoding: 0, signal })
    }

    fn pointer(&mut self, encoding: u8) -> Option<u64> {
        let place = self.part.address.wrapping_add(self.at as u64);
        let signed = encoding & 0x08 != 0;
        let size = match encoding & 0x07 {
            0 if self.wide => 8,
            0 | 3 => 4,
            2 => 2,
            4 => 8,
            _ => return None,
        };
        let mut value = self.number(size)?;
        if signed {
            let unused = 64 - 8 * u32::try_from(size).ok()?;
            value = (value.cast_signed() << unused >> unused).cast_unsigned();
        }
        match encoding & 0x70 {
            0 => Some(value),
            0x10 => Some(value.wrapping_add(place)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with one record for all, and functions at these distances from where their addresses are written.
    fn table(functions: &[(i32, u32)]) -> Vec<u8> {
        let mut bytes =
            vec![16, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0, 0, 0];
        for (start, length) in functions {
            let back = u32::try_from(bytes.len()).unwrap() + 4;
            bytes.extend([12, back].map(u32::to_le_bytes).concat());
            bytes.extend(start.to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        bytes.extend([0; 4]);
        bytes
    }

    fn part(bytes: &[u8]) -> Part<'_> {
        Part { address: 0x1000, bytes, stubs: false, writable: false }
    }

    #[test]
    fn a_function_is_found_by_its_distance_from_the_table() {
        let bytes = table(&[(-0x800, 0x20), (0x100, 4)]);
        let found = functions(&part(&bytes), true);
        let [first, second] = [0x1000 + 28 - 0x800, 0x1000 + 44 + 0x100];
        assert_eq!(found, [(first, first + 0x20), (second, second + 4)]);
    }

    proptest::proptest! {
        #[test]
        fn a_broken_table_ends_the_search_and_nothing_else(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), wide: bool
        ) {
            let found = functions(&part(&bytes), wide);
            proptest::prop_assert!(found.iter().all(|(start, end)| start < end));
        }
    }
}
