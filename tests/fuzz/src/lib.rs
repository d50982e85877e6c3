//! What must hold of every answer, whatever was asked.

mod answer;
mod parser;
mod patch;
mod world;

pub use answer::{check, path_for};
pub use parser::compare;
pub use world::{FixedSeal, snapshot};
