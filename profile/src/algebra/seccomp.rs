//! What seccomp profiles do with a call, which of two does more, and their union. Pure.
//!
//! Everything here is decided on the profile as a runtime and libseccomp make a filter of it, not on its text:
//!
//! - A rule whose action is that of the default is passed over by runtimes. It does not take anything back.
//! - An unconditional rule wins over every conditional one for its system call, wherever it stands; of two unconditional
//!   ones, the first.
//! - Conditional rules for one system call are alternatives. Where two of them hold and their actions differ, libseccomp
//!   promises no order, and may refuse the profile: see [`ambiguities`].
//! - Several conditions of one rule on the same argument are a rule each.
//! - On an architecture with words of 32 bits the upper half of arguments and values does not count.
//! - A node's own architecture is always served. Another one that the profile does not list has its calls killed.
//!
//! Profiles that build on another one have to be resolved first.

pub use ambiguity::{Ambiguity, ambiguities};
pub use call::{Abi, Call};
pub use diff::{Case, Change, Diff, diff};
pub use merge::{Merged, NotMerged, merge};
pub use semantics::{Outcome, evaluate};
pub use subset::{Counterexample, Subset, subset};
pub use verdict::{Reach, Verdict};
pub use work::Unresolved;

mod ambiguity;
mod call;
mod condition;
mod diff;
mod merge;
mod region;
mod rules;
mod semantics;
mod subset;
mod verdict;
mod word;
mod work;
