//! What is to be written and when: each object at most once a second, and never what it says already. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

pub use news::{About, News};

mod news;

/// Between two writes of one object.
pub const PACE: Duration = Duration::from_secs(1);

/// The longest wait after writes that failed.
const FAILED: Duration = Duration::from_secs(30);

/// How long the same text is not written again after it was written: the watch may be behind. Each time that somebody
/// else has changed it back meanwhile it is twice as long, up to so many times.
const SAME: Duration = Duration::from_secs(5);
const SAME_DOUBLED: u32 = 7;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// As the API calls it, such as `ProfileBinding`.
    pub kind: &'static str,
    /// Empty where it is in none.
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

/// What is to be said to the API server of an object. Each body has the object's uid: another object of the same name is
/// not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Server-side apply; `lastTransitionTime: null` in a condition is the time of the write.
    Apply(Value),
    ApplyStatus(Value),
    /// A merge patch, where a field is not ours; its body has the resource version that was looked at.
    Merge(Value),
    MergeStatus(Value),
    /// A strategic merge patch, for an entry of a list of Kubernetes' own kinds.
    Strategic(Value),
}

/// One call that is to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub object: Object,
    /// Who asked for it.
    pub part: &'static str,
    pub call: Call,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Written,
    /// The object is not there any more.
    Gone,
    Failed,
}

/// All that waits to be written.
#[derive(Debug, Default)]
pub struct Outbox {
    entries: BTreeMap<Object, Entry>,
    queue: BTreeSet<(Instant, Object)>,
    news: news::Queue,
    wake: Option<Instant>,
}

/// What is to be written of one object.
#[derive(Debug)]
struct Entry {
    parts: BTreeMap<&'static str, Part>,
    flying: Option<(&'static str, Call)>,
    written: Option<Instant>,
    /// After failures, not before then.
    again: Option<Instant>,
    failures: u32,
    /// Where it stands in the queue.
    queued: Option<Instant>,
}

#[derive(Debug, Default)]
struct Part {
    wanted: Option<Call>,
    pace: Duration,
    /// What was written last, when, and how often the same before.
    last: Option<(Call, Instant, u32)>,
}

impl Outbox {
    /// A part asks for a call, or for none where the object says already what it should.
    pub fn want(&mut self, object: &Object, part: &'static str, call: Option<Call>, now: Instant) {
        self.want_paced(object, part, call, PACE, now);
    }

    /// The same with a longer time between two writes, for what is no more than a number.
    pub fn want_paced(
        &mut self,
        object: &Object,
        part: &'static str,
        call: Option<Call>,
        pace: Duration,
        now: Instant,
    ) {
        if call.is_none() && !self.entries.contains_key(object) {
            return;
        }
        let entry = self.entries.entry(object.clone()).or_insert_with(|| Entry {
            parts: BTreeMap::new(),
            flying: None,
            written: None,
            again: None,
            failures: 0,
            queued: None,
        });
        match call {
            // What was written is there: the next time is the first time.
            None => drop(entry.parts.remove(part)),
            Some(call) => {
                let of_part = entry.parts.entry(part).or_default();
                (of_part.wanted, of_part.pace) = (Some(call), pace);
            }
        }
        self.requeue(object, now);
    }

    /// Tells people of something, once in a while.
    pub fn tell(&mut self, news: News, now: Instant) {
        self.news.push(news, now);
    }

