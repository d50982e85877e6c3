//! Makes a seccomp profile of the system calls that were seen. Pure.

use std::collections::{BTreeMap, BTreeSet};

use profile::{
    kinds::{
        ProfileState, SeccompProfile, SeccompProfileSpec,
        seccomp::{Action, Arch, Syscall},
    },
    syscall,
};

use super::Profile;
use crate::{base::Base, seen::Seen};

/// How a profile is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The architecture of the machine on which it was recorded.
    pub machine: Arch,
    /// The runtime that is to start containers under it.
    pub base: Base,
}

/// The profile that allows what was called, on every architecture of which a call was seen, and what the runtime needs
/// beside it.
pub fn profile(name: &str, seen: &Seen, options: Options) -> Profile<SeccompProfile> {
    let Options { machine, base } = options;
    let (mut called, mut left) = (BTreeSet::new(), Vec::new());
    let mut architectures = BTreeSet::from([machine]);
    for (arch, number) in seen.called() {
        architectures.insert(arch);
        match syscall::name(arch, number) {
            Some(name) => drop(called.insert(name)),
            None => left.push(format!("system call {number} of {arch}: it has no name here")),
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
    Profile { profile, left }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNC: Options = Options { machine: Arch::X86_64, base: Base::Runc };

    #[test]
    fn what_the_runtime_needs_is_a_rule_of_its_own() {
        let options = Options { base: Base::Crun, ..RUNC };
        let learned = profile("x", &Seen::default(), options);
        let rules = &learned.profile.spec.syscalls;
        assert_eq!(rules[0].names, ["execve"], "nothing was called");
        assert!(rules[1].names.contains(&"capset".to_owned()));
        assert!(!rules[1].names.contains(&"execve".to_owned()), "once is enough");
        assert_eq!(learned.profile.spec.default_action, Action::Errno);
        assert_eq!(learned.profile.spec.architectures, [Arch::X86_64]);
    }
}
