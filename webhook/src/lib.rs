//! The admission webhook: puts security profiles into pods and marks pods for recording, answering from memory.
//!
//! ```text
//!  cluster or folder --> world --> snapshot ---\
//!                                               answer: review --> decide (profile) --> patch, warnings --> bytes
//!  kube-apiserver --TLS--> server --> routes --/
//! ```
//!
//! What is left to be done after admission is the [`controller`]'s, in a process of its own.

pub mod admin;
pub mod answer;
pub mod controller;
pub mod definitions;
pub mod explain;
pub mod metrics;
pub mod opening;
pub mod patch;
pub mod release;
pub mod review;
pub mod routes;
pub mod seal;
pub mod server;
pub mod source;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod warnings;
pub mod world;
