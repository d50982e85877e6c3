//! What a program or library in ELF says of itself: its code, its data, its symbols, what the dynamic linker writes
//! into it. Pure. Whatever the file holds, this neither panics nor takes more memory than the file has bytes.

use std::collections::HashMap;

use goblin::{
    elf::{Elf, header, sym},
    options::ParseOptions,
};
use profile::kinds::seccomp::Arch;

pub(crate) use parts::Part;
pub(crate) use relocations::Slot;

use parts::{Parts, parts};
use relocations::Relocations;

mod parts;
mod relocations;

/// Why a file cannot be scanned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ElfError {
    #[error("not a program or library in ELF: {0}")]
    Malformed(String),
    #[error(
        "programs for this machine (ELF machine {0}) are not scanned yet; those for x86-64, i386 and arm64 are"
    )]
    Machine(u16),
    #[error("neither a program nor a library: of ELF type {0}")]
    Type(u16),
}

/// A function with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: u64,
    /// Whether other files see it.
    pub(crate) exported: bool,
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
            header::EM_AARCH64 => Arch::Aarch64,
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
