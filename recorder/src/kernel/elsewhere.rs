//! For whoever loads the programs on a machine that this one only emulates: what they need there, and what they have kept.

use profile::kinds::seccomp::Arch;

use super::{
    Slot,
    access::{self, Group},
    form::Form,
    slot::abis,
};

/// What the programs have to know of each call to tell of all accesses by tracepoints: the entries of the map
/// `access_calls`, one after the other.
pub fn calls(machine: Arch) -> Vec<u8> {
    access::table(abis(machine), &Group::ALL.into_iter().collect())
}

/// What is in an entry of the map `slots` of a machine with this one's order of bytes; none if it is no container's.
pub fn slot(bytes: &[u8]) -> Option<Slot> {
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).unwrap_or_default();
    let words: Vec<_> = bytes.chunks_exact(8).map(word).collect();
    Slot::read(&words, &Form::OURS)
}
