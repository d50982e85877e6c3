//! Makes profiles of what was recorded. Pure.

use std::collections::{BTreeMap, BTreeSet};

use profile::kinds::{
    ProfileState, SeccompProfile, SeccompProfileSpec,
    seccomp::{Action, Arch, Syscall},
};

use crate::{base::Base, kernel::Calls};

pub mod apparmor;
pub mod seccomp;
pub mod selinux;
pub mod tally;

/// A profile of what was seen, and what is not in it.
#[derive(Clone, Debug)]
pub struct Profile<P> {
    pub profile: P,
    /// What was seen and could not be taken in, and why: a line each, sorted.
    pub left: Vec<String>,
}

/// A profile, and what it could not take in.
#[derive(Clone, Debug)]
pub struct Learned {
    pub profile: SeccompProfile,
    /// Numbers that have no name here, and so no rule.
    pub unnamed: BTreeSet<(Arch, u32)>,
}

/// The profile that allows what was called, and what the runtime needs beside it.
pub fn seccomp(name: &str, calls: &Calls, machine: Arch, base: Base) -> Learned {
    let (mut called, mut unnamed) = (BTreeSet::new(), BTreeSet::new());
    let mut architectures = BTreeSet::from([machine]);
    for (arch, call) in calls.by_name(machine) {
        architectures.insert(arch);
        match call {
            Ok(name) => drop(called.insert(name)),
            Err(number) => drop(unnamed.insert((arch, number))),
        }
    }
    // Nothing runs without it, be it started by a runtime or by a shell.
    called.insert("execve");
    let own = Syscall {
        names: called.iter().map(|name| (*name).to_owned()).collect(),
        action: Action::Allow,
        errno_ret: None,
        args: Vec::new(),
    };
    // What the workload calls with any arguments needs no rule for some.
    let needed = base.rules().into_iter().map(|mut rule| {
        rule.names.retain(|name| !called.contains(&**name));
        rule
    });
    let rules = std::iter::once(own).chain(needed).filter(|rule| !rule.names.is_empty());
    let spec = SeccompProfileSpec {
        state: ProfileState::Enabled,
        disabled: None,
        default_action: Action::Errno,
        base_profile_name: None,
        architectures: architectures.into_iter().collect(),
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls: rules.collect(),
    };
    let mut profile = SeccompProfile::new(name, spec);
    let description = match base {
        Base::None => format!("{} system calls, recorded", called.len()),
        base => format!(
            "{} system calls, recorded; the rules after the first are what {} needs to start a container",
            called.len(),
            base.as_str()
        ),
    };
    profile.metadata.annotations = Some(BTreeMap::from([("description".to_owned(), description)]));
    Learned { profile, unnamed }
}

/// A name that an object can have, of whatever a command is called.
pub fn object_name(command: &str) -> String {
    let base = command.rsplit('/').next().unwrap_or(command).to_ascii_lowercase();
    let name: String =
        base.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "recorded".to_owned() } else { name.to_owned() }
}

/// The architecture that this program was built for.
pub fn machine() -> Arch {
    match std::env::consts::ARCH {
        "aarch64" => Arch::Aarch64,
        "riscv64" => Arch::Riscv64,
        "s390x" => Arch::S390X,
        "powerpc64" => Arch::Ppc64Le,
        _ => Arch::X86_64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_becomes_a_name_that_the_api_server_takes() {
        assert_eq!(object_name("/usr/sbin/nginx"), "nginx");
        assert_eq!(object_name("./Build_It.sh"), "build-it-sh");
        assert_eq!(object_name("---"), "recorded");
    }

    #[test]
    fn what_the_runtime_needs_is_a_rule_of_its_own() {
        let learned = seccomp("x", &Calls::default(), Arch::X86_64, Base::Crun);
        let rules = &learned.profile.spec.syscalls;
        assert_eq!(rules[0].names, ["execve"], "nothing was called");
        assert!(rules[1].names.contains(&"capset".to_owned()));
        assert!(!rules[1].names.contains(&"execve".to_owned()), "once is enough");
        assert_eq!(learned.profile.spec.default_action, Action::Errno);
        assert_eq!(learned.profile.spec.architectures, [Arch::X86_64]);
    }
}
