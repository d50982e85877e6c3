//! Instructions as the search for a call's number sees them, whatever the machine. Pure.

/// Where a value can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    Register(u8),
    /// So many bytes from the stack pointer, as it is before the instruction.
    Stack(i64),
    /// So many bytes from the frame pointer.
    Frame(i64),
}

/// What is done to a value on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Change {
    Add(u64),
    And(u64),
    Or(u64),
    Xor(u64),
    /// To the left, or to the right where it is negative.
    Shift(i8),
    /// These bits become those.
    Set {
        mask: u64,
        bits: u64,
    },
}

impl Change {
    pub(crate) fn apply(self, value: u64) -> u64 {
        match self {
            Self::Add(other) => value.wrapping_add(other),
            Self::And(other) => value & other,
            Self::Or(other) => value | other,
            Self::Xor(other) => value ^ other,
            Self::Set { mask, bits } => value & !mask | bits,
            Self::Shift(by @ 0..) => value.wrapping_shl(u32::from(by.unsigned_abs())),
            Self::Shift(by) => value.wrapping_shr(u32::from(by.unsigned_abs())),
        }
    }
}

/// Where what is written comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Constant(u64),
    Copy(Place),
    /// The one or the other.
    Either(Place, Place),
    Changed(Place, Change),
    /// All bits are set, or none.
    AllOrNothing,
    Unknown,
}

/// Where the stack pointer is after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StackPointer {
    /// So many bytes from where it was.
    Moved(i64),
    /// So many bytes from the frame pointer.
    OfFrame(i64),
    Unknown,
}

/// Where the frame pointer is after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramePointer {
    Kept,
    /// So many bytes from the stack pointer as it was before.
    OfStack(i64),
    Unknown,
}

/// Where it goes on after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    /// The next one, when what is called comes back.
    Call(u64),
    Jump(u64),
    /// There, or to the next one.
    Branch(u64),
    /// Somewhere in the same function, it may be.
    Anywhere,
    Stop,
}

impl Flow {
    /// Whether the next instruction can come after it.
    pub(crate) fn goes_on(self) -> bool {
        matches!(self, Self::Next | Self::Call(_) | Self::Branch(_))
    }
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: u64,
    pub(crate) flow: Flow,
    /// What it writes; the last word on a place is the first in the list.
    pub(crate) writes: Vec<(Place, Source)>,
    /// The other registers that it changes, a bit for each: what they hold is not known.
    pub(crate) lost: u32,
    /// What a place holds when it was jumped (`true`), or was not.
    pub(crate) known: Option<(Place, u64, bool)>,
    pub(crate) stack: StackPointer,
    pub(crate) frame: FramePointer,
}

impl Step {
    /// One that changes nothing.
    pub(crate) fn new(at: u64) -> Self {
        Self {
            at,
            flow: Flow::Next,
            writes: Vec::new(),
            lost: 0,
            known: None,
            stack: StackPointer::Moved(0),
            frame: FramePointer::Kept,
        }
    }

    /// It writes that.
    pub(crate) fn write(&mut self, to: Place, source: Source) {
        match (to, source) {
            (Place::Register(register), Source::Unknown) => self.lose([register]),
            _ => self.writes.push((to, source)),
        }
    }

    /// It changes registers.
    pub(crate) fn lose(&mut self, registers: impl IntoIterator<Item = u8>) {
        for register in registers {
            self.lost |= 1_u32.checked_shl(register.into()).unwrap_or_default();
        }
    }

    /// Whether a place holds something else after it.
    pub(crate) fn changes(&self, place: Place) -> bool {
        self.loses(place) || self.writes.iter().any(|(to, _)| *to == place)
    }

    /// Whether a place holds after it what nobody knows.
    pub(crate) fn loses(&self, place: Place) -> bool {
        let Place::Register(register) = place else { return false };
        self.lost.checked_shr(register.into()).is_some_and(|rest| rest & 1 == 1)
    }
}
