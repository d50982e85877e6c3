//! Builds container images of the programs, without a network and without a container engine.
//!
//! ```text
//!   recipe ----> gather ----> tree ----> layer ----> archive ----> build/images/NAME.tar
//!   (what)     (from where:  (files)    (tar)      (OCI layout)
//!             libraries, packages, crates)
//! ```
//!
//! An image holds a program, the libraries that it loads, and the licences of both. The same files give the same bytes.

pub mod archive;
pub mod crates;
pub mod gather;
pub mod layer;
pub mod libraries;
pub mod packages;
pub mod recipe;
pub mod tree;
