//! Which instance of a workload did what, in a form that many writers can add to again and again: what is told twice counts
//! once, in whatever order it comes. Pure.
//!
//! Recorders of several nodes unite what they saw in one profile, and each writes it many times while it grows, also after it was
//! started again. A number of instances cannot be united so: nobody could say which of them are in it already. So the profile keeps
//! who did what, and the numbers are made of that. Names of instances and things are kept as short digests. Where a profile has a
//! rule for all files of a folder beside one for a file of it, each is counted by itself.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::tally::{Tally, part_of};

/// The annotation of a profile in which it is kept, as JSON.
pub const ANNOTATION: &str = "spo.x-k8s.io/seen-by-instances";

/// So many instances are told apart; of more it is known that there were more.
pub const INSTANCES_MAX: usize = 256;

/// The annotation is no longer than this, in bytes; where it would be, who did what is dropped, and who there was stays.
pub const ANNOTATION_MAX: usize = 32 << 10;

/// So much of a digest is kept.
const MARK: usize = 6;

type Mark = [u8; MARK];

/// Which instance did what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    instances: BTreeSet<Mark>,
    /// By thing.
    did: BTreeMap<Mark, BTreeSet<Mark>>,
    /// Whether there were instances that are not told apart.
    more: bool,
    /// Whether it was too much to be kept.
    dropped: bool,
}

/// As the annotation says it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    /// The marks of the instances, sorted.
    instances: String,
    /// The marks of what the same instances did; these as a bit each, in their order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    did: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "is_false")]
    more: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    dropped: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Ledger {
    /// Of the annotation of a profile that instances were united in already. Where there is none that can be read, nobody knows who
    /// they were: there were more.
    pub fn read(annotation: Option<&str>) -> Self {
        let text = annotation.filter(|text| text.len() <= ANNOTATION_MAX);
        let text = text.and_then(|text| serde_json::from_str(text).ok());
        text.and_then(Self::of_text).unwrap_or_else(|| Self { more: true, ..Self::default() })
    }

    fn of_text(text: Text) -> Option<Self> {
        let Text { instances, did, more, dropped } = text;
        let order = marks(&instances)?;
        if order.len() > INSTANCES_MAX {
            return None;
        }
        let mut ledger =
            Self { instances: order.iter().copied().collect(), more, dropped, ..Self::default() };
        for (bits, things) in did {
            let bits = BASE64.decode(bits).ok()?;
            let has = |at: usize| bits.get(at / 8).is_some_and(|byte| byte & (1 << (at % 8)) != 0);
            let who: BTreeSet<_> = order
                .iter()
                .enumerate()
                .filter(|(at, _)| has(*at))
                .map(|(_, mark)| *mark)
                .collect();
            for thing in marks(&things)? {
                ledger.did.entry(thing).or_default().extend(&who);
            }
        }
        Some(ledger)
    }

    /// Names things as the profile now does that had these before: whoever read one file of a folder that became one rule did what that
    /// rule allows. What the profile no longer has is forgotten.
    pub fn rename(&mut self, before: &BTreeSet<String>, now: &BTreeSet<String>) {
        let old = std::mem::take(&mut self.did);
        for item in before {
            let name = part_of(item, now);
            if let Some(who) = old.get(&mark(item)).filter(|_| now.contains(&name)) {
                self.did.entry(mark(&name)).or_default().extend(who);
            }
        }
    }

    /// Takes in what an instance did by now, as far as a profile has it.
    pub fn add(&mut self, instance: &str, items: &BTreeSet<String>, profile: &BTreeSet<String>) {
        let instance = mark(instance);
        if self.instances.len() >= INSTANCES_MAX && !self.instances.contains(&instance) {
            self.more = true;
            return;
        }
        self.instances.insert(instance);
        let names = items.iter().map(|item| part_of(item, profile));
        for name in names.filter(|name| !self.dropped && profile.contains(name)) {
            self.did.entry(mark(&name)).or_default().insert(instance);
        }
    }

    /// How many instances did each thing that a profile has; none where that was too much to be kept.
    pub fn tally(&self, profile: &BTreeSet<String>) -> Option<Tally> {
        let count = |item: &String| self.did.get(&mark(item)).map_or(0, BTreeSet::len);
        let counts = profile.iter().map(|item| (item.clone(), number(count(item)))).collect();
        (!self.dropped).then(|| Tally::of_counts(number(self.instances.len()), counts, self.more))
    }

    /// The annotation that says how many instances of a profile did each thing; none where there was one instance.
    pub fn seen_by(&self, profile: &BTreeSet<String>) -> Option<String> {
        if self.instances.len() < 2 && !self.more {
            return None;
        }
        Some(match self.tally(profile) {
            Some(tally) => tally.annotation(),
            None => Tally::uncounted(number(self.instances.len()), self.more, profile.len()),
        })
    }

    /// As the annotation says it; drops what has no room there.
    pub fn annotation(&mut self) -> String {
        let text = self.text();
        if text.len() <= ANNOTATION_MAX {
            return text;
        }
        (self.dropped, self.did) = (true, BTreeMap::new());
        self.text()
    }

    fn text(&self) -> String {
        let mut groups = BTreeMap::<Vec<u8>, Vec<u8>>::new();
        for (thing, who) in &self.did {
            let mut bits = vec![0; self.instances.len().div_ceil(8)];
            for (at, instance) in self.instances.iter().enumerate() {
                bits[at / 8] |= u8::from(who.contains(instance)) << (at % 8);
            }
            groups.entry(bits).or_default().extend(thing);
        }
        let text = Text {
            instances: BASE64.encode(self.instances.iter().flatten().copied().collect::<Vec<_>>()),
            did: groups.iter().map(|(who, all)| (BASE64.encode(who), BASE64.encode(all))).collect(),
            more: self.more,
            dropped: self.dropped,
        };
        serde_json::to_string(&text).expect("it has string keys alone")
    }
}

fn mark(name: &str) -> Mark {
    let digest = digest(&SHA256, name.as_bytes());
    let mut mark = [0; MARK];
    mark.copy_from_slice(&digest.as_ref()[..MARK]);
    mark
}

fn marks(text: &str) -> Option<Vec<Mark>> {
    let bytes = BASE64.decode(text).ok()?;
    let (marks, rest) = bytes.as_chunks::<MARK>();
    rest.is_empty().then(|| marks.to_vec())
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
