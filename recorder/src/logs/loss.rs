//! What a log does not tell, and why. Pure.

/// One occasion at which lines went missing, or may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The kernel had no more room for this reader; how many lines that cost nobody knows.
    Overrun,
    /// The kernel says that it has dropped so many lines.
    Dropped(u64),
    /// A line was longer than any record is, and was passed over.
    Long,
    /// A file was cut off or replaced while it had lines that were not yet read; how many nobody knows.
    Cut,
}

impl Loss {
    pub const NAMES: [&'static str; 4] = ["overrun", "dropped", "long", "cut"];

    /// As it is called in metrics: one of [`Loss::NAMES`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Dropped(_) => "dropped",
            Self::Long => "long",
            Self::Cut => "cut",
        }
    }

    /// How many lines that were at least.
    pub fn lines(self) -> u64 {
        match self {
            Self::Dropped(lines) => lines,
            Self::Overrun | Self::Long | Self::Cut => 1,
        }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Overrun => {
                f.write_str("the kernel had no more room for lines that were not yet read")
            }
            Self::Dropped(lines) => write!(f, "the kernel dropped {lines} lines"),
            Self::Long => f.write_str("a line was longer than any record is"),
            Self::Cut => f.write_str("the file was cut off or replaced before all of it was read"),
        }
    }
}
