//! Compiles seccomp filters: from the JSON that container runtimes read to the program that the kernel runs.

pub use compile::{CompileError, check, compile};
pub use program::{Call, Program};

mod compile;
mod program;
