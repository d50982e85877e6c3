//! A system call as a filter sees it. Pure.

use std::fmt;

use super::word::Width;
use crate::kinds::seccomp::Arch;

/// The architecture that a call is made for, seen from the node on which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Abi {
    /// The node's own, with words of 64 bits.
    Own,
    /// The node's own, with words of 32 bits.
    OwnNarrow,
    /// Another one that the node's kernel serves as well, such as X86 on a node that is `X86_64`.
    Other(Arch),
}

impl Abi {
    pub(crate) fn width(self) -> Width {
        match self {
            Self::Own => Width::Wide,
            Self::OwnNarrow => Width::Narrow,
            Self::Other(arch) => width(arch),
        }
    }

    /// The architecture, where calls for it can happen on a node of another one.
    ///
    /// A kernel serves its own words and narrower ones: nothing but its own node makes calls for `X86_64`.
    pub(crate) fn foreign(arch: Arch) -> Option<Self> {
        (width(arch) == Width::Narrow).then_some(Self::Other(arch))
    }
}

/// As libseccomp has it: x32 and n32 are narrow, although their registers are not.
fn width(arch: Arch) -> Width {
    match arch {
        Arch::X86
        | Arch::X32
        | Arch::Arm
        | Arch::Mips
        | Arch::Mips64N32
        | Arch::Mipsel
        | Arch::Mipsel64N32
        | Arch::Ppc
        | Arch::S390
        | Arch::Parisc => Width::Narrow,
        Arch::Native
        | Arch::X86_64
        | Arch::Aarch64
        | Arch::Mips64
        | Arch::Mipsel64
        | Arch::Ppc64
        | Arch::Ppc64Le
        | Arch::S390X
        | Arch::Parisc64
        | Arch::Riscv64
        | Arch::Loongarch64 => Width::Wide,
    }
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// For which architecture it is made.
    pub abi: Abi,
    /// Its name.
    pub syscall: String,
    /// Its six arguments.
    pub args: [u64; 6],
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.syscall)?;
        for (n, arg) in self.args.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match arg {
                0..=9 => write!(f, "{comma}{arg}")?,
                _ => write!(f, "{comma}{arg:#x}")?,
            }
        }
        match self.abi {
            Abi::Own => f.write_str(")"),
            Abi::OwnNarrow => f.write_str(") on a 32-bit node"),
            Abi::Other(arch) => write!(f, ") of {arch}"),
        }
    }
}
