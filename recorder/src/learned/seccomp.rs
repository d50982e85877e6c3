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
    use profile::{
        algebra::seccomp::{Abi, Call, Verdict, evaluate},
        render,
    };

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
    #[test]
    fn calls_of_other_architectures_are_served_and_numbers_without_a_name_told() {
        let mut seen = Seen::default();
        seen.call(Arch::X86_64, 0);
        // _llseek is none of the machine's own.
        seen.call(Arch::X86, 140);
        seen.call(Arch::X32, syscall::X32_BIT + 520);
        seen.call(Arch::X86_64, 999);
        let learned = profile("x", &seen, RUNC);
        let spec = &learned.profile.spec;
        assert_eq!(spec.architectures, [Arch::X86, Arch::X86_64, Arch::X32]);
        assert_eq!(spec.syscalls[0].names, ["_llseek", "execve", "read"]);
        assert_eq!(learned.left, ["system call 999 of SCMP_ARCH_X86_64: it has no name here"]);
    }

    #[test]
    fn what_was_not_called_fails_with_eperm() {
        let mut seen = Seen::default();
        seen.call(Arch::X86_64, 0);
        let spec = profile("x", &seen, RUNC).profile.spec;
        let outcome = |syscall: &str| {
            let call = Call { abi: Abi::Own, syscall: syscall.to_owned(), args: [0; 6] };
            evaluate(&spec, &call).unwrap().certain().unwrap()
        };
        assert_eq!(outcome("mount"), Verdict::new(Action::Errno, Some(libc::EPERM.unsigned_abs())));
        assert_eq!(outcome("read"), Verdict::new(Action::Allow, None));
        // Without a number of its own a runtime takes EPERM (defaultErrnoRet of the OCI runtime specification).
        let json = render::seccomp::render("x", &spec, &|_| None).unwrap().to_json();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["defaultAction"], "SCMP_ACT_ERRNO");
        assert_eq!(json.get("defaultErrnoRet"), None);
        assert_eq!(json["architectures"], serde_json::json!(["SCMP_ARCH_X86_64"]));
    }
}
