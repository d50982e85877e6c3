//! What tells of what was done. Pure.

use std::{collections::BTreeMap, fmt};

/// Things that are told together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Files,
    Programs,
    Capabilities,
    Sockets,
    Mounts,
    Signals,
    Ptrace,
}

/// What tells of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Hooks of the kernel's security modules: what AppArmor itself would be asked, when it would be asked.
    Hooks,
    /// Tracepoints: what has happened, as can be told from system calls at their end. They do not see what is done by
    /// `io_uring`, nor files that come open from another process. They see names of what is gone as they were given; of
    /// ptrace only the calls, not what is read below `/proc`; what was unmounted or pivoted from where it is afterwards;
    /// of sockets that messages are sent to without a connection the name that the sender gives them, of many at a time
    /// only the first.
    Tracepoints,
    /// Nothing does.
    Nothing,
}

/// What tells of each group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiers {
    pub(super) tiers: BTreeMap<Group, Tier>,
    pub(super) why: BTreeMap<Group, String>,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Files,
        Self::Programs,
        Self::Capabilities,
        Self::Sockets,
        Self::Mounts,
        Self::Signals,
        Self::Ptrace,
    ];
}

impl Tiers {
    /// What tells of a group.
    pub fn of(&self, group: Group) -> Tier {
        self.tiers.get(&group).copied().unwrap_or(Tier::Nothing)
    }

    /// Why no hooks tell of a group, in the kernel's words.
    pub fn why(&self, group: Group) -> Option<&str> {
        self.why.get(&group).map(String::as_str)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Programs => "programs",
            Self::Capabilities => "capabilities",
            Self::Sockets => "sockets",
            Self::Mounts => "mounts",
            Self::Signals => "signals",
            Self::Ptrace => "ptrace",
        })
    }
}

impl fmt::Display for Tiers {
    /// A line such as `by LSM hooks: files, sockets; by tracepoints: mounts; not at all: capabilities`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiers = [
            (Tier::Hooks, "by LSM hooks"),
            (Tier::Tracepoints, "by tracepoints"),
            (Tier::Nothing, "not at all"),
        ];
        let mut first = true;
        for (tier, how) in tiers {
            let groups: Vec<_> = Group::ALL
                .into_iter()
                .filter(|group| self.of(*group) == tier)
                .map(|group| group.to_string())
                .collect();
            if !groups.is_empty() {
                write!(f, "{}{how}: {}", if first { "" } else { "; " }, groups.join(", "))?;
                first = false;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_a_line() {
        let all = Group::ALL.map(|group| (group, Tier::Hooks)).into();
        let mut tiers = Tiers { tiers: all, why: BTreeMap::new() };
        assert_eq!(
            tiers.to_string(),
            "by LSM hooks: files, programs, capabilities, sockets, mounts, signals, ptrace"
        );
        tiers.tiers.insert(Group::Mounts, Tier::Tracepoints);
        tiers.tiers.remove(&Group::Capabilities);
        assert_eq!(
            tiers.to_string(),
            "by LSM hooks: files, programs, sockets, signals, ptrace; by tracepoints: mounts; not at all: capabilities"
        );
    }
}
