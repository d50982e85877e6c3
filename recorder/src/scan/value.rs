//! What a register can hold at an instruction: the search goes backwards over all ways through the function, to
//! constants, to what the function was called with, or to where it cannot be told. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::step::{Change, Flow, FramePointer, Place, Source, StackPointer, Step};

/// How many instructions one search looks at.
const PATIENCE: usize = 20_000;

/// How often a value may be changed on its way.
const CHANGES: usize = 4;

/// What a place can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) constants: BTreeSet<u64>,
    /// What is there when the function begins.
    pub(crate) arguments: BTreeSet<Place>,
    /// It can be something else, too.
    pub(crate) unknown: bool,
}

/// A function as a graph of instructions.
#[derive(Debug)]
pub(crate) struct Body {
    steps: Vec<Step>,
    by_address: HashMap<u64, usize>,
    /// For each, from where it is jumped to.
    jumps: HashMap<usize, Vec<usize>>,
    /// The jumps that go anywhere.
    anywhere: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    /// Before the instruction with this number.
    before: usize,
    place: Place,
    /// The last is to be done first.
    changes: Vec<Change>,
}

impl Wanted {
    fn found(&self, value: u64) -> u64 {
        self.changes.iter().rev().fold(value, |value, change| change.apply(value))
    }
}

impl Body {
    /// From the instructions of a function, the first of them where it begins.
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        let by_address: HashMap<_, _> =
            steps.iter().enumerate().map(|(number, step)| (step.at, number)).collect();
        let (mut jumps, mut anywhere) = (HashMap::<_, Vec<_>>::new(), Vec::new());
        for (number, step) in steps.iter().enumerate() {
            match step.flow {
                Flow::Jump(to) | Flow::Branch(to) => {
                    if let Some(to) = by_address.get(&to) {
                        jumps.entry(*to).or_default().push(number);
                    }
                }
                Flow::Anywhere => anywhere.push(number),
                Flow::Next | Flow::Call(_) | Flow::Stop => {}
            }
        }
        Self { steps, by_address, jumps, anywhere }
    }

    /// What the place holds before the instruction at the address.
    pub(crate) fn values(&self, address: u64, place: Place) -> Values {
        let mut values = Values::default();
        let Some(before) = self.by_address.get(&address).copied() else {
            values.unknown = true;
            return values;
        };
        let mut seen = HashSet::new();
        let mut left = vec![Wanted { before, place, changes: Vec::new() }];
        while let Some(wanted) = left.pop() {
            if seen.len() >= PATIENCE {
                values.unknown = true;
                break;
            }
            if !seen.insert(wanted.clone()) {
                continue;
            }
            if wanted.before == 0 {
                Self::begins(&wanted, &mut values);
            }
            for step in self.leading_to(wanted.before) {
                if let Some(value) = self.known(step, &wanted) {
                    values.constants.insert(value);
                    continue;
                }
                self.back(step, &wanted, &mut left, &mut values);
            }
        }
        values
    }

    /// What the place holds because of the way that was taken from a branch.
    fn known(&self, branch: usize, wanted: &Wanted) -> Option<u64> {
        let (place, value, jumped) = self.steps[branch].known?;
        let Flow::Branch(to) = self.steps[branch].flow else { return None };
        let next = wanted.before == branch + 1;
        let target = self.by_address.get(&to) == Some(&wanted.before);
        let taken = if jumped { target && !next } else { next && !target };
        (taken && place == wanted.place).then(|| wanted.found(value))
    }

    /// What was there before the function began.
    fn begins(wanted: &Wanted, values: &mut Values) {
        match wanted.place {
            Place::Frame(_) => values.unknown = true,
            _ if !wanted.changes.is_empty() => values.unknown = true,
            place => drop(values.arguments.insert(place)),
        }
    }

    /// The instructions after which this one can be the next. What nothing leads to is never reached, or by a table.
    fn leading_to(&self, number: usize) -> Vec<usize> {
        let mut all = self.jumps.get(&number).cloned().unwrap_or_default();
        let before = number.checked_sub(1);
        let follows = before.filter(|before| self.steps[*before].flow.goes_on());
        all.extend(follows);
        if follows.is_none() && number > 0 && all.is_empty() {
            all.extend(&self.anywhere);
        }
        all
    }

    /// Goes back over one instruction.
    fn back(&self, number: usize, wanted: &Wanted, left: &mut Vec<Wanted>, values: &mut Values) {
        let step = &self.steps[number];
        let Some(place) = before(step, wanted.place) else {
            values.unknown = true;
            return;
        };
        let mut go = |place, change: Option<Change>| {
            let mut changes = wanted.changes.clone();
            changes.extend(change);
            left.push(Wanted { before: number, place, changes });
        };
        let written = step.writes.iter().find(|(written, _)| *written == place);
        let found = |value| wanted.found(value);
        match written.map(|(_, source)| *source) {
            None if step.loses(place) => values.unknown = true,
            None => go(place, None),
            Some(Source::Constant(value)) => drop(values.constants.insert(found(value))),
            Some(Source::AllOrNothing) => values.constants.extend([found(0), found(u64::MAX)]),
            Some(Source::Copy(from)) => go(from, None),
            Some(Source::Either(one, other)) => {
                go(one, None);
                go(other, None);
            }
            Some(Source::Changed(from, change)) if wanted.changes.len() < CHANGES => {
                go(from, Some(change));
            }
            Some(Source::Changed(..) | Source::Unknown) => values.unknown = true,
        }
    }
}

