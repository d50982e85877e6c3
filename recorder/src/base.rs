//! What a runtime itself calls between installing a container's filter and starting its program: without these calls a
//! container cannot start, however little its program does. Pure.

use profile::kinds::{SeccompProfile, seccomp::Syscall};

/// A container runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    #[default]
    Runc,
    Crun,
    /// The profile is for something else, such as a command that is started under it.
    None,
}

/// The profiles that the chart has for the same.
const RUNC: &str = include_str!("../../charts/cinch/profiles/base-runc.yaml");
const CRUN: &str = include_str!("../../charts/cinch/profiles/base-crun.yaml");

impl Base {
    /// The rules that allow its calls.
    #[expect(clippy::missing_panics_doc, reason = "the text is fixed when the program is built")]
    pub fn rules(self) -> Vec<Syscall> {
        let text = match self {
            Self::Runc => RUNC,
            Self::Crun => CRUN,
            Self::None => return Vec::new(),
        };
        let profile: SeccompProfile =
            serde_saphyr::from_str(text).expect("it is part of the program, and tested");
        profile.spec.syscalls
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_can_be_started_with_either() {
        for base in [Base::Runc, Base::Crun] {
            let rules = base.rules();
            let names: Vec<_> = rules.iter().flat_map(|rule| &rule.names).collect();
            for call in ["execve", "close", "prctl"] {
                assert!(names.iter().any(|name| *name == call), "{call} for {base:?}");
            }
        }
        assert_eq!(Base::None.rules(), []);
    }
}
