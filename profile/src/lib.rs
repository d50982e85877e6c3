//! The heart of Cinch, pure: what a security profile, a binding and a recording mean. No clock, no network, no file.
//!
//! ```text
//!  kinds (what users write) --> bindings, recordings (compiled) --\
//!                                                                  decide --> patch, warnings, reasons
//!  a pod as admission sees it -----------------------------------/
//! ```

pub mod algebra;
pub mod bindings;
pub mod crd;
pub mod decide;
pub mod duration;
pub mod glob;
pub mod image;
pub mod kinds;
pub mod mechanism;
pub mod pod;
pub mod recordings;
pub mod render;
pub mod selector;
pub mod snapshot;
pub mod syscall;
