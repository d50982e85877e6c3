//! What AppArmor has rules for. Pure.

use std::ops::BitOr;

use serde::{Deserialize, Serialize};

use super::fold::Use;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Access {
    /// A file was used, in each of these ways. The path is absolute and as the container sees it; that of a folder ends
    /// with `/`, as AppArmor writes it. A unix socket in the file system is one too, read and written by whoever binds it
    /// and whoever speaks to it, with the path that it has for the former.
    File { path: String, ways: Ways },
    /// A capability was used: its name without `CAP_`, in lower case.
    Capability(String),
    /// A socket was opened: family and type as AppArmor names them (`inet6`, `stream`), and the protocol's number.
    Socket { family: String, kind: String, protocol: u32 },
    /// An abstract unix socket was bound or connected to: its type as AppArmor names it (`stream`), and its address,
    /// which begins with `@`.
    Unix { kind: String, address: String },
    /// Something was mounted, or what was mounted was changed or taken away.
    Mount {
        operation: MountOperation,
        source: Option<String>,
        target: String,
        fstype: Option<String>,
        /// As `mount(8)` names them, sorted: `nosuid`, `ro`.
        options: Vec<String>,
    },
    /// A signal was sent to a process that is (or is not) of the same container: its name without `SIG`, in lower case,
    /// `rtmin+2` for those without a name, `exists` for none.
    Signal { signal: String, inside: bool },
    /// Another process, that is (or is not) of the same container, was traced (or only read).
    Ptrace { read: bool, inside: bool },
}

/// What is done to mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MountOperation {
    Mount,
    Remount,
    Umount,
    PivotRoot,
}

/// Ways to use a file.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "u16", into = "u16")]
pub struct Ways(u16);

impl Ways {
    pub const READ: Self = Self(1);
    pub const WRITE: Self = Self(1 << 1);
    /// Run as a program.
    pub const EXEC: Self = Self(1 << 2);
    /// Mapped as code: a library.
    pub const MAP_EXEC: Self = Self(1 << 3);
    pub const CREATE: Self = Self(1 << 4);
    pub const REMOVE: Self = Self(1 << 5);
    /// Got another name, or got this one.
    pub const RENAME: Self = Self(1 << 6);
    /// Got one more name, or this is it.
    pub const LINK: Self = Self(1 << 7);
    pub const LOCK: Self = Self(1 << 8);

    /// Whether one of these is among them.
    pub fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// Whether all of these are among them.
    pub fn has_all(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }

    /// Whether these ways only look, or change or run something.
    pub(crate) fn used(self) -> Use {
        let looks = Self::READ | Self::MAP_EXEC;
        if self.without(looks).is_empty() { Use::Read } else { Use::Changed }
    }

    /// Those that are not among others.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As a number, a bit for each.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Of a number, a bit for each; others are none.
    pub fn of_bits(bits: u16) -> Self {
        Self(bits & 0x1ff)
    }
}

impl BitOr for Ways {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<u16> for Ways {
    fn from(bits: u16) -> Self {
        Self::of_bits(bits)
    }
}

impl From<Ways> for u16 {
    fn from(ways: Ways) -> Self {
        ways.bits()
    }
}
