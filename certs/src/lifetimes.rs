//! How long certificates live, and how long old and new stand side by side; pure.

use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_hours(24);

const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_hours(24 * 365 * 100);

/// How far in the past a certificate starts, so that a client whose clock is behind accepts it.
pub(crate) const SKEW: Duration = Duration::from_mins(5);

/// How long things live. Seconds will do, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    pub authority: Duration,
    pub leaf: Duration,
    /// Between a change of what is trusted and the use of it: the time in which every client and
    /// every replica has to notice.
    pub overlap: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { authority: DAY * 3650, leaf: DAY * 90, overlap: Duration::from_hours(1) }
    }
}

impl Lifetimes {
    /// The overlap in effect. A change of authority needs two overlaps in the last third of the
    /// old one's life, so one may be no more than an eighth of it.
    pub(crate) fn overlap(&self) -> Duration {
        self.overlap.min(self.authority / 8)
    }

    /// Neither so short that nothing but renewing is done, nor beyond the dates there are.
    pub(crate) fn within_reason(self) -> Self {
        let within = |life: Duration| life.clamp(SHORTEST, LONGEST);
        Self { authority: within(self.authority), leaf: within(self.leaf), overlap: self.overlap }
    }
}

/// When a certificate was made and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    pub made: SystemTime,
    pub end: SystemTime,
}

impl Life {
    /// When it should be replaced.
    pub fn two_thirds(&self) -> SystemTime {
        self.made + self.length() * 2 / 3
    }

    fn length(&self) -> Duration {
        self.end.duration_since(self.made).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_that_would_break_the_calendar_are_cut() {
        let endless = Lifetimes { authority: Duration::MAX, leaf: Duration::ZERO, overlap: DAY };
        let cut = Lifetimes { authority: LONGEST, leaf: SHORTEST, overlap: DAY };
        assert_eq!(endless.within_reason(), cut);
    }

    #[test]
    fn overlap_is_scaled_to_a_short_authority() {
        let short = Lifetimes { authority: Duration::from_secs(8), ..Lifetimes::default() };
        assert_eq!(short.overlap(), Duration::from_secs(1));
        assert_eq!(Lifetimes::default().overlap(), Duration::from_hours(1));
    }
}
