//! The three ways to confine a container, and what a profile is called by each of them on a node. Pure.

use std::fmt;

use crate::kinds::ProfileKind;

/// What confines a container. Each has one field of a security context, and disturbs no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    Seccomp,
    Selinux,
    Apparmor,
}

impl Mechanism {
    /// All of them, in the order in which they are indexed and reported.
    pub const ALL: [Self; 3] = [Self::Seccomp, Self::Selinux, Self::Apparmor];

    /// Its name as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seccomp => "seccomp",
            Self::Selinux => "SELinux",
            Self::Apparmor => "AppArmor",
        }
    }

    /// The mechanism that a kind of profile is for.
    pub fn of(kind: ProfileKind) -> Self {
        match kind {
            ProfileKind::SeccompProfile => Self::Seccomp,
            ProfileKind::SelinuxProfile | ProfileKind::RawSelinuxProfile => Self::Selinux,
            ProfileKind::AppArmorProfile => Self::Apparmor,
        }
    }

    /// What a pod calls a profile of ours: a path below the kubelet's seccomp folder, a process type, or the name of a
    /// profile in the kernel. Every part takes it from here, so that no two can differ.
    pub fn local_name(self, profile: &str) -> String {
        match self {
            Self::Seccomp => ["operator/", profile, ".json"].concat(),
            Self::Selinux => [profile, ".process"].concat(),
            Self::Apparmor => profile.to_owned(),
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
