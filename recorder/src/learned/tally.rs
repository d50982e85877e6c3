//! How many instances of a workload did each thing: a union of their profiles does not say what one of a hundred did. Pure.

use std::collections::{BTreeMap, BTreeSet};

use profile::{
    algebra::{
        apparmor,
        seccomp::{Reach, Verdict},
        selinux,
    },
    kinds::{AppArmorProfileSpec, SeccompProfileSpec, SelinuxProfileSpec},
};
use serde::{Deserialize, Serialize};

use crate::seen::fold::ancestors;

/// The annotation of a profile in which it is kept, as JSON.
pub const ANNOTATION: &str = "spo.x-k8s.io/seen-by";

/// So many different things are counted; the other ones are known to be there, not how often.
pub const ITEMS_MAX: usize = 16_384;

/// An annotation is no longer than this, in bytes; all annotations of an object may have 256 KiB.
pub const ANNOTATION_MAX: usize = 32 << 10;

/// So many things are named in a sentence.
const NAMED: usize = 12;

/// How many instances did each thing, of how many.
///
/// Things are named as profiles of their kind name them: `openat`, `read /etc/passwd`, `open of file on etc_t`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    instances: u32,
    #[serde(default)]
    counts: BTreeMap<String, u32>,
    /// Whether there were other instances, which nobody counted.
    #[serde(default, skip_serializing_if = "is_false")]
    more: bool,
}

/// As an annotation says it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Short {
    instances: u32,
    /// What fewer instances did than all, the rarest as long as there is room.
    #[serde(default)]
    some: BTreeMap<String, u32>,
    /// How many more such things there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    unnamed: usize,
    /// Whether there were other instances, which nobody counted.
    #[serde(default, skip_serializing_if = "is_false")]
    more: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl Tally {
    /// Of so many instances, of which so many did each thing, beside more that nobody counted.
    pub(crate) fn of_counts(instances: u32, counts: BTreeMap<String, u32>, more: bool) -> Self {
        Self { instances, counts, more }
    }

    /// The annotation of a profile with so many things of which nobody knows how many of the instances did them.
    pub(crate) fn uncounted(instances: u32, more: bool, things: usize) -> String {
        let short = Short { instances, some: BTreeMap::new(), unnamed: things, more };
        serde_json::to_string(&short).expect("it has string keys alone")
    }

    /// Takes in one more instance, with all that it did.
    pub fn add(&mut self, items: &BTreeSet<String>) {
        self.instances = self.instances.saturating_add(1);
        for item in items {
            self.count(item, 1);
        }
    }

    /// Takes in the instances of another tally.
    pub fn union(&mut self, other: &Self) {
        self.instances = self.instances.saturating_add(other.instances);
        self.more |= other.more;
        for (item, count) in &other.counts {
            self.count(item, *count);
        }
    }

    fn count(&mut self, item: &str, more: u32) {
        if let Some(count) = self.counts.get_mut(item) {
            *count = count.saturating_add(more);
        } else if self.counts.len() < ITEMS_MAX {
            self.counts.insert(item.to_owned(), more);
        }
    }

    /// How many instances there were.
    pub fn instances(&self) -> u32 {
        self.instances
    }

    /// How many of them did this; none where that was not counted.
    pub fn of(&self, item: &str) -> Option<u32> {
        self.counts.get(item).copied()
    }

    /// What fewer instances did than all, the rarest first.
    pub fn rare(&self) -> Vec<(&str, u32)> {
        let some = self.counts.iter().filter(|(_, count)| **count < self.instances);
        let mut rare: Vec<_> = some.map(|(item, count)| (item.as_str(), *count)).collect();
        rare.sort_by_key(|(item, count)| (*count, *item));
        rare
    }

    /// The same in other words: what a word stands for is done by whoever did one thing of it.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(&str) -> String) -> Self {
        let mut counts = BTreeMap::new();
        for (item, count) in &self.counts {
            let known = counts.entry(name(item)).or_insert(0);
            *known = (*known).max(*count);
        }
        Self { instances: self.instances, counts, more: self.more }
    }

    /// As the annotation of a profile says it.
    #[expect(clippy::missing_panics_doc, reason = "it has string keys alone")]
    pub fn annotation(&self) -> String {
        let (mut some, mut room) = (BTreeMap::new(), ANNOTATION_MAX - 100);
        let rare = self.rare();
        for (item, count) in &rare {
            // Quotation marks, a colon, a comma, a number; what is escaped is longer.
            let long = item.escape_default().count() + 16;
            let Some(left) = room.checked_sub(long) else { break };
            room = left;
            some.insert((*item).to_owned(), *count);
        }
        let unnamed = rare.len() - some.len();
        serde_json::to_string(&Short { instances: self.instances, some, unnamed, more: self.more })
            .expect("it has string keys alone")
    }

    /// Of what a profile says, in its annotation and by itself: what the annotation does not name was done by all. Where
    /// there is no annotation that can be read, the profile is that of one instance.
    pub fn of_profile(annotation: Option<&str>, items: &BTreeSet<String>) -> Self {
        let short = annotation.and_then(|text| serde_json::from_str::<Short>(text).ok());
        let one = Short { instances: 1, some: BTreeMap::new(), unnamed: 0, more: false };
        let short = short.unwrap_or(one);
        let Short { instances, more, .. } = short;
        let mut tally = Self { instances, more, counts: BTreeMap::new() };
        for item in items {
            match short.some.get(item) {
                Some(count) => tally.count(item, *count),
                // Of what had no room nobody knows how many they were.
                None if short.unnamed > 0 => {}
                None => tally.count(item, short.instances),
            }
        }
        tally
    }

    /// A sentence on it.
    pub fn summary(&self) -> String {
        let rare = self.rare();
        let all = self.counts.len() - rare.len();
        let few: Vec<_> =
            rare.iter().take(NAMED).map(|(item, count)| format!("{item} ({count})")).collect();
        let more = match rare.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let uncounted = if self.more { " (and more that were not counted)" } else { "" };
        match rare.len() {
            0 => format!("all of {} instances{uncounted} did each of {all} things", self.instances),
            some => format!(
                "{} instances{uncounted}: {all} things were done by all, {some} by fewer: {}{more}",
                self.instances,
                few.join(", ")
            ),
        }
    }
}

