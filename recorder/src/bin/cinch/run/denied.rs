//! Which calls were denied, how often and to whom. Pure.

use std::collections::BTreeMap;

use filter::Call;
use profile::{kinds::seccomp::Arch, syscall};
use recorder::audit::SeccompAction;
use serde::Serialize;

/// How many different calls are told apart. There are some hundreds; a program may make up others.
const CALLS: usize = 1024;

/// How many names of processes are told apart for each call.
const NAMES: usize = 64;

/// What was denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Denied {
    calls: BTreeMap<Key, Times>,
    /// Calls beyond those that are told apart.
    pub(crate) others: u64,
}

/// What tells one from another: architecture, as the audit subsystem has it, number, what it was answered with.
type Key = (u32, u32, Answer);

/// What a call was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// An error number.
    Errno(u32),
    /// Something that ends a thread or a process, or may.
    Action(SeccompAction),
}

impl Answer {
    /// As people know it.
    pub(crate) fn shown(self) -> String {
        match self {
            Self::Errno(errno) => error_name(errno),
            Self::Action(action) => action.as_str().to_uppercase(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Times {
    count: u64,
    first: Caller,
    by: BTreeMap<String, u64>,
}

/// Who called first, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Caller {
    /// The thread, as it is numbered here; of one that was ended or trapped, its process.
    pub(crate) thread: u32,
    /// What it is called.
    pub(crate) name: String,
    /// Not known of a call that has ended its thread, or trapped it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_hex")]
    pub(crate) args: Option<[u64; 6]>,
}

/// One call that was denied, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line<'a> {
    /// Its name, or its number where that has none here.
    pub(crate) call: String,
    pub(crate) number: u32,
    pub(crate) architecture: String,
    /// What it was answered with.
    pub(crate) error: String,
    /// None where that is no error number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) errno: Option<u32>,
    pub(crate) count: u64,
    pub(crate) first: &'a Caller,
    /// How often by what name.
    pub(crate) by: &'a BTreeMap<String, u64>,
}

impl Denied {
    /// Takes in a call; true when it is the first of its sort.
    pub(crate) fn add(&mut self, call: &Call, answer: Answer, thread: u32, name: &str) -> bool {
        let key = (call.arch, call.number, answer);
        let room = self.calls.len() < CALLS;
        let Some(times) = self.calls.get_mut(&key) else {
            if room {
                let args = matches!(answer, Answer::Errno(_)).then_some(call.args);
                let first = Caller { thread, name: name.to_owned(), args };
                let by = BTreeMap::from([(name.to_owned(), 1)]);
                self.calls.insert(key, Times { count: 1, first, by });
            } else {
                self.others += 1;
            }
            return room;
        };
        times.count += 1;
        if let Some(count) = times.by.get_mut(name) {
            *count += 1;
        } else if times.by.len() < NAMES {
            times.by.insert(name.to_owned(), 1);
        }
        false
    }

    /// The calls, the most frequent first.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let mut lines: Vec<_> = self
            .calls
            .iter()
            .map(|(&(arch, number, answer), Times { count, first, by })| {
                let (call, architecture) = name(arch, number);
                let error = answer.shown();
                let errno = match answer {
                    Answer::Errno(errno) => Some(errno),
                    Answer::Action(_) => None,
                };
                Line { call, number, architecture, error, errno, count: *count, first, by }
            })
            .collect();
        lines.sort_by(|a, b| {
            (b.count, &a.call, &a.architecture).cmp(&(a.count, &b.call, &b.architecture))
        });
        lines
    }
}

/// The name of a call, and of its architecture.
pub(crate) fn name(arch: u32, number: u32) -> (String, String) {
    let known = match syscall::audit_arch(arch) {
        Some(Arch::X86_64) if number & syscall::X32_BIT != 0 => Some(Arch::X32),
        known => known,
    };
    let name = known.and_then(|arch| syscall::name(arch, number));
    (
        name.map_or_else(|| format!("call {number}"), str::to_owned),
        known.map_or_else(|| format!("{arch:#x}"), |arch| arch.to_string()),
    )
}

/// What `errno.h` calls an error number that filters use.
fn error_name(errno: u32) -> String {
    let name = match i32::try_from(errno).unwrap_or(i32::MAX) {
        0 => "as if it had succeeded",
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EIO => "EIO",
        libc::EBADF => "EBADF",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EBUSY => "EBUSY",
        libc::EINVAL => "EINVAL",
        libc::EROFS => "EROFS",
        libc::ENOSYS => "ENOSYS",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        _ => return format!("error {errno}"),
    };
    name.to_owned()
}

#[expect(clippy::ref_option, reason = "serde wants a reference")]
fn as_hex<S: serde::Serializer>(args: &Option<[u64; 6]>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(args.iter().flatten().map(|arg| format!("{arg:#x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86_64: u32 = 0xc000_003e;

    fn call(arch: u32, number: u32) -> Call {
        Call { number, arch, ..Call::default() }
    }

    #[test]
    fn calls_are_told_apart_by_architecture_number_and_answer() {
        let mut denied = Denied::default();
        assert!(denied.add(&call(X86_64, 83), Answer::Errno(1), 7, "sh"));
        assert!(!denied.add(&call(X86_64, 83), Answer::Errno(1), 8, "mkdir"));
        assert!(denied.add(&call(X86_64, 83), Answer::Errno(38), 8, "mkdir"));
        assert!(denied.add(&call(0x4000_0003, 83), Answer::Errno(1), 9, "old"));
        assert!(denied.add(&call(X86_64, syscall::X32_BIT + 520), Answer::Errno(1), 9, "x"));
        let shown: Vec<_> = denied
            .lines()
            .iter()
            .map(|line| {
                format!("{} {} {} {}", line.call, line.architecture, line.error, line.count)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "mkdir SCMP_ARCH_X86_64 EPERM 2",
                "execve SCMP_ARCH_X32 EPERM 1",
                "mkdir SCMP_ARCH_X86_64 ENOSYS 1",
                "symlink SCMP_ARCH_X86 EPERM 1",
            ]
        );
        let lines = denied.lines();
        assert_eq!((lines[0].first.thread, &*lines[0].first.name), (7, "sh"));
        assert_eq!(lines[0].by.keys().collect::<Vec<_>>(), ["mkdir", "sh"]);
    }

    #[test]
    fn a_program_that_makes_up_numbers_and_names_cannot_fill_the_memory() {
        let mut denied = Denied::default();
        for number in 0..5000 {
            denied.add(&call(X86_64, 1000 + number), Answer::Errno(1), 1, "x");
        }
        assert_eq!((denied.lines().len(), denied.others), (CALLS, 5000 - 1024));
        for name in 0..1000 {
            denied.add(&call(X86_64, 1000), Answer::Errno(1), 1, &format!("x{name}"));
        }
        let lines = denied.lines();
        assert_eq!((lines[0].count, lines[0].by.len()), (1001, NAMES));
    }

    #[test]
    fn what_has_no_name_is_told_by_its_number() {
        assert_eq!(
            name(X86_64, 100_000),
            ("call 100000".to_owned(), "SCMP_ARCH_X86_64".to_owned())
        );
        assert_eq!(name(1, 2), ("call 2".to_owned(), "0x1".to_owned()));
        assert_eq!(error_name(77), "error 77");
    }
}
