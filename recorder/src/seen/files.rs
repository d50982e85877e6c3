//! Files by their general paths: a bounded number of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Ways,
    fold::{self, ancestors},
};

/// So many different paths of one container are kept. When there are more, folders with many files become one entry
/// each, as [`fold`] says, so that half of that is left.
pub const FILES_MAX: usize = 8192;

/// Files by their general paths, each with the ways in which it was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    ways: BTreeMap<String, Ways>,
    /// Nothing can be put together any more: whatever comes now, it does not help to try again.
    full: bool,
}

impl Files {
    /// Takes in a path of rules; gives whether that is new, and how many had no place.
    pub(super) fn insert(&mut self, pattern: String, ways: Ways) -> (bool, u64) {
        let covered = ancestors(&pattern)
            .filter_map(|above| self.ways.get(&above))
            .fold(Ways::default(), |all, ways| all | *ways);
        let new = ways.without(covered);
        if new.is_empty() {
            return (false, 0);
        }
        if let Some(known) = self.ways.get_mut(&pattern) {
            let has_new = !known.has_all(new);
            *known = *known | new;
            return (has_new, 0);
        }
        if self.full {
            return (false, 1);
        }
        self.ways.insert(pattern, new);
        let beyond = if self.ways.len() > FILES_MAX { self.fold() } else { 0 };
        (true, beyond)
    }

    /// Puts files of one folder that are used in the same ways together; gives how many have no place even so.
    fn fold(&mut self) -> u64 {
        let mut by_ways = BTreeMap::<Ways, BTreeSet<String>>::new();
        let all = self.ways.len();
        for (pattern, ways) in std::mem::take(&mut self.ways) {
            by_ways.entry(ways).or_default().insert(pattern);
        }
        for (ways, patterns) in by_ways {
            let share = patterns.len() * (FILES_MAX / 2) / all;
            for pattern in fold::folded(patterns, ways.used(), share) {
                let known = self.ways.entry(pattern).or_default();
                *known = *known | ways;
            }
        }
        let beyond = self.ways.len().saturating_sub(FILES_MAX);
        while self.ways.len() > FILES_MAX {
            self.ways.pop_last();
        }
        // Trying again for each new path would cost more than the few places are worth.
        self.full = self.ways.len() > FILES_MAX - FILES_MAX / 16;
        u64::try_from(beyond).unwrap_or(u64::MAX)
    }

    /// Those of a state, as they stand; and how many of them have no place.
    pub(super) fn of(ways: BTreeMap<String, Ways>) -> (Self, u64) {
        let mut files = Self { ways, full: false };
        let beyond = if files.ways.len() > FILES_MAX { files.fold() } else { 0 };
        (files, beyond)
    }

    /// Every path with its ways, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Ways)> {
        self.ways.iter().map(|(pattern, ways)| (pattern.as_str(), *ways))
    }

    /// How many paths.
    pub fn len(&self) -> usize {
        self.ways.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    /// What is in this one and not in an older one: paths that it has not, and ways that it has not.
    pub(super) fn since(&self, older: &Self) -> Self {
        let new = self.iter().filter_map(|(pattern, ways)| {
            let known = older.ways.get(pattern).copied().unwrap_or_default();
            let new = ways.without(known);
            (!new.is_empty()).then(|| (pattern.to_owned(), new))
        });
        Self { ways: new.collect(), full: false }
    }
}
