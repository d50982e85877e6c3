//! What every daemon has: a watch that resumes, a folder of manifests, logs, probes, signals, files that
//! are replaced whole.

pub mod client;
pub mod contact;
#[cfg(any(test, feature = "described"))]
pub mod described;
pub mod disk;
pub mod error;
pub mod logs;
pub mod manifests;
pub mod probes;
pub mod signals;
pub mod watch;
