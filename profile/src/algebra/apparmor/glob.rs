//! AppArmor's globs as automata over bytes: what matches them, and whether one covers others. Pure.
//!
//! A glob means what `apparmor_parser` makes of it (its `convert_aaregex_to_pcre`): `*` is any text without `/`, `**` any
//! text, `?` one byte but `/`, `[a-z]` and `[^a-z]` one of some, `{a,b}` one of several; `*` and `**` that are a whole
//! component are never empty.

use std::collections::{BTreeSet, HashSet};

use crate::render::apparmor::values;

/// Globs of which one must match.
#[derive(Debug)]
pub(super) struct Globs {
    ops: Vec<Op>,
    start: BTreeSet<usize>,
}

#[derive(Debug)]
enum Op {
    /// One byte of these, then the next.
    Byte(Box<Bytes>),
    /// Any of these is next.
    Split(Vec<usize>),
    Match,
}

type Bytes = [bool; 256];

/// So many pairs of states are looked at before nothing is said.
const MOST: usize = 20_000;

/// So many variables may be in one glob.
const DEEPEST: usize = 8;

impl Globs {
    /// The globs, each of which is correct: what is not closed ends where the text does. None where one has a variable
    /// of which the value is not known.
    pub(super) fn new<'g>(globs: impl IntoIterator<Item = &'g str>) -> Option<Self> {
        let mut compiler = Compiler { ops: vec![Op::Match] };
        let mut starts = Vec::new();
        for glob in globs {
            for text in expanded(glob, 0)? {
                // Two slashes are one, as in @{PROC}/self with a variable that ends in one.
                let mut text = text.into_bytes();
                text.dedup_by(|b, a| *a == b'/' && *b == b'/');
                starts.push(compiler.sequence(&parsed(&text), 0));
            }
        }
        let Compiler { ops } = compiler;
        let start = closure(&ops, starts);
        Some(Self { ops, start })
    }

    /// Whether one of them matches a path.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let mut states = self.start.clone();
        for byte in path {
            states = self.step(&states, *byte);
            if states.is_empty() {
                return false;
            }
        }
        self.accepts(&states)
    }

    /// Whether all that another matches is matched by one of these; none where that would take too long to find out.
    pub(super) fn cover(&self, inner: &Self) -> Option<bool> {
        let found = both(inner, self, |in_inner, in_self| in_inner && !in_self, false)?;
        Some(!found)
    }

    /// Whether some path is matched by both.
    pub(super) fn meet(&self, other: &Self) -> Option<bool> {
        both(self, other, |one, other| one && other, true)
    }

    fn accepts(&self, states: &BTreeSet<usize>) -> bool {
        states.iter().any(|state| matches!(self.ops[*state], Op::Match))
    }

    fn step(&self, states: &BTreeSet<usize>, byte: u8) -> BTreeSet<usize> {
        let next = states.iter().filter_map(|state| match &self.ops[*state] {
            // What follows stands right before it.
            Op::Byte(bytes) if bytes[usize::from(byte)] => Some(*state - 1),
            _ => None,
        });
        closure(&self.ops, next.collect::<Vec<_>>())
    }
}

/// Whether a text leads both into states of which this is so. With `narrow`, texts on which the second stops do not count.
fn both(
    one: &Globs,
    other: &Globs,
    is_it: impl Fn(bool, bool) -> bool,
    narrow: bool,
) -> Option<bool> {
    let bytes = representatives([one, other]);
    let first = (one.start.clone(), other.start.clone());
    let mut seen = HashSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some((a, b)) = open.pop() {
        if is_it(one.accepts(&a), other.accepts(&b)) {
            return Some(true);
        }
        for byte in &bytes {
            let next = (one.step(&a, *byte), other.step(&b, *byte));
            if next.0.is_empty() || (narrow && next.1.is_empty()) || seen.contains(&next) {
                continue;
            }
            if seen.len() >= MOST {
                return None;
            }
            seen.insert(next.clone());
            open.push(next);
        }
    }
    Some(false)
}

/// A byte for each sort that no glob tells apart.
fn representatives(globs: [&Globs; 2]) -> Vec<u8> {
    let sets: BTreeSet<&Bytes> = globs
        .iter()
        .flat_map(|globs| &globs.ops)
        .filter_map(|op| match op {
            Op::Byte(bytes) => Some(&**bytes),
            _ => None,
        })
        .collect();
    let mut sorts = BTreeSet::new();
    (1..=u8::MAX)
        .filter(|byte| {
            sorts.insert(sets.iter().map(|set| set[usize::from(*byte)]).collect::<Vec<_>>())
        })
        .collect()
}

