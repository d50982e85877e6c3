//! Finds the globs that may match a name without trying them all. Pure.
//!
//! Each glob is filed under what every match begins with or ends with, whichever fewer others share. A look-up then
//! costs one hash per distinct length of such a text, however many globs there are.

use rustc_hash::FxHashMap;

use crate::glob::Glob;

#[derive(Clone, Debug, Default)]
pub(super) struct Globs {
    by_prefix: ByText,
    by_suffix: ByText,
}

#[derive(Clone, Debug, Default)]
struct ByText {
    places: FxHashMap<Box<str>, Vec<u32>>,
    /// The lengths of the texts that are there, ascending.
    lengths: Vec<usize>,
}

impl Globs {
    /// Files globs with their places, which must ascend.
    pub(super) fn new(globs: &[(u32, &Glob)]) -> Self {
        let (mut prefixes, mut suffixes) = (FxHashMap::default(), FxHashMap::default());
        for (_, glob) in globs {
            *prefixes.entry(glob.prefix()).or_insert(0_u32) += 1;
            *suffixes.entry(glob.suffix()).or_insert(0_u32) += 1;
        }
        let mut filed = Self::default();
        for &(place, glob) in globs {
            if prefixes[glob.prefix()] <= suffixes[glob.suffix()] {
                filed.by_prefix.file(glob.prefix(), place);
            } else {
                filed.by_suffix.file(glob.suffix(), place);
            }
        }
        filed
    }

    /// Calls back with lists of places, each ascending, that together hold every glob that matches the name.
    pub(super) fn candidates(&self, name: &str, consider: &mut impl FnMut(&[u32])) {
        self.by_prefix.find(name.len(), |length| name.get(..length), consider);
        self.by_suffix.find(name.len(), |length| name.get(name.len() - length..), consider);
    }
}

impl ByText {
    fn file(&mut self, text: &str, place: u32) {
        self.places.entry(text.into()).or_default().push(place);
        if let Err(at) = self.lengths.binary_search(&text.len()) {
            self.lengths.insert(at, text.len());
        }
    }

    fn find<'a>(
        &self,
        longest: usize,
        part: impl Fn(usize) -> Option<&'a str>,
        consider: &mut impl FnMut(&[u32]),
    ) {
        let lengths = self.lengths.iter().take_while(|&&length| length <= longest);
        lengths.filter_map(|&n| self.places.get(part(n)?)).for_each(|places| consider(places));
    }
}
