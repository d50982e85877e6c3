//! What a file has in memory: its code, its data and tables of its functions. Pure.

use std::ops::Range;

use goblin::elf::{Elf, program_header, section_header};

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

/// All parts of a file.
pub(super) struct Parts<'a> {
    pub(super) code: Vec<Part<'a>>,
    pub(super) data: Vec<Part<'a>>,
    pub(super) unwind: Option<Part<'a>>,
    pub(super) go: Option<Part<'a>>,
}

/// By its sections, or by its segments where it has none that are code.
pub(super) fn parts<'a>(elf: &Elf<'a>, bytes: &'a [u8]) -> Parts<'a> {
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
pub(super) fn piece(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok().filter(|start| *start < bytes.len())?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let piece = bytes.get(start..start.saturating_add(size).min(bytes.len()))?;
    (!piece.is_empty()).then_some(piece)
}