fn closure(ops: &[Op], starts: Vec<usize>) -> BTreeSet<usize> {
    let (mut open, mut seen, mut found) = (starts, BTreeSet::new(), BTreeSet::new());
    while let Some(state) = open.pop() {
        if !seen.insert(state) {
            continue;
        }
        match &ops[state] {
            Op::Split(next) => open.extend(next),
            _ => drop(found.insert(state)),
        }
    }
    found
}

/// A glob with the values of its variables.
fn expanded(glob: &str, depth: usize) -> Option<Vec<String>> {
    let Some((before, (name, after))) = glob
        .split_once("@{")
        .and_then(|(before, rest)| rest.split_once('}').map(|after| (before, after)))
    else {
        return Some(vec![glob.to_owned()]);
    };
    let values = values(name).filter(|_| depth < DEEPEST)?;
    let mut all = Vec::new();
    for value in values.split(' ') {
        all.extend(expanded(&format!("{before}{value}{after}"), depth + 1)?);
    }
    Some(all)
}

enum Part {
    One(Box<Bytes>),
    /// Any number of these.
    Many(Box<Bytes>),
    Either(Vec<Vec<Self>>),
}

fn parsed(glob: &[u8]) -> Vec<Part> {
    let mut rest = glob;
    let mut all = Vec::new();
    // A } or , that closes nothing stands for itself.
    loop {
        let (parts, left) = alternative(rest, glob, 0);
        all.extend(parts);
        match left.split_first() {
            Some((byte, left)) => {
                all.push(Part::One(only(*byte)));
                rest = left;
            }
            None => return all,
        }
    }
}

/// Reads up to the end, or to a `,` or `}` of the group that it is in.
fn alternative<'g>(mut rest: &'g [u8], glob: &'g [u8], depth: usize) -> (Vec<Part>, &'g [u8]) {
    let mut parts = Vec::new();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' => {
                if let Some((escaped, after)) = rest.split_first() {
                    parts.push(Part::One(only(*escaped)));
                    rest = after;
                }
            }
            b'?' => parts.push(Part::One(but(b"/"))),
            b'*' => {
                let stars = 1 + rest.iter().take_while(|byte| **byte == b'*').count();
                let place = glob.len() - rest.len() - 1;
                rest = &rest[stars - 1..];
                let whole = place > 0
                    && glob[place - 1] == b'/'
                    && rest.first().is_none_or(|next| *next == b'/');
                if whole {
                    parts.push(Part::One(but(b"/")));
                }
                parts.push(Part::Many(but(if stars > 1 { b"" } else { b"/" })));
            }
            b'[' => {
                let (set, after) = class(rest);
                parts.push(Part::One(set));
                rest = after;
            }
            b'{' => {
                let mut choices = Vec::new();
                loop {
                    let (choice, after) = alternative(rest, glob, depth + 1);
                    choices.push(choice);
                    rest = after.get(1..).unwrap_or_default();
                    if after.first() != Some(&b',') {
                        break;
                    }
                }
                parts.push(Part::Either(choices));
            }
            b',' | b'}' if depth > 0 => return (parts, &glob[glob.len() - rest.len() - 1..]),
            other => parts.push(Part::One(only(*other))),
        }
    }
    (parts, rest)
}

/// Reads a class, whose `[` was read.
fn class(mut rest: &[u8]) -> (Box<Bytes>, &[u8]) {
    let negated = rest.first() == Some(&b'^');
    if negated {
        rest = &rest[1..];
    }
    let end = rest.iter().skip(1).position(|byte| *byte == b']').map_or(rest.len(), |end| end + 1);
    let (inside, after) = rest.split_at(end);
    let mut set = Box::new([false; 256]);
    let mut place = 0;
    while let Some(first) = inside.get(place) {
        let range = inside.get(place + 1) == Some(&b'-') && place + 2 < inside.len();
        let last = if range { inside[place + 2] } else { *first };
        (*first..=last).for_each(|byte| set[usize::from(byte)] = true);
        place += if range { 3 } else { 1 };
    }
    if negated {
        set.iter_mut().for_each(|is| *is = !*is);
        set[0] = false;
        set[usize::from(b'/')] = false;
    }
    (set, after.get(1..).unwrap_or_default())
}

fn only(byte: u8) -> Box<Bytes> {
    let mut set = Box::new([false; 256]);
    set[usize::from(byte)] = true;
    set
}