    /// Asks that parts are asked again at a time, also when nothing changes until then.
    pub fn wake(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Whether that time has come.
    pub fn take_wake(&mut self, now: Instant) -> bool {
        self.wake.take_if(|at| *at <= now).is_some()
    }

    /// The next call that is to be made now; until it is done no other one is for the same object.
    pub fn next(&mut self, now: Instant) -> Option<Order> {
        while let Some((at, object)) = self.queue.first().cloned() {
            if at > now {
                return None;
            }
            self.queue.pop_first();
            let Some(entry) = self.entries.get_mut(&object) else { continue };
            entry.queued = None;
            let is_due = |part: &Part| part.due(entry.written, now).is_some_and(|at| at <= now);
            let due = entry.parts.iter().filter(|(_, part)| is_due(part));
            let due = due.filter_map(|(name, part)| Some((*name, part.wanted.clone()?)));
            let Some((part, call)) = due.min_by_key(|(name, _)| *name) else {
                self.requeue(&object, now);
                continue;
            };
            entry.flying = Some((part, call.clone()));
            return Some(Order { object, part, call });
        }
        None
    }

    /// A call has ended so.
    pub fn done(&mut self, object: &Object, outcome: Outcome, now: Instant) {
        let Some(entry) = self.entries.get_mut(object) else { return };
        let Some((part, call)) = entry.flying.take() else { return };
        match outcome {
            Outcome::Written => {
                (entry.written, entry.again, entry.failures) = (Some(now), None, 0);
                if let Some(part) = entry.parts.get_mut(part) {
                    let same = part.last.take().filter(|(last, ..)| *last == call);
                    let times = same.map_or(0, |(_, _, times)| times + 1);
                    part.last = Some((call, now, times));
                }
            }
            Outcome::Gone => drop(entry.parts.remove(part)),
            Outcome::Failed => {
                entry.failures += 1;
                let wait = PACE.saturating_mul(1 << (entry.failures - 1).min(5)).min(FAILED);
                entry.again = Some(now + wait);
            }
        }
        self.requeue(object, now);
    }

    /// Nothing that was begun counts any more: it may have been done or not.
    pub fn abandon(&mut self, now: Instant) {
        let flying: Vec<_> =
            self.entries.iter().filter(|(_, entry)| entry.flying.is_some()).collect();
        let flying: Vec<_> = flying.into_iter().map(|(object, _)| object.clone()).collect();
        for object in flying {
            self.done(&object, Outcome::Failed, now);
        }
    }

    /// The next piece of news that people have to be told.
    pub fn next_news(&mut self) -> Option<News> {
        self.news.pop()
    }

    /// When there is a call to make next.
    pub fn next_due(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// When parts are to be asked again.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.wake
    }

    /// How many calls are asked for and not made.
    pub fn waiting(&self) -> usize {
        let parts = self.entries.values().flat_map(|entry| entry.parts.values());
        parts.filter(|part| part.wanted.is_some() && !part.is_written()).count()
    }

    /// All that is asked for, whether or not it was made: for tests.
    pub fn wanted(&self) -> impl Iterator<Item = (&Object, &'static str, &Call)> {
        self.entries.iter().flat_map(|(object, entry)| {
            let parts = entry.parts.iter();
            parts.filter_map(move |(name, part)| Some((object, *name, part.wanted.as_ref()?)))
        })
    }

    fn requeue(&mut self, object: &Object, now: Instant) {
        let Some(entry) = self.entries.get_mut(object) else { return };
        if let Some(at) = entry.queued.take() {
            self.queue.remove(&(at, object.clone()));
        }
        if entry.flying.is_some() {
            return;
        }
        let due = entry.parts.values().filter_map(|part| part.due(entry.written, now)).min();
        let at = match (due, entry.written) {
            (Some(due), _) => entry.again.map_or(due, |again| again.max(due)).max(now),
            // Remembered until it may be written again.
            (None, Some(written)) if written + PACE > now => written + PACE,
            (None, _) => {
                self.entries.remove(object);
                return;
            }
        };
        entry.queued = Some(at);
        self.queue.insert((at, object.clone()));
    }
}

impl Part {
    fn is_written(&self) -> bool {
        self.last.as_ref().is_some_and(|(last, ..)| Some(last) == self.wanted.as_ref())
    }

    /// When it may be written; none where there is nothing to write.
    fn due(&self, written: Option<Instant>, now: Instant) -> Option<Instant> {
        let wanted = self.wanted.as_ref()?;
        let paced = written.map(|at| at + self.pace);
        let same = self.last.as_ref().filter(|(last, ..)| last == wanted);
        let same = same.map(|(_, at, times)| *at + SAME * (1 << (*times).min(SAME_DOUBLED)));
        Some(paced.max(same).unwrap_or(now))
    }
}

#[cfg(test)]
mod tests;