/// What a place after an instruction was called before it. A place that was written is called as the writer calls it.
fn before(step: &Step, place: Place) -> Option<Place> {
    match place {
        Place::Register(_) => Some(place),
        Place::Stack(offset) => match step.stack {
            StackPointer::Moved(by) => Some(Place::Stack(offset.checked_add(by)?)),
            StackPointer::OfFrame(by) => Some(Place::Frame(offset.checked_add(by)?)),
            StackPointer::Unknown => None,
        },
        Place::Frame(offset) => match step.frame {
            FramePointer::Kept => Some(place),
            FramePointer::OfStack(by) => Some(Place::Stack(offset.checked_add(by)?)),
            FramePointer::Unknown => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Place = Place::Register(0);
    const B: Place = Place::Register(1);

    fn write(at: u64, place: Place, source: Source) -> Step {
        Step { writes: vec![(place, source)], ..Step::new(at) }
    }

    fn flow(at: u64, flow: Flow) -> Step {
        Step { flow, ..Step::new(at) }
    }

    fn constants(values: &Values) -> Vec<u64> {
        assert!(!values.unknown && values.arguments.is_empty(), "{values:?}");
        values.constants.iter().copied().collect()
    }

    #[test]
    fn a_constant_is_followed_through_copies_changes_and_the_stack() {
        let push =
            Step { stack: StackPointer::Moved(-8), ..write(1, Place::Stack(-8), Source::Copy(B)) };
        let pop =
            Step { stack: StackPointer::Moved(8), ..write(3, A, Source::Copy(Place::Stack(0))) };
        let body = Body::new(vec![
            write(0, B, Source::Constant(5)),
            push,
            write(2, B, Source::Unknown),
            pop,
            write(4, A, Source::Changed(A, Change::Add(2))),
            write(5, A, Source::Changed(A, Change::And(6))),
            Step::new(6),
        ]);
        assert_eq!(constants(&body.values(6, A)), [6]);
        assert!(body.values(6, B).unknown);
    }

    #[test]
    fn both_ways_to_an_instruction_are_followed_and_a_loop_ends() {
        let body = Body::new(vec![
            write(0, A, Source::Constant(1)),
            flow(1, Flow::Branch(3)),
            write(2, A, Source::Constant(2)),
            flow(3, Flow::Branch(1)),
            Step::new(4),
        ]);
        assert_eq!(constants(&body.values(4, A)), [1, 2]);
    }

    #[test]
    fn what_was_compared_is_known_where_it_was_equal() {
        let branch = Step { known: Some((A, 0, true)), ..flow(1, Flow::Branch(3)) };
        let body = Body::new(vec![
            write(0, A, Source::Unknown),
            branch,
            flow(2, Flow::Stop),
            Step::new(3),
            Step::new(4),
        ]);
        assert_eq!(constants(&body.values(4, A)), [0]);
        assert!(body.values(2, A).unknown);
    }

    #[test]
    fn what_follows_a_jump_without_target_is_entered_from_there_and_dead_code_never() {
        let body = Body::new(vec![
            write(0, A, Source::Constant(1)),
            flow(1, Flow::Anywhere),
            Step::new(2),
            flow(3, Flow::Stop),
        ]);
        assert_eq!(constants(&body.values(2, A)), [1]);
        let dead = Body::new(vec![flow(0, Flow::Stop), Step::new(1)]);
        assert_eq!(dead.values(1, A), Values::default());
    }

    #[test]
    fn what_a_function_is_called_with_is_its_argument() {
        let body = Body::new(vec![
            Step {
                stack: StackPointer::Moved(-8),
                frame: FramePointer::OfStack(-8),
                ..Step::new(0)
            },
            write(1, A, Source::Copy(Place::Frame(16))),
            Step::new(2),
        ]);
        assert_eq!(body.values(2, A).arguments, BTreeSet::from([Place::Stack(8)]));
        assert_eq!(body.values(2, B).arguments, BTreeSet::from([B]));
    }
}
