//! Cuts what a file gives into lines, however it comes. Pure.

use crate::logs::loss::Loss;

/// No record is longer: the kernel's are 8,970 bytes at most (`MAX_AUDIT_MESSAGE_LENGTH`), and what a log puts before them.
pub const LONGEST: usize = 16 * 1024;

/// What is left of the line that has not ended yet.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    /// It is too long already: what is left of it does not count.
    passing: bool,
}

/// A line, or that there was one that cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    Line(&'a [u8]),
    Lost(Loss),
}

impl Lines {
    /// Takes in more, and tells each line that has ended.
    pub fn take(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Told<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.begun.is_empty() && !self.passing && line.len() <= LONGEST {
                tell(line, each);
            } else {
                self.more(line, each);
                if !std::mem::take(&mut self.passing) {
                    tell(&self.begun, each);
                }
                self.begun.clear();
            }
            bytes = rest;
        }
        self.more(bytes, each);
    }

    /// Forgets a line that will never end. Whether there was one.
    pub fn forget(&mut self) -> bool {
        let begun = !self.begun.is_empty() || self.passing;
        *self = Self::default();
        begun
    }

    fn more(&mut self, bytes: &[u8], each: &mut dyn FnMut(Told<'_>)) {
        if self.passing {
            return;
        }
        if self.begun.len() + bytes.len() > LONGEST {
            self.passing = true;
            self.begun.clear();
            each(Told::Lost(Loss::Long));
            return;
        }
        self.begun.extend_from_slice(bytes);
    }
}

/// A log that is cut off while its writer goes on at the old place begins with a hole, which reads as NULs.
fn tell(line: &[u8], each: &mut dyn FnMut(Told<'_>)) {
    let begin = line.iter().position(|byte| *byte != 0).unwrap_or(line.len());
    if begin < line.len() {
        each(Told::Line(&line[begin..]));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(pieces: &[&[u8]]) -> Vec<Result<Vec<u8>, Loss>> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.take(piece, &mut |told| {
                all.push(match told {
                    Told::Line(line) => Ok(line.to_vec()),
                    Told::Lost(loss) => Err(loss),
                });
            });
        }
        all
    }

    #[test]
    fn a_line_is_told_once_it_has_ended() {
        assert_eq!(
            told(&[b"ab", b"c\nd", b"", b"\n\ne"]),
            [Ok(b"abc".to_vec()), Ok(b"d".to_vec())]
        );
    }

    #[test]
    fn a_line_without_end_is_passed_over_once_and_takes_no_memory() {
        let long = vec![b'x'; LONGEST];
        let pieces: [&[u8]; 5] = [&long, &long, &long, b"y\nz\n", &long];
        assert_eq!(told(&pieces), [Err(Loss::Long), Ok(b"z".to_vec())]);
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.take(&long, &mut |_| {});
        }
        assert!(lines.begun.capacity() <= 2 * LONGEST);
    }

    #[test]
    fn a_hole_before_a_line_is_none_of_it() {
        assert_eq!(told(&[b"\0\0\0", b"\0a\n", b"\0\0\n"]), [Ok(b"a".to_vec())]);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_come(
            text in "[a-c\n]{0,60}",
            cuts in prop::collection::vec(0_usize..60, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut <= bytes.len()).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let mut begin = 0;
            let pieces: Vec<_> = cuts.into_iter().map(|end| &bytes[std::mem::replace(&mut begin, end)..end]).collect();
            let whole: Vec<_> = text
                .rsplit_once('\n')
                .map_or("", |(ended, _)| ended)
                .split('\n')
                .filter(|line| !line.is_empty())
                .map(|line| Ok(line.as_bytes().to_vec()))
                .collect();
            prop_assert_eq!(told(&pieces), whole);
        }
    }
}
