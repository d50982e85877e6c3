//! What people are told by Events: each thing once in a while, and never more than fits. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::Object;

/// The same is told again no sooner than after this.
const AGAIN: Duration = Duration::from_mins(5);

/// So much waits to be told, and so much is remembered of what was: what comes beyond is not told.
const WAITING: usize = 256;
const REMEMBERED: usize = 4096;

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct About {
    pub object: Object,
    pub uid: Arc<str>,
}

/// One thing that people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub about: About,
    pub warning: bool,
    /// One word, for programs.
    pub reason: &'static str,
    /// What was done or tried, in one word.
    pub action: &'static str,
    /// A sentence, for people.
    pub note: String,
}

/// What waits to be told.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<News>,
    told: BTreeMap<(About, &'static str), Instant>,
}

impl Queue {
    pub(super) fn push(&mut self, news: News, now: Instant) {
        let key = (news.about.clone(), news.reason);
        let lately = |at: &Instant| now.saturating_duration_since(*at) < AGAIN;
        if self.told.get(&key).is_some_and(lately) || self.waiting.len() >= WAITING {
            return;
        }
        if self.told.len() >= REMEMBERED {
            self.told.retain(|_, at| lately(at));
        }
        if self.told.len() < REMEMBERED {
            self.told.insert(key, now);
            self.waiting.push_back(news);
        }
    }

    pub(super) fn pop(&mut self) -> Option<News> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(name: &str) -> News {
        let object = Object { kind: "SeccompProfile", namespace: "".into(), name: name.into() };
        let about = About { object, uid: "u".into() };
        News { about, warning: true, reason: "Failed", action: "Install", note: "no".to_owned() }
    }

    #[test]
    fn the_same_is_not_told_again_and_again() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(news("a"), now);
        queue.push(news("a"), now + AGAIN.saturating_sub(Duration::from_secs(1)));
        assert_eq!((queue.pop(), queue.pop()), (Some(news("a")), None));
        queue.push(news("a"), now + AGAIN);
        assert_eq!(queue.pop(), Some(news("a")));
    }

    #[test]
    fn what_nobody_has_time_to_tell_takes_no_room() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for place in 0..REMEMBERED * 2 {
            queue.push(news(&place.to_string()), now);
        }
        assert_eq!(queue.waiting.len(), WAITING);
        while queue.pop().is_some() {}
        for place in 0..REMEMBERED * 2 {
            queue.push(news(&place.to_string()), now);
            queue.pop();
        }
        assert_eq!(queue.told.len(), REMEMBERED);
        queue.push(news("later"), now + AGAIN);
        assert_eq!(queue.pop(), Some(news("later")), "what is long ago makes room");
    }
}
