//! Reads the events of the kernel's programs: `struct event` of `bpf/access_event.h`. Pure.

use crate::seen::Ways;

/// Bytes before the text.
const HEAD: usize = 56;

/// What happened, as the kernel tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// The mount namespace's id.
    pub namespace: u64,
    /// Who did it, as the host counts.
    pub process: u32,
    pub what: What<'a>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What<'a> {
    /// A file that the kernel has found the path of, from the root of the mount namespace.
    File { path: &'a [u8], ways: Ways },
    /// A name that was given for a file.
    Named { name: Name<'a>, ways: Ways },
}

/// A name as a program gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// The path that it begins at: of the folder that it is relative to, or of the process's root.
    pub from: &'a [u8],
    pub given: &'a [u8],
    /// The name that it has now; empty when that is the same or not known.
    pub now: &'a [u8],
    /// Whether what a link at its end points to is meant.
    pub followed: bool,
    /// Whether it is a folder for certain.
    pub folder: bool,
}

impl<'a> Event<'a> {
    /// Reads the bytes; none when they are not what the programs of this version write.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, text) = bytes.split_at_checked(HEAD)?;
        let word = |at: usize| Some(u32::from_ne_bytes(*head.get(at..)?.first_chunk()?));
        let half = |at: usize| Some(u16::from_ne_bytes(*head.get(at..)?.first_chunk()?));
        let long = |at: usize| Some(u64::from_ne_bytes(*head.get(at..)?.first_chunk()?));
        if word(52)? as usize != bytes.len() {
            return None;
        }
        let (path, rest) = text.split_at_checked(word(36)? as usize)?;
        let (part, rest) = rest.split_at_checked(word(40)? as usize)?;
        let (second, _) = rest.split_at_checked(word(44)? as usize)?;
        let (flags, ways) = (long(8)?, Ways::of_bits(half(22)?));
        let what = match half(20)? {
            1 => What::File { path, ways },
            2 => What::Named {
                name: Name {
                    from: path,
                    given: part,
                    now: second,
                    followed: flags & 1 != 0,
                    folder: flags & 2 != 0,
                },
                ways,
            },
            _ => return None,
        };
        Some(Self { namespace: long(0)?, process: word(16)?, what })
    }
}
