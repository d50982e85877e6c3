//! What has failed, and when it is tried again.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{artifact::Digest, backend::Failure};

/// After the first failure; twice as long after each further one.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait for something that may pass.
const LONGEST: Duration = Duration::from_mins(1);

/// The wait for a text that was refused: what refused it may have been replaced meanwhile.
const REFUSED: Duration = Duration::from_mins(10);

/// Failures by name of the profile.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<Box<str>, Attempt>);

#[derive(Debug)]
struct Attempt {
    digest: Digest,
    message: String,
    tries: u32,
    next: Instant,
}

impl Held {
    /// It has failed.
    pub(super) fn fail(&mut self, name: &str, digest: Digest, failure: &Failure, now: Instant) {
        let before = self.0.get(name).filter(|attempt| attempt.digest == digest);
        let tries = before.map_or(0, |attempt| attempt.tries + 1);
        let passing = FIRST.saturating_mul(1 << tries.min(6)).min(LONGEST);
        let wait = if failure.refused { REFUSED } else { passing };
        let attempt = Attempt { digest, message: failure.message.clone(), tries, next: now + wait };
        self.0.insert(name.into(), attempt);
    }

    /// It is well, or is not wanted any more.
    pub(super) fn release(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Forgets what was to be tried by now: what was, has failed again or is well, and nobody asks for the rest.
    pub(super) fn forget_before(&mut self, now: Instant) {
        self.0.retain(|_, attempt| attempt.next > now);
    }

    /// What is not to be tried yet.
    pub(super) fn now(&self, now: Instant) -> BTreeMap<Box<str>, (Digest, String)> {
        let held = self.0.iter().filter(|(_, attempt)| attempt.next > now);
        held.map(|(name, attempt)| (name.clone(), (attempt.digest, attempt.message.clone())))
            .collect()
    }

    /// When the next is to be tried.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|attempt| attempt.next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_end_when_it_is_well() {
        let (mut held, start) = (Held::default(), Instant::now());
        let (digest, failure) = (Digest::of(b"a"), Failure::passing("full"));
        let mut waits = Vec::new();
        for _ in 0..8 {
            held.fail("a", digest, &failure, start);
            waits.push(held.next().unwrap().duration_since(start).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(held.now(start).contains_key("a"));
        assert!(held.now(start + LONGEST).is_empty(), "its time has come");
        held.release("a");
        assert_eq!(held.next(), None);
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_not_waited_for() {
        let (mut held, start) = (Held::default(), Instant::now());
        held.fail("a", Digest::of(b"a"), &Failure::passing("full"), start);
        held.forget_before(start);
        assert!(held.next().is_some());
        held.forget_before(start + FIRST);
        assert_eq!(held.next(), None);
    }

    #[test]
    fn another_text_starts_anew() {
        let (mut held, start) = (Held::default(), Instant::now());
        held.fail("a", Digest::of(b"a"), &Failure::refused("bad"), start);
        assert_eq!(held.next().unwrap() - start, REFUSED);
        held.fail("a", Digest::of(b"b"), &Failure::passing("full"), start);
        assert_eq!(held.next().unwrap() - start, FIRST);
    }
}