/// The system calls that a profile lets through, at least with some arguments.
pub fn of_seccomp(spec: &SeccompProfileSpec) -> BTreeSet<String> {
    let passes = |rule: &&profile::kinds::seccomp::Syscall| {
        Verdict::new(rule.action, None).reach() != Reach::Denied
    };
    spec.syscalls.iter().filter(passes).flat_map(|rule| rule.names.iter().cloned()).collect()
}

/// What an AppArmor profile lists.
pub fn of_apparmor(spec: &AppArmorProfileSpec) -> BTreeSet<String> {
    apparmor::permissions(spec).iter().map(ToString::to_string).collect()
}

/// What an SELinux profile lists.
pub fn of_selinux(spec: &SelinuxProfileSpec) -> BTreeSet<String> {
    selinux::permissions(spec).iter().map(ToString::to_string).collect()
}

/// What an access to a file became a part of, where files of a folder became one rule; itself where it did not.
pub fn part_of(item: &str, merged: &BTreeSet<String>) -> String {
    if merged.contains(item) {
        return item.to_owned();
    }
    let whole = item.split_once(" /").and_then(|(way, rest)| {
        let mut above = ancestors_of(rest).map(|folder| format!("{way} {folder}"));
        above.find(|entry| merged.contains(entry))
    });
    whole.unwrap_or_else(|| item.to_owned())
}

fn ancestors_of(rest: &str) -> impl Iterator<Item = String> {
    let path = format!("/{rest}");
    ancestors(&path).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn what_few_instances_did_is_told() {
        let mut tally = Tally::default();
        for n in 0..10 {
            tally.add(&if n == 3 { set(&["read", "mount"]) } else { set(&["read"]) });
        }
        assert_eq!(
            (tally.of("read"), tally.of("mount"), tally.of("bpf")),
            (Some(10), Some(1), None)
        );
        assert_eq!(
            tally.summary(),
            "10 instances: 1 things were done by all, 1 by fewer: mount (1)"
        );
        assert_eq!(tally.annotation(), r#"{"instances":10,"some":{"mount":1}}"#);
    }

    #[test]
    fn an_annotation_stays_short_and_names_the_rarest() {
        let mut tally = Tally::default();
        let all: BTreeSet<_> =
            (0..3000).map(|n| format!("read /data/some/long/folder/{n}")).collect();
        tally.add(&all);
        tally.add(&all);
        tally.add(&set(&["read /rare"]));
        let text = tally.annotation();
        assert!(text.len() <= ANNOTATION_MAX && text.contains("/rare"), "{}", text.len());
        let items = all.iter().cloned().chain(["read /rare".to_owned()]).collect();
        let back = Tally::of_profile(Some(&text), &items);
        assert_eq!((back.instances(), back.of("read /rare")), (3, Some(1)));
    }

    #[test]
    fn a_file_is_counted_where_its_folder_is_one_rule() {
        let merged = set(&["read /a/*", "write /b/**", "read /a/x/y"]);
        assert_eq!(part_of("read /a/x", &merged), "read /a/*");
        assert_eq!(part_of("write /b/c/d", &merged), "write /b/**");
        assert_eq!(part_of("read /a/x/y", &merged), "read /a/x/y");
        assert_eq!(part_of("openat", &merged), "openat");
    }

    proptest! {
        #[test]
        fn an_annotation_is_read_as_it_was_written(
            instances in prop::collection::vec(prop::collection::btree_set("[a-f/\" ]{1,4}", 0..6), 1..6),
        ) {
            let mut tally = Tally::default();
            for items in &instances {
                tally.add(items);
            }
            let items = instances.iter().flatten().cloned().collect();
            prop_assert_eq!(&Tally::of_profile(Some(&tally.annotation()), &items), &tally);
            let mut parts = Tally::default();
            for items in &instances {
                parts.union(&Tally::of_profile(None, items));
            }
            prop_assert_eq!(parts, tally);
        }
    }
}
