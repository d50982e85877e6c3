//! What a program or library in ELF says of itself: its code, its data, its symbols, what the dynamic linker writes
//! into it. Pure. Whatever the file holds, this neither panics nor takes more memory than the file has bytes.

use std::{collections::HashMap, ops::Range};

use goblin::{
    elf::{Elf, Reloc, RelocSection, header, program_header, section_header, sym},
    options::ParseOptions,
};
use profile::kinds::seccomp::Arch;

/// Why a file cannot be scanned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ElfError {
    #[error("not a program or library in ELF: {0}")]
    Malformed(String),
    #[error(
        "programs for this machine (ELF machine {0}) are not scanned yet; those for x86-64 and i386 are"
    )]
    Machine(u16),
    #[error("neither a program nor a library: of ELF type {0}")]
    Type(u16),
}

/// Bytes that are in memory from an address on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) address: u64,
    pub(crate) bytes: &'a [u8],
    /// Small pieces one after the other, by which the dynamic linker's slots are jumped through.
    pub(crate) stubs: bool,
    pub(crate) writable: bool,
}

impl<'a> Part<'a> {
    pub(crate) fn range(&self) -> Range<u64> {
        self.address..self.address.saturating_add(self.bytes.len() as u64)
    }

    /// What is there from the address on; none where it is outside.
    pub(crate) fn at(&self, address: u64) -> Option<&'a [u8]> {
        let offset = usize::try_from(address.checked_sub(self.address)?).ok()?;
        self.bytes.get(offset..).filter(|rest| !rest.is_empty())
    }
}

/// A function with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: u64,
    /// Whether other files see it.
    pub(crate) exported: bool,
}

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

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Image<'a> {
    pub(crate) arch: Arch,
    /// Its code stays where it was linked to; pointers in it are not told.
    pub(crate) fixed: bool,
    /// Whether it can be started, and is no library.
    pub(crate) program: bool,
    pub(crate) interpreter: Option<&'a str>,
    pub(crate) soname: Option<&'a str>,
    pub(crate) needed: Vec<&'a str>,
    pub(crate) rpath: Vec<&'a str>,
    pub(crate) runpath: Vec<&'a str>,
    pub(crate) code: Vec<Part<'a>>,
    pub(crate) data: Vec<Part<'a>>,
    /// Sorted by address.
    pub(crate) functions: Vec<Symbol<'a>>,
    pub(crate) slots: HashMap<u64, Slot<'a>>,
    /// Where it is entered: the entry point and what runs before and after it.
    pub(crate) entries: Vec<u64>,
    /// Where the unwinder's tables are.
    pub(crate) unwind: Option<Part<'a>>,
    /// Where Go's table of functions is.
    pub(crate) go: Option<Part<'a>>,
}

impl<'a> Image<'a> {
    /// Reads a file.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let malformed = |error: goblin::error::Error| ElfError::Malformed(error.to_string());
        let head = Elf::parse_header(bytes).map_err(malformed)?;
        let arch = match head.e_machine {
            header::EM_X86_64 => Arch::X86_64,
            header::EM_386 => Arch::X86,
            other => return Err(ElfError::Machine(other)),
        };
        if !matches!(head.e_type, header::ET_EXEC | header::ET_DYN) {
            return Err(ElfError::Type(head.e_type));
        }
        let elf = Elf::parse_with_opts(bytes, &ParseOptions::permissive()).map_err(malformed)?;
        if !elf.little_endian {
            return Err(ElfError::Machine(head.e_machine));
        }
        let Parts { code, data, unwind, go } = parts(&elf, bytes);
        let relocations = Relocations { arch, elf: &elf, bytes };
        let mut image = Self {
            arch,
            fixed: head.e_type == header::ET_EXEC,
            program: is_program(&elf),
            interpreter: elf.interpreter.map(|name| name.trim_end_matches('\0')),
            soname: elf.soname,
            needed: elf.libraries.clone(),
            rpath: elf.rpaths.iter().flat_map(|paths| paths.split(':')).collect(),
            runpath: elf.runpaths.iter().flat_map(|paths| paths.split(':')).collect(),
            code,
            data,
            functions: functions(&elf),
            slots: relocations.slots(),
            entries: Vec::new(),
            unwind,
            go,
        };
        image.entries = entries(&elf, &image);
        Ok(image)
    }

    /// Whether an address is in code.
    pub(crate) fn is_code(&self, address: u64) -> bool {
        self.code.iter().any(|part| part.range().contains(&address))
    }

    /// The text at an address of data that cannot be written, where one ends there.
    pub(crate) fn text(&self, address: u64) -> Option<&'a str> {
        let rest = self.data.iter().find_map(|part| part.at(address))?;
        let end = rest.iter().take(64).position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }
}

/// The C library can be started too, and has a name as a library.
fn is_program(elf: &Elf<'_>) -> bool {
    let says_so = elf.header.e_type == header::ET_DYN && elf.dynamic.is_some() && !elf.is_lib;
    let fixed = elf.header.e_type == header::ET_EXEC;
    fixed || says_so || (elf.interpreter.is_some() && elf.soname.is_none())
}

struct Parts<'a> {
    code: Vec<Part<'a>>,
    data: Vec<Part<'a>>,
    unwind: Option<Part<'a>>,
    go: Option<Part<'a>>,
}

