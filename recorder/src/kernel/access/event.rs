//! Reads the events of the kernel's programs: `struct event` of `bpf/access_event.h`. Pure.

use crate::seen::{MountOperation, Ways};

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
    File {
        path: &'a [u8],
        ways: Ways,
    },
    /// A name that was given for a file.
    Named {
        name: Name<'a>,
        ways: Ways,
    },
    Capability(u32),
    Socket {
        family: u32,
        kind: u32,
        protocol: u32,
    },
    /// A unix socket that is not in the file system: the type's number, and the address, whose first byte is NUL.
    Unix {
        kind: u32,
        address: &'a [u8],
    },
    Signal {
        number: u32,
        inside: bool,
    },
    Ptrace {
        read: bool,
        inside: bool,
    },
    /// What was given to the call, each relative to a folder; empty where there was nothing.
    Mount {
        operation: MountOperation,
        from: &'a [u8],
        target: &'a [u8],
        source: &'a [u8],
        fstype: &'a [u8],
        flags: u64,
    },
}

/// A name as a program gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// The path that it begins at: of the folder that it is relative to, or of the process's root. Empty: the root itself.
    pub from: &'a [u8],
    pub given: &'a [u8],
    /// The name that it has now; empty when that is the same or not known.
    pub now: &'a [u8],
    /// The path that this one begins at; empty where that is the same, or does not matter.
    pub now_from: &'a [u8],
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
        let (second, rest) = rest.split_at_checked(word(44)? as usize)?;
        let (third, _) = rest.split_at_checked(word(48)? as usize)?;
        let (flags, ways) = (long(8)?, Ways::of_bits(half(22)?));
        let numbers = [word(24)?, word(28)?, word(32)?];
        let mount = |operation| What::Mount {
            operation,
            from: path,
            target: part,
            source: second,
            fstype: third,
            flags,
        };
        let what = match half(20)? {
            1 => What::File { path, ways },
            2 => What::Named {
                name: Name {
                    from: path,
                    given: part,
                    now: second,
                    now_from: third,
                    followed: flags & 1 != 0,
                    folder: flags & 2 != 0,
                },
                ways,
            },
            3 => What::Capability(numbers[0]),
            4 => What::Socket { family: numbers[0], kind: numbers[1], protocol: numbers[2] },
            5 => What::Signal { number: numbers[0], inside: numbers[1] != 0 },
            6 => What::Ptrace { read: numbers[0] != 0, inside: numbers[1] != 0 },
            7 => mount(MountOperation::Mount),
            8 => mount(MountOperation::Umount),
            9 => mount(MountOperation::PivotRoot),
            10 => What::Unix { kind: numbers[0], address: part },
            _ => return None,
        };
        Some(Self { namespace: long(0)?, process: word(16)?, what })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An event as the programs write it.
    fn bytes(kind: u16, ways: u16, numbers: [u32; 3], parts: [&str; 4]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for long in [7_u64, 2] {
            bytes.extend(long.to_ne_bytes());
        }
        bytes.extend(42_u32.to_ne_bytes());
        for half in [kind, ways] {
            bytes.extend(half.to_ne_bytes());
        }
        for word in numbers {
            bytes.extend(word.to_ne_bytes());
        }
        for part in parts {
            bytes.extend(u32::try_from(part.len()).unwrap().to_ne_bytes());
        }
        let text = parts.concat();
        bytes.extend(u32::try_from(HEAD + text.len()).unwrap().to_ne_bytes());
        bytes.extend(text.bytes());
        bytes
    }

    #[test]
    fn what_the_programs_write_is_read() {
        let file = bytes(1, 3, [0; 3], ["/etc/passwd", "", "", ""]);
        let what = What::File { path: b"/etc/passwd", ways: Ways::READ | Ways::WRITE };
        assert_eq!(Event::read(&file), Some(Event { namespace: 7, process: 42, what }));

        let named = bytes(2, 1 << 5, [0; 3], ["/home", "a/b", "c", "/srv/"]);
        let name = Name {
            from: b"/home",
            given: b"a/b",
            now: b"c",
            now_from: b"/srv/",
            followed: false,
            folder: true,
        };
        assert_eq!(
            Event::read(&named).map(|event| event.what),
            Some(What::Named { name, ways: Ways::REMOVE })
        );

        let mount = bytes(7, 1, [0; 3], ["/", "mnt", "none", "tmpfs"]);
        assert_eq!(
            Event::read(&mount).map(|event| event.what),
            Some(What::Mount {
                operation: MountOperation::Mount,
                from: b"/",
                target: b"mnt",
                source: b"none",
                fstype: b"tmpfs",
                flags: 2,
            })
        );
        for (kind, what) in [
            (3, What::Capability(2)),
            (4, What::Socket { family: 2, kind: 1, protocol: 6 }),
            (5, What::Signal { number: 2, inside: true }),
            (6, What::Ptrace { read: true, inside: true }),
        ] {
            let bytes = bytes(kind, 1, [2, 1, 6], [""; 4]);
            assert_eq!(Event::read(&bytes).map(|event| event.what), Some(what));
        }
        let unix = bytes(10, 1, [5, 0, 0], ["", "\0name", "", ""]);
        let what = What::Unix { kind: 5, address: b"\0name" };
        assert_eq!(Event::read(&unix).map(|event| event.what), Some(what));
        assert_eq!(Event::read(&bytes(99, 1, [0; 3], [""; 4])), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_read_beyond_their_end(mut any in proptest::collection::vec(any::<u8>(), 0..200), honest: bool) {
            if honest && any.len() >= HEAD {
                let size = u32::try_from(any.len()).unwrap().to_ne_bytes();
                any[52..56].copy_from_slice(&size);
                any[20] %= 12;
                any[21] = 0;
            }
            if let Some(Event { what: What::File { path, .. }, .. }) = Event::read(&any) {
                prop_assert!(path.len() <= any.len() - HEAD);
            }
        }
    }
}
