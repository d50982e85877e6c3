//! What every daemon has: a watch that resumes, a folder of manifests, logs, probes, signals.

pub mod client;
pub mod contact;
pub mod error;
pub mod logs;
pub mod manifests;
pub mod probes;
pub mod signals;
pub mod watch;