/// By its sections, or by its segments where it has none that are code.
fn parts<'a>(elf: &Elf<'a>, bytes: &'a [u8]) -> Parts<'a> {
    let mut parts = Parts { code: Vec::new(), data: Vec::new(), unwind: None, go: None };
    for section in &elf.section_headers {
        let loaded = section.sh_flags & u64::from(section_header::SHF_ALLOC) != 0;
        if !loaded || section.sh_type == section_header::SHT_NOBITS {
            continue;
        }
        let name = elf.shdr_strtab.get_at(section.sh_name).unwrap_or_default();
        let Some(bytes) = piece(bytes, section.sh_offset, section.sh_size) else { continue };
        let part = Part {
            address: section.sh_addr,
            bytes,
            stubs: name.starts_with(".plt") || name == ".iplt",
            writable: section.sh_flags & u64::from(section_header::SHF_WRITE) != 0,
        };
        match name {
            ".eh_frame" => parts.unwind = Some(part),
            ".gopclntab" | ".data.rel.ro.gopclntab" => parts.go = Some(part),
            _ if section.sh_flags & u64::from(section_header::SHF_EXECINSTR) != 0 => {
                parts.code.push(part);
            }
            // Names of symbols are no texts of the program.
            _ if section.sh_type == section_header::SHT_STRTAB => {}
            _ => parts.data.push(part),
        }
    }
    if parts.code.is_empty() {
        parts.data.clear();
        for segment in &elf.program_headers {
            if segment.p_type != program_header::PT_LOAD {
                continue;
            }
            let Some(bytes) = piece(bytes, segment.p_offset, segment.p_filesz) else { continue };
            let writable = segment.p_flags & program_header::PF_W != 0;
            let part = Part { address: segment.p_vaddr, bytes, stubs: false, writable };
            let code = segment.p_flags & program_header::PF_X != 0;
            if code { parts.code.push(part) } else { parts.data.push(part) }
        }
    }
    parts.code.sort_by_key(|part| part.address);
    // Where two claim the same addresses, the first has them.
    let mut end = 0;
    parts.code.retain(|part| {
        let fits = part.address >= end && part.range().end > part.address;
        if fits {
            end = part.range().end;
        }
        fits
    });
    parts
}

/// As much of it as there is.
fn piece(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok().filter(|start| *start < bytes.len())?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let piece = bytes.get(start..start.saturating_add(size).min(bytes.len()))?;
    (!piece.is_empty()).then_some(piece)
}

fn functions<'a>(elf: &Elf<'a>) -> Vec<Symbol<'a>> {
    let is_function = |symbol: &sym::Sym| {
        matches!(symbol.st_type(), sym::STT_FUNC | sym::STT_GNU_IFUNC)
            && symbol.st_shndx != 0
            && symbol.st_value != 0
    };
    let exported = elf.dynsyms.iter().filter(is_function).filter_map(|symbol| {
        let exported = symbol.st_bind() != sym::STB_LOCAL;
        let name = elf.dynstrtab.get_at(symbol.st_name)?;
        Some(Symbol { name, address: symbol.st_value, exported })
    });
    let own = elf.syms.iter().filter(is_function).filter_map(|symbol| {
        let name = elf.strtab.get_at(symbol.st_name)?;
        Some(Symbol { name, address: symbol.st_value, exported: false })
    });
    let mut all: Vec<_> = exported.chain(own).collect();
    all.sort_by_key(|symbol| (symbol.address, !symbol.exported, symbol.name));
    all.dedup_by_key(|symbol| (symbol.address, symbol.name));
    all
}

fn entries(elf: &Elf<'_>, image: &Image<'_>) -> Vec<u64> {
    let mut entries = Vec::from([elf.entry]);
    // DT_INIT and DT_FINI; then DT_INIT_ARRAY, DT_FINI_ARRAY and DT_PREINIT_ARRAY, each with its size.
    let dyns = || elf.dynamic.iter().flat_map(|dynamic| &dynamic.dyns);
    let tag = |tag| dyns().find(|entry| entry.d_tag == tag).map(|entry| entry.d_val);
    entries.extend([12, 13].into_iter().filter_map(tag));
    let pairs = [(25, 27), (26, 28), (32, 33)];
    let mut arrays: Vec<_> =
        pairs.into_iter().filter_map(|(start, size)| tag(start).zip(tag(size))).collect();
    // A static program has no other table of them.
    for section in &elf.section_headers {
        let name = elf.shdr_strtab.get_at(section.sh_name);
        match name {
            Some(".init" | ".fini") => entries.push(section.sh_addr),
            Some(".init_array" | ".fini_array" | ".preinit_array" | ".ctors" | ".dtors") => {
                arrays.push((section.sh_addr, section.sh_size));
            }
            _ => {}
        }
    }
    let word = if elf.is_64 { 8 } else { 4 };
    for (start, size) in arrays {
        for place in (0..size.min(1 << 20) / word).map(|n| start.saturating_add(n * word)) {
            match image.slots.get(&place) {
                Some(Slot::Here(address) | Slot::Chosen(address)) => entries.push(*address),
                Some(Slot::Name(_)) => {}
                None => entries.extend(pointer(&image.data, place, word)),
            }
        }
    }
    entries.retain(|address| image.is_code(*address));
    entries.sort_unstable();
    entries.dedup();
    entries
}

/// What a place holds before the dynamic linker comes.
fn pointer(data: &[Part<'_>], place: u64, size: u64) -> Option<u64> {
    let rest = data.iter().find_map(|part| part.at(place))?;
    let bytes = rest.get(..usize::try_from(size).ok()?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

struct Relocations<'e, 'a> {
    arch: Arch,
    elf: &'e Elf<'a>,
    bytes: &'a [u8],
}

impl<'a> Relocations<'_, 'a> {
    fn slots(&self) -> HashMap<u64, Slot<'a>> {
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
        let (relative, symbol) = (8, [1, 6, 7]);
        let chosen = if self.arch == Arch::X86 { 42 } else { 37 };
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
