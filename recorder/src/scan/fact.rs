//! What of an instruction matters for what can be reached from it, whatever the machine. Pure.

use std::collections::HashSet;

use profile::kinds::seccomp::Arch;

/// One such instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) at: u64,
    pub(crate) kind: Kind,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Goes there, and comes back.
    Call(u64),
    /// Goes there.
    Jump(u64),
    /// Calls what the pointer at this address points to.
    CallBy(u64),
    /// Goes to where the pointer at this address points.
    JumpBy(u64),
    /// Takes this address, of code or of data.
    Address(u64),
    /// Reads the pointer at this address.
    Read(u64),
    /// Calls the kernel, by the numbers of this architecture.
    Kernel(Arch),
    /// It runs on into what is at this address, though the function was said to end.
    Runs(u64),
    /// The function may come back after it.
    Leaves,
}

/// What is looked for in code, and what was found.
pub(crate) struct Seen<'a> {
    pub(crate) facts: &'a mut Vec<Fact>,
    /// Whether an address is one that matters.
    pub(crate) known: &'a dyn Fn(u64) -> bool,
    /// Whether numbers in instructions can be addresses.
    pub(crate) fixed: bool,
    /// Where it goes on after instructions, where it is not known where functions begin.
    pub(crate) next: Option<&'a mut HashSet<u64>>,
}

/// Whether what is after an instruction comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    GoesOn,
    /// When what it calls comes back.
    Called,
    Stops,
}

impl Seen<'_> {
    /// Says what comes next, if it does.
    pub(crate) fn goes_on(&mut self, next: u64, after: After) {
        if let (Some(places), true) = (&mut self.next, after != After::Stops) {
            places.insert(next);
        }
    }
}
