//! Keeps what a node has installed equal to what it should have.
//!
//! ```text
//!  source (cluster or folder) --> object --> artifact (text of a file or module) --\
//!  ledger (what we have put there) ------------------------------------------------ plan (pure) --> steps
//!  backend (files, kernel) --> found, in use --------------------------------------/                  |
//!                                                                       verdicts --> status, table <--/
//! ```
//!
//! Each mechanism (seccomp, SELinux, AppArmor) is a lane of its own, with its own thread and ledger: a commit of SELinux
//! policy takes half a minute and must not hold up a seccomp file.

pub mod admin;
pub mod artifact;
pub mod backend;
pub mod board;
pub mod disk;
pub mod drift;
pub mod folders;
pub mod key;
pub mod lane;
pub mod layout;
pub mod ledger;
pub mod metrics;
pub mod object;
pub mod plan;
pub mod source;
pub mod status;
pub mod store;
pub mod table;
pub mod uninstall;
pub mod users;
