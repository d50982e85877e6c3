//! What the dynamic linker writes into a file once it is in memory. Pure.

use std::collections::HashMap;

use goblin::elf::{Elf, Reloc, RelocSection, program_header, sym};
use profile::kinds::seccomp::Arch;

use super::parts::piece;

/// What the dynamic linker writes into a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    /// The address of what has this name, here or in another file.
    Name(&'a str),
    /// An address in this file.
    Here(u64),
    /// The address that the function here returns.
    Chosen(u64),
}

/// What a file asks the dynamic linker to write.
pub(super) struct Relocations<'e, 'a> {
    pub(super) arch: Arch,
    pub(super) elf: &'e Elf<'a>,
    pub(super) bytes: &'a [u8],
}

impl<'a> Relocations<'_, 'a> {
    /// By address.
    pub(super) fn slots(&self) -> HashMap<u64, Slot<'a>> {
        let mut slots = HashMap::new();
        let elf = self.elf;
        // A static program has them in a section alone.
        let sections = elf.shdr_relocs.iter().map(|(_, section)| section);
        let all = [&elf.dynrelas, &elf.dynrels, &elf.pltrelocs].into_iter().chain(sections);
        for relocation in all.flat_map(RelocSection::iter) {
            if let Some(slot) = self.slot(&relocation) {
                slots.insert(relocation.r_offset, slot);
            }
        }
        for place in self.packed() {
            if let Some(address) = self.in_place(place) {
                slots.entry(place).or_insert(Slot::Here(address));
            }
        }
        slots
    }

    fn slot(&self, relocation: &Reloc) -> Option<Slot<'a>> {
        let addend = || match relocation.r_addend {
            Some(addend) => Some(addend.cast_unsigned()),
            None => self.in_place(relocation.r_offset),
        };
        // R_…_RELATIVE, R_…_IRELATIVE, and those that hold the address of a symbol (…_64, GLOB_DAT, JUMP_SLOT).
        let (relative, chosen, symbol) = match self.arch {
            Arch::Aarch64 => (1027, 1032, [257, 1025, 1026]),
            Arch::X86 => (8, 42, [1, 6, 7]),
            _ => (8, 37, [1, 6, 7]),
        };
        match relocation.r_type {
            kind if kind == relative => addend().map(Slot::Here),
            kind if kind == chosen => addend().map(Slot::Chosen),
            kind if symbol.contains(&kind) => {
                let symbol = self.elf.dynsyms.get(relocation.r_sym)?;
                let here = symbol.st_value.wrapping_add(addend().unwrap_or(0));
                match self.elf.dynstrtab.get_at(symbol.st_name) {
                    _ if symbol.st_bind() == sym::STB_LOCAL => Some(Slot::Here(here)),
                    Some(name) if !name.is_empty() => Some(Slot::Name(name)),
                    _ => Some(Slot::Here(here)),
                }
            }
            _ => None,
        }
    }

    /// The word that the file has for an address.
    fn in_place(&self, address: u64) -> Option<u64> {
        let segment = self.elf.program_headers.iter().find(|segment| {
            segment.p_type == program_header::PT_LOAD
                && address.checked_sub(segment.p_vaddr).is_some_and(|at| at < segment.p_filesz)
        })?;
        let offset = segment.p_offset.checked_add(address - segment.p_vaddr)?;
        let size = if self.elf.is_64 { 8 } else { 4 };
        let bytes = piece(self.bytes, offset, size).filter(|b| b.len() as u64 == size)?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// The places of packed relative relocations (`DT_RELR`: an address, then bits for the words after it).
    fn packed(&self) -> Vec<u64> {
        let dyns = || self.elf.dynamic.iter().flat_map(|dynamic| &dynamic.dyns);
        let tag = |tag| dyns().find(|entry| entry.d_tag == tag).map(|entry| entry.d_val);
        let (Some(size), Some(start)) = (tag(35), tag(36)) else { return Vec::new() };
        let word: u64 = if self.elf.is_64 { 8 } else { 4 };
        let count = size.min(self.bytes.len() as u64) / word;
        let (mut places, mut next) = (Vec::new(), 0_u64);
        for entry in 0..count {
            let Some(value) = self.in_place(start.saturating_add(entry * word)) else { break };
            if value & 1 == 0 {
                places.push(value);
                next = value.saturating_add(word);
            } else {
                let bits = word * 8 - 1;
                let set = (0..bits).filter(|bit| value >> (bit + 1) & 1 == 1);
                places.extend(set.map(|bit| next.saturating_add(bit * word)));
                next = next.saturating_add(bits * word);
            }
        }
        places
    }
}
