//! Profiles that are written, each with when it is written again. Pure.

use std::time::Duration;

use super::{
    super::{Key, Moment},
    FAILED,
    publication::Stamp,
};

/// While nothing ends, each write of a profile is this much later than the one before, up to so many times.
const SLOWER: u32 = 2;
const SLOWEST: u32 = 16;

/// How often is looked whether a name is free again.
const TAKEN: Duration = Duration::from_mins(1);

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetKey {
    /// `SeccompProfile` and the like.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
}

/// What is known of a profile that is written.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) recording: Key,
    written: Option<Stamp>,
    last: Option<Duration>,
    wait: u32,
    failures: u32,
    taken: bool,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Written,
    /// Somebody else has a profile of that name.
    Taken,
    Failed,
}

impl Target {
    /// Of a recording, and not written yet.
    pub(super) fn new(recording: Key) -> Self {
        Self { recording, written: None, last: None, wait: 1, failures: 0, taken: false }
    }

    /// Whether this is what was written last.
    pub(super) fn says(&self, stamp: Stamp) -> bool {
        self.written == Some(stamp)
    }

    /// Whether it may be written now. `over`: nothing more can come from here; `alone`: it is of one pod, which has ended.
    pub(super) fn is_due(&self, over: bool, alone: bool, pace: Duration, now: Moment) -> bool {
        let Some(last) = self.last else { return true };
        let since = now.since(last);
        if self.taken {
            return since >= TAKEN;
        }
        if self.failures > 0 {
            return since >= pace.saturating_mul(1 << self.failures.min(5)).min(FAILED);
        }
        // Where each pod has a profile of its own, the end comes once.
        alone || since >= pace.saturating_mul(if over { 1 } else { self.wait })
    }

    /// Takes in how a write ended.
    pub(super) fn tried(&mut self, outcome: Outcome, stamp: Stamp, now: Moment) {
        self.last = Some(now.uptime);
        match outcome {
            Outcome::Written => {
                self.written = Some(stamp);
                self.wait = (self.wait * SLOWER).min(SLOWEST);
                (self.failures, self.taken) = (0, false);
            }
            Outcome::Taken => self.taken = true,
            Outcome::Failed => self.failures = self.failures.saturating_add(1),
        }
    }
}
