//! Finds out what containers do.
//!
//! ```text
//!  audit lines (netlink, audit.log, syslog) --> audit (pure) --> what was denied, or would have been
//! ```

pub mod apart;
pub mod audit;
pub mod base;
pub mod cgroup;
pub mod compared;
pub mod cri;
pub mod kernel;
pub mod learned;
pub mod logs;
pub mod scan;
pub mod seen;
pub mod selinuxfs;
