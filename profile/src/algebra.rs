//! What profiles allow, compared and united: merge, subset, diff. Pure.

pub mod apparmor;
pub mod seccomp;
pub mod selinux;
