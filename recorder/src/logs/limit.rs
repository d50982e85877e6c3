//! How many entries of one sort are written: a bucket of tokens for each container and rule. Pure.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    time::{Duration, Instant},
};

/// The most buckets; of what had to be forgotten nothing is known any more.
const MOST: usize = 8192;

/// How many, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many at once.
    pub burst: u32,
    /// One more after each of these.
    pub every: Duration,
}

impl Default for Limit {
    fn default() -> Self {
        Self { burst: 20, every: Duration::from_secs(1) }
    }
}

/// What becomes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It is written, and so many like it were not before.
    Through {
        suppressed: u64,
    },
    Suppressed,
}

/// Buckets.
#[derive(Debug)]
pub struct Limiter {
    limit: Limit,
    hasher: RandomState,
    buckets: HashMap<u64, Bucket>,
    /// How many were suppressed of those that were forgotten.
    untold: u64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u32,
    /// When it last got one.
    filled: Instant,
    suppressed: u64,
}

impl Limiter {
    pub fn new(limit: Limit) -> Self {
        Self { limit, hasher: RandomState::new(), buckets: HashMap::new(), untold: 0 }
    }

    /// Takes one of this sort.
    pub fn take(&mut self, sort: impl Hash, now: Instant) -> Pass {
        let key = self.hasher.hash_one(sort);
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&key) {
            self.forget(now);
        }
        let Limit { burst, every } = self.limit;
        let new = Bucket { tokens: burst, filled: now, suppressed: 0 };
        let bucket = self.buckets.entry(key).or_insert(new);
        bucket.fill(self.limit, now);
        if bucket.tokens == 0 && !every.is_zero() {
            bucket.suppressed += 1;
            return Pass::Suppressed;
        }
        bucket.tokens = bucket.tokens.saturating_sub(1);
        Pass::Through { suppressed: std::mem::take(&mut bucket.suppressed) }
    }

    /// How many were suppressed since this was asked last, and no later one of their sort will tell.
    pub fn untold(&mut self, now: Instant) -> u64 {
        let limit = self.limit;
        let mut untold = std::mem::take(&mut self.untold);
        // Full again: none came for a while.
        self.buckets.retain(|_, bucket| {
            bucket.fill(limit, now);
            let idle = bucket.tokens >= limit.burst;
            untold += if idle { bucket.suppressed } else { 0 };
            !idle
        });
        untold
    }

    /// Forgets buckets that are full, and when none is, the half that was not filled for longest.
    fn forget(&mut self, now: Instant) {
        let untold = self.untold(now);
        self.untold += untold;
        if self.buckets.len() < MOST {
            return;
        }
        let mut times: Vec<_> = self.buckets.values().map(|bucket| bucket.filled).collect();
        let half = times.len() / 2;
        let middle = *times.select_nth_unstable(half).1;
        let mut left = MOST / 2;
        self.buckets.retain(|_, bucket| {
            let kept = bucket.filled > middle || (bucket.filled == middle && left > 0);
            left = left.saturating_sub(usize::from(kept));
            if !kept {
                self.untold += bucket.suppressed;
            }
            kept
        });
    }
}

impl Bucket {
    fn fill(&mut self, limit: Limit, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_nanos();
        let Some(more) = passed.checked_div(limit.every.as_nanos()) else { return };
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        self.tokens = self.tokens.saturating_add(more).min(limit.burst);
        self.filled = self.filled.checked_add(limit.every.saturating_mul(more)).unwrap_or(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THROUGH: Pass = Pass::Through { suppressed: 0 };

    #[test]
    fn after_a_burst_one_comes_at_a_time_and_tells_what_did_not() {
        let every = Duration::from_secs(10);
        let mut limiter = Limiter::new(Limit { burst: 2, every });
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let told: Vec<_> = (0..5).map(|_| limiter.take("a", at(0))).collect();
        assert_eq!(told[..2], [THROUGH, THROUGH]);
        assert_eq!(told[2..], [Pass::Suppressed; 3]);
        assert_eq!(limiter.take("b", at(0)), THROUGH, "another sort has a bucket of its own");
        assert_eq!(limiter.take("a", at(9)), Pass::Suppressed);
        assert_eq!(limiter.take("a", at(10)), Pass::Through { suppressed: 4 });
        assert_eq!(limiter.take("a", at(11)), Pass::Suppressed);
        assert_eq!(limiter.untold(at(12)), 0, "the next one will tell");
        assert_eq!(limiter.untold(at(60)), 1, "there is no next one");
        assert_eq!(limiter.untold(at(61)), 0);
    }

    #[test]
    fn without_an_interval_all_come_through() {
        let mut limiter = Limiter::new(Limit { burst: 0, every: Duration::ZERO });
        let now = Instant::now();
        assert!((0..100).all(|_| limiter.take(1, now) == THROUGH));
    }

    #[test]
    fn buckets_are_bounded_and_what_they_knew_is_told() {
        let mut limiter = Limiter::new(Limit { burst: 1, every: Duration::from_hours(1) });
        let now = Instant::now();
        for sort in 0..4 * MOST {
            limiter.take(sort, now);
            limiter.take(sort, now);
            assert!(limiter.buckets.len() <= MOST);
        }
        let held: u64 = limiter.buckets.values().map(|bucket| bucket.suppressed).sum();
        assert_eq!(limiter.untold(now) + held, 4 * MOST as u64);
    }
}
