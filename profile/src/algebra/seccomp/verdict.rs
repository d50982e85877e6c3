//! What the kernel does with a call, ordered by how much that lets through. Pure.

use std::{cmp::Reverse, fmt};

use crate::kinds::seccomp::Action;

/// The error number that runtimes take where a rule has none: EPERM.
const DEFAULT_ERRNO: u32 = 1;

/// How far a call comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// It never runs: ERRNO, TRAP and the KILLs.
    Denied,
    /// It runs if another process says so: NOTIFY (the agent behind listenerPath), TRACE (a ptracer).
    Asked,
    /// It runs: ALLOW, LOG.
    Runs,
}

/// What the kernel does with a call.
///
/// The greater one lets more through: the kernel's own precedence of actions, turned round. Of two error numbers the
/// smaller one counts as the greater verdict, so that there is an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    action: Action,
    errno: u32,
}

impl Verdict {
    /// What lets least through.
    pub(crate) const LEAST: Self = Self { action: Action::KillProcess, errno: 0 };
    /// The call of an architecture that the filter does not serve.
    pub(crate) const UNSERVED: Self = Self { action: Action::KillThread, errno: 0 };

    /// A rule's verdict. KILL is `KILL_THREAD`; an error number counts for ERRNO and TRACE alone.
    pub fn new(action: Action, errno_ret: Option<u32>) -> Self {
        match action {
            Action::Kill => Self { action: Action::KillThread, errno: 0 },
            Action::Errno | Action::Trace => {
                Self { action, errno: errno_ret.unwrap_or(DEFAULT_ERRNO) }
            }
            _ => Self { action, errno: 0 },
        }
    }

    /// The action.
    pub fn action(self) -> Action {
        self.action
    }

    /// The error number as a rule writes it: left out where it is the default, or none.
    pub fn errno_ret(self) -> Option<u32> {
        let counts = matches!(self.action, Action::Errno | Action::Trace);
        (counts && self.errno != DEFAULT_ERRNO).then_some(self.errno)
    }

    /// How far the call comes.
    pub fn reach(self) -> Reach {
        match self.action {
            Action::Allow | Action::Log => Reach::Runs,
            Action::Trace | Action::Notify => Reach::Asked,
            Action::Errno
            | Action::Trap
            | Action::Kill
            | Action::KillThread
            | Action::KillProcess => Reach::Denied,
        }
    }

    fn rank(self) -> (u8, Reverse<u32>) {
        let action = match self.action {
            Action::KillProcess => 0,
            Action::Kill | Action::KillThread => 1,
            Action::Trap => 2,
            Action::Errno => 3,
            Action::Notify => 4,
            Action::Trace => 5,
            Action::Log => 6,
            Action::Allow => 7,
        };
        (action, Reverse(self.errno))
    }
}

impl Ord for Verdict {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Verdict {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno_ret() {
            Some(errno) => write!(f, "{} {errno}", self.action),
            None => write!(f, "{}", self.action),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_more_through_is_greater() {
        let ascending = [
            Verdict::new(Action::KillProcess, None),
            Verdict::new(Action::KillThread, None),
            Verdict::new(Action::Trap, None),
            Verdict::new(Action::Errno, Some(38)),
            Verdict::new(Action::Errno, None),
            Verdict::new(Action::Notify, None),
            Verdict::new(Action::Trace, None),
            Verdict::new(Action::Log, None),
            Verdict::new(Action::Allow, None),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b && a.reach() <= b.reach()));
    }

    #[test]
    fn spellings_of_one_verdict_are_equal() {
        assert_eq!(Verdict::new(Action::Kill, None), Verdict::new(Action::KillThread, Some(5)));
        assert_eq!(Verdict::new(Action::Errno, Some(1)), Verdict::new(Action::Errno, None));
        assert_eq!(Verdict::new(Action::Errno, Some(1)).errno_ret(), None);
        assert_ne!(Verdict::new(Action::Errno, Some(2)), Verdict::new(Action::Errno, None));
    }
}