fn but(bytes: &[u8]) -> Box<Bytes> {
    let mut set = Box::new([true; 256]);
    set[0] = false;
    for byte in bytes {
        set[usize::from(*byte)] = false;
    }
    set
}

struct Compiler {
    ops: Vec<Op>,
}

impl Compiler {
    /// Where the parts begin that lead on to what is at `then`.
    fn sequence(&mut self, parts: &[Part], then: usize) -> usize {
        parts.iter().rev().fold(then, |then, part| self.part(part, then))
    }

    fn part(&mut self, part: &Part, then: usize) -> usize {
        match part {
            Part::One(bytes) => self.byte(bytes.clone(), then),
            Part::Many(bytes) => {
                let split = self.push(Op::Split(vec![then]));
                let again = self.byte(bytes.clone(), split);
                self.ops[split] = Op::Split(vec![then, again]);
                split
            }
            Part::Either(choices) => {
                let starts = choices.iter().map(|choice| self.sequence(choice, then)).collect();
                self.push(Op::Split(starts))
            }
        }
    }

    /// One byte; a jump to what follows stands right before it.
    fn byte(&mut self, bytes: Box<Bytes>, then: usize) -> usize {
        self.push(Op::Split(vec![then]));
        self.push(Op::Byte(bytes))
    }

    fn push(&mut self, op: Op) -> usize {
        self.ops.push(op);
        self.ops.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/a/*", &["/a/b", "/a/.b"], &["/a/", "/a/b/", "/a/b/c", "/a"])]
    #[case("/a/**", &["/a/b", "/a/b/", "/a/b/c"], &["/a/", "/a"])]
    #[case("/a/b*", &["/a/b", "/a/bc"], &["/a/b/", "/a/c"])]
    #[case("/a/*/c", &["/a/b/c"], &["/a//c", "/a/b/b/c"])]
    #[case("/a?", &["/ab"], &["/a", "/a/", "/abc"])]
    #[case("/[0-9]*.x", &["/1.x", "/12y.x"], &["/.x", "/a.x"])]
    #[case("/[^a]b", &["/bb"], &["/ab", "//b"])]
    #[case("/{a,b{c,d},}e", &["/ae", "/bce", "/bde", "/e"], &["/be", "/ce"])]
    #[case(r"/\*\{a\,b\}", &["/*{a,b}"], &["/a", "/xa"])]
    #[case("@{PROC}/@{pid}/stat", &["/proc/1/stat", "/proc/4194304/stat"], &["/proc/0/stat", "/proc/self/stat"])]
    #[case("@{HOME}x", &["/root/x", "/home/joe/x"], &["/home/x"])]
    #[case("/é?", &["/éa"], &["/é"])]
    fn a_glob_matches_what_the_parser_says(
        #[case] glob: &str,
        #[case] yes: &[&str],
        #[case] no: &[&str],
    ) {
        let globs = Globs::new([glob]).unwrap();
        for path in yes {
            assert!(globs.matches(path.as_bytes()), "{glob} matches {path}");
        }
        for path in no {
            assert!(!globs.matches(path.as_bytes()), "{glob} does not match {path}");
        }
    }

    #[rstest]
    #[case(&["/etc/**"], "/etc/ssl/*.pem", true)]
    #[case(&["/etc/*"], "/etc/[a-c]*", true)]
    #[case(&["/etc/*"], "/etc/**", false)]
    #[case(&["/etc/{,**}"], "/etc/", true)]
    #[case(&["/a", "/b"], "/{a,b}", true)]
    #[case(&["/a", "/b"], "/[a-c]", false)]
    #[case(&["/proc/[0-9]*/stat"], "/proc/@{pid}/stat", true)]
    #[case(&["/proc/@{pid}/stat"], "/proc/[0-9]*/stat", false)]
    #[case(&["/a/????"], "/a/x???", true)]
    fn what_covers_a_glob_is_found(#[case] outer: &[&str], #[case] inner: &str, #[case] is: bool) {
        let outer = Globs::new(outer.iter().copied()).unwrap();
        assert_eq!(outer.cover(&Globs::new([inner]).unwrap()), Some(is));
    }

    #[test]
    fn globs_meet_where_a_path_matches_both() {
        let meet = |a, b| Globs::new([a]).unwrap().meet(&Globs::new([b]).unwrap());
        assert_eq!(meet("/etc/h*", "/etc/*s"), Some(true));
        assert_eq!(meet("/etc/h*", "/etc/a*"), Some(false));
        assert_eq!(meet("/etc/**", "/etc/"), Some(false));
    }
}
