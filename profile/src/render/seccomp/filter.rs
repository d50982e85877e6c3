//! The seccomp section of an OCI runtime configuration. Pure.

use serde::{Deserialize, Serialize};

use super::SeccompError;
use crate::kinds::{
    ProfileState, SeccompProfileSpec,
    seccomp::{Action, Arch, Arg, ArgValue, Flag, Operator, Syscall},
};

/// A seccomp filter as the OCI runtime specification writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    pub default_action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// Besides the machine's own, which every filter serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<Arch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<Rule>,
}

/// What happens to some system calls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub names: Vec<String>,
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// All of them must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Condition>,
}

/// One condition on an argument. Numbers are numbers in JSON, all 64 bits of them: runtimes read no text here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    pub index: u8,
    #[serde(default)]
    pub value: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_two: u64,
    pub op: Operator,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Filter {
    /// The file that a runtime reads: the same bytes for the same filter.
    #[expect(clippy::missing_panics_doc, reason = "a filter has string keys alone")]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a filter has string keys alone");
        json.push('\n');
        json
    }

    /// The profile that renders to this filter.
    pub fn to_spec(&self) -> SeccompProfileSpec {
        let arg = |condition: &Condition| Arg {
            index: condition.index,
            op: condition.op,
            value: Some(ArgValue(condition.value)),
            value_two: (condition.value_two != 0).then_some(ArgValue(condition.value_two)),
        };
        let syscall = |rule: &Rule| Syscall {
            names: rule.names.clone(),
            action: rule.action,
            errno_ret: rule.errno_ret,
            args: rule.args.iter().map(arg).collect(),
        };
        SeccompProfileSpec {
            state: ProfileState::Enabled,
            disabled: None,
            default_action: self.default_action,
            base_profile_name: None,
            architectures: self.architectures.clone(),
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls: self.syscalls.iter().map(syscall).collect(),
        }
    }

    /// Refuses what runtimes or the kernel refuse of `SCMP_ACT_NOTIFY`.
    pub(super) fn check_notify(&self) -> Result<(), SeccompError> {
        let mut notified = self.syscalls.iter().filter(|rule| rule.action == Action::Notify);
        if self.default_action == Action::Notify {
            return Err(SeccompError::NotifyByDefault);
        }
        if notified.clone().any(|rule| rule.names.iter().any(|name| name == "write")) {
            return Err(SeccompError::NotifyWrite);
        }
        let notifies = notified.next().is_some();
        if self.listener_path.is_none() {
            if notifies {
                return Err(SeccompError::NoListener);
            }
            if self.listener_metadata.is_some() {
                return Err(SeccompError::NoListenerForMetadata);
            }
        }
        let wrong = if notifies { Flag::Tsync } else { Flag::WaitKillableRecv };
        match (self.flags.contains(&wrong), notifies) {
            (false, _) => Ok(()),
            (true, true) => Err(SeccompError::FlagWithNotify(wrong)),
            (true, false) => Err(SeccompError::FlagWithoutNotify(wrong)),
        }
    }
}

/// Sorted, and without NATIVE: runc does not know it, and every filter serves the machine's own architecture anyway.
pub(super) fn architectures(mut all: Vec<Arch>) -> Result<Vec<Arch>, SeccompError> {
    all.retain(|arch| *arch != Arch::Native);
    all.sort_unstable();
    all.dedup();
    let big = all.iter().find(|arch| is_big_endian(**arch));
    let little = all.iter().find(|arch| !is_big_endian(**arch));
    if let (Some(little), Some(big)) = (little, big) {
        return Err(SeccompError::ByteOrder { little: little.to_string(), big: big.to_string() });
    }
    Ok(all)
}

const fn is_big_endian(arch: Arch) -> bool {
    matches!(
        arch,
        Arch::Mips
            | Arch::Mips64
            | Arch::Mips64N32
            | Arch::Ppc
            | Arch::Ppc64
            | Arch::S390
            | Arch::S390X
            | Arch::Parisc
            | Arch::Parisc64
    )
}

pub(super) fn flags(mut all: Vec<Flag>) -> Vec<Flag> {
    all.sort_unstable();
    all.dedup();
    all
}
