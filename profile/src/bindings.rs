//! The bindings of one namespace, compiled, and which of them wins for a container. Pure.

use std::{cmp::Ordering, hash::Hasher as _, sync::Arc};

use rustc_hash::{FxHashMap, FxHasher};

pub use binding::{Binding, BindingError};

use crate::{
    image::{Class, Reference},
    mechanism::Mechanism,
    selector::Labels,
};

mod binding;
mod globs;

/// What a binding is matched against.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a, L> {
    /// None when the image is no reference: then the wildcard alone matches.
    pub image: Option<&'a Reference<'a>>,
    /// The container's name.
    pub container: &'a str,
    /// The pod's labels.
    pub labels: &'a L,
}

/// How a binding fared for one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    Wins,
    /// It matches as well, and the one named is ranked before it, for this reason.
    Outranked(&'a Binding, &'static str),
    OtherImage,
    OtherPod,
    OtherContainer,
}

/// All valid bindings of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    by_mechanism: [Index; Mechanism::ALL.len()],
}

/// The bindings of one mechanism. They stand in the order of their rank, so of two places the smaller one wins.
#[derive(Clone, Debug, Default)]
struct Index {
    ranked: Vec<Arc<Binding>>,
    /// By hash of name and tag, or of name and digest. Whoever looks up compares the whole pattern afterwards.
    exact: FxHashMap<u64, Vec<u32>>,
    globs: globs::Globs,
    wildcards: Vec<u32>,
}

impl Bindings {
    /// Compiles the index. The order in which the bindings come makes no difference.
    pub fn new(bindings: impl IntoIterator<Item = Arc<Binding>>) -> Self {
        let mut sorted: [Vec<_>; 3] = Default::default();
        for binding in bindings {
            sorted[binding.mechanism() as usize].push(binding);
        }
        Self { by_mechanism: sorted.map(Index::new) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_mechanism.iter().map(|index| index.ranked.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The binding that applies to a container, if any does.
    ///
    /// Exact digest before exact tag before the longest glob before `*`; then one with a pod selector before one
    /// without; then by name.
    pub fn winner<L: Labels>(&self, mechanism: Mechanism, to: &Target<'_, L>) -> Option<&Binding> {
        self.by_mechanism[mechanism as usize].winner(to)
    }

    /// What became of every binding of a mechanism for a container, in the order of their rank.
    pub fn explain<L: Labels>(
        &self,
        mechanism: Mechanism,
        target: &Target<'_, L>,
    ) -> Vec<(&Binding, Outcome<'_>)> {
        let winner = self.winner(mechanism, target);
        let ranked = self.by_mechanism[mechanism as usize].ranked.iter();
        ranked.map(|binding| (&**binding, binding.outcome(target, winner))).collect()
    }
}

impl Index {
    fn new(mut ranked: Vec<Arc<Binding>>) -> Self {
        ranked.sort_by(|a, b| a.compare_rank(b));
        let mut index = Self::default();
        let mut globs = Vec::new();
        for (place, binding) in (0..).zip(&ranked) {
            let image = &binding.image;
            let name = image.name().as_str();
            if image.class() == Class::Wildcard {
                index.wildcards.push(place);
            } else if let Some(tag) = image.exact_tag() {
                index.exact.entry(exact_key(name, b':', tag)).or_default().push(place);
            } else if let Some(digest) = image.exact_digest() {
                index.exact.entry(exact_key(name, b'@', digest)).or_default().push(place);
            } else {
                globs.push((place, image.name()));
            }
        }
        index.globs = globs::Globs::new(&globs);
        Self { ranked, ..index }
    }

    fn winner<L: Labels>(&self, target: &Target<'_, L>) -> Option<&Binding> {
        if self.ranked.is_empty() {
            return None;
        }
        let mut best = u32::MAX;
        let mut consider = |places: &[u32]| {
            // The places ascend: the first that matches is the best of its list.
            let mut better = places.iter().take_while(|&&place| place < best);
            if let Some(&place) = better.find(|&&p| self.ranked[p as usize].matches(target)) {
                best = place;
            }
        };
        if let Some(image) = target.image {
            for (mark, part) in [(b'@', image.digest), (b':', image.tag)] {
                let key = part.map(|part| exact_key(&image.name, mark, part));
                if let Some(places) = key.and_then(|key| self.exact.get(&key)) {
                    consider(places);
                }
            }
            self.globs.candidates(&image.name, &mut consider);
        }
        consider(&self.wildcards);
        self.ranked.get(best as usize).map(Arc::as_ref)
    }
}

fn exact_key(name: &str, mark: u8, part: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name.as_bytes());
    hasher.write_u8(mark);
    hasher.write(part.as_bytes());
    hasher.finish()
}

/// Why the first of two bindings that both match is ranked before the second.
fn rank_reason(first: &Binding, second: &Binding) -> &'static str {
    match first.image.class().cmp(&second.image.class()) {
        Ordering::Less => match first.image.class() {
            Class::Digest => "an exact digest comes first",
            Class::Tag => "an exact tag comes before globs",
            Class::Glob | Class::Wildcard => "a glob comes before *",
        },
        _ if first.image.compare_rank(&second.image).is_lt() => "the longer glob comes first",
        _ if first.selector.is_some() && second.selector.is_none() => {
            "one with a podSelector comes before one without"
        }
        _ => "the names decide",
    }
}

#[cfg(test)]
mod tests;
