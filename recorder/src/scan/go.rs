//! Where functions begin in programs of the Go compiler, which writes a table of its own (`.gopclntab`) for tracebacks,
//! and which `strip` leaves. Pure.
//!
//! The form is that of Go's `debug/gosym`, from Go 1.18 on; older programs have their symbols, or are taken piece by piece.

use super::elf::Part;

/// A function: where it begins, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoFunction {
    pub(crate) address: u64,
    pub(crate) name: String,
}

/// Names beyond this are cut.
const NAME: usize = 200;

/// All functions, by address; none where the table is of another form. `text` is where code begins.
pub(crate) fn functions(table: &Part<'_>, text: u64) -> Vec<GoFunction> {
    read(table.bytes, text).unwrap_or_default()
}

fn read(bytes: &[u8], text: u64) -> Option<Vec<GoFunction>> {
    let word = |at: usize, size: usize| {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    // Go 1.20 and 1.18; both begin functions as distances from the beginning of the code.
    if !matches!(word(0, 4)?, 0xffff_fff1 | 0xffff_fff0) {
        return None;
    }
    let size = usize::try_from(word(7, 1)?).ok().filter(|size| matches!(size, 4 | 8))?;
    let field = |number: usize| word(8 + number * size, size);
    let place = |number: usize| usize::try_from(field(number)?).ok();
    let count = place(0)?;
    // A linker that does not write it there leaves 0.
    let text = field(2).filter(|start| *start != 0).unwrap_or(text);
    let (names, table) = (place(3)?, place(7)?);
    let room = bytes.len().checked_sub(table)? / 8;
    let name = |function: usize| -> Option<String> {
        let at = names.checked_add(usize::try_from(word(function.checked_add(4)?, 4)?).ok()?)?;
        let rest = bytes.get(at..)?;
        let end = rest.iter().take(NAME).position(|byte| *byte == 0).unwrap_or(NAME);
        Some(String::from_utf8_lossy(rest.get(..end.min(rest.len()))?).into_owned())
    };
    let function = |number: usize| {
        let at = table.checked_add(number.checked_mul(8)?)?;
        let address = text.checked_add(word(at, 4)?)?;
        let data = table.checked_add(usize::try_from(word(at + 4, 4)?).ok()?)?;
        Some(GoFunction { address, name: name(data).unwrap_or_default() })
    };
    Some((0..count.min(room)).map_while(function).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_another_form_is_none() {
        let part =
            Part { address: 0, bytes: &[0xfb, 0xff, 0xff, 0xff], stubs: false, writable: false };
        assert_eq!(functions(&part, 0), []);
    }

    proptest::proptest! {
        #[test]
        fn a_broken_table_ends_the_search_and_nothing_else(
            mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 8..300), text: u64
        ) {
            bytes[..8].copy_from_slice(&[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8]);
            let part = Part { address: 0, bytes: &bytes, stubs: false, writable: false };
            proptest::prop_assert!(functions(&part, text).len() <= bytes.len() / 8);
        }
    }
}
