//! Instructions of `AArch64`. Pure.

use std::collections::HashSet;

use super::{fact::Seen, step::Step};

/// What the code from an address on does.
pub(crate) fn facts(_code: &[u8], _address: u64, _seen: &mut Seen<'_>) {}

/// What the code does that is reached from a place in it.
pub(crate) fn descend(
    _code: &[u8],
    _address: u64,
    _start: u64,
    _done: &mut HashSet<u64>,
    _seen: &mut Seen<'_>,
) {
}

/// The instructions of a function.
pub(crate) fn steps(_code: &[u8], _address: u64) -> Vec<Step> {
    Vec::new()
}
