//! SeccompProfile: which system calls a container may use. Pure.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    rule,
    spelling::spelled,
    status::{ProfileState, ProfileStatus},
};

pub use value::{ArgValue, BadValue};

mod value;

spelled! {
    /// What the kernel does with a system call.
    pub enum Action {
        Kill = "SCMP_ACT_KILL",
        KillProcess = "SCMP_ACT_KILL_PROCESS",
        KillThread = "SCMP_ACT_KILL_THREAD",
        Trap = "SCMP_ACT_TRAP",
        Errno = "SCMP_ACT_ERRNO",
        Trace = "SCMP_ACT_TRACE",
        Allow = "SCMP_ACT_ALLOW",
        Log = "SCMP_ACT_LOG",
        Notify = "SCMP_ACT_NOTIFY",
    }
}

spelled! {
    /// A machine architecture.
    pub enum Arch {
        Native = "SCMP_ARCH_NATIVE",
        X86 = "SCMP_ARCH_X86",
        X86_64 = "SCMP_ARCH_X86_64",
        X32 = "SCMP_ARCH_X32",
        Arm = "SCMP_ARCH_ARM",
        Aarch64 = "SCMP_ARCH_AARCH64",
        Mips = "SCMP_ARCH_MIPS",
        Mips64 = "SCMP_ARCH_MIPS64",
        Mips64N32 = "SCMP_ARCH_MIPS64N32",
        Mipsel = "SCMP_ARCH_MIPSEL",
        Mipsel64 = "SCMP_ARCH_MIPSEL64",
        Mipsel64N32 = "SCMP_ARCH_MIPSEL64N32",
        Ppc = "SCMP_ARCH_PPC",
        Ppc64 = "SCMP_ARCH_PPC64",
        Ppc64Le = "SCMP_ARCH_PPC64LE",
        S390 = "SCMP_ARCH_S390",
        S390X = "SCMP_ARCH_S390X",
        Parisc = "SCMP_ARCH_PARISC",
        Parisc64 = "SCMP_ARCH_PARISC64",
        Riscv64 = "SCMP_ARCH_RISCV64",
        Loongarch64 = "SCMP_ARCH_LOONGARCH64",
    }
}

spelled! {
    /// A flag of the seccomp filter.
    pub enum Flag {
        Tsync = "SECCOMP_FILTER_FLAG_TSYNC",
        Log = "SECCOMP_FILTER_FLAG_LOG",
        SpecAllow = "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        WaitKillableRecv = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    }
}

spelled! {
    /// How an argument is compared.
    pub enum Operator {
        NotEqual = "SCMP_CMP_NE",
        Less = "SCMP_CMP_LT",
        LessOrEqual = "SCMP_CMP_LE",
        Equal = "SCMP_CMP_EQ",
        GreaterOrEqual = "SCMP_CMP_GE",
        Greater = "SCMP_CMP_GT",
        MaskedEqual = "SCMP_CMP_MASKED_EQ",
    }
}

/// One condition on an argument of a system call.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rule::seccomp::arg)]
pub struct Arg {
    /// Which argument, counted from 0: 0 to 5.
    #[schemars(range(min = 0, max = 5))]
    pub index: u8,
    /// How the argument is compared with value: SCMP_CMP_NE, _LT, _LE, _EQ, _GE, _GT, or _MASKED_EQ (the argument and
    /// value, bit by bit, equal valueTwo).
    pub op: Operator,
    /// What the argument is compared with; the mask for SCMP_CMP_MASKED_EQ. A 64-bit unsigned value: a number up to
    /// 9223372036854775807, or a string such as "0xffffffffffffffff" or "18446744073709551615" (a greater number would
    /// lose its last digits on the way). Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ArgValue>,
    /// For SCMP_CMP_MASKED_EQ only: what the masked argument must equal. Written as value is. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_two: Option<ArgValue>,
}

/// What happens to some system calls.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Syscall {
    /// The system calls, by name, such as openat. One that the node does not know is passed over.
    #[schemars(
        length(min = 1, max = 1024),
        inner(length(min = 1, max = 64), regex(pattern = "^[a-zA-Z0-9_]+$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub names: Vec<String>,
    /// What happens to them: SCMP_ACT_KILL, _KILL_PROCESS, _KILL_THREAD, _TRAP, _ERRNO, _TRACE, _ALLOW, _LOG, _NOTIFY.
    pub action: Action,
    /// The error number that the caller gets, for SCMP_ACT_ERRNO and SCMP_ACT_TRACE. Default: 1 (EPERM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub errno_ret: Option<u32>,
    /// Conditions on the arguments, each on another one: all of them must hold. For one value or another, or for a range,
    /// write a rule of its own for each condition, with the same names and action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6), transform = rule::seccomp::args)]
    pub args: Vec<Arg>,
}

/// The seccomp filter of a container.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[kube(
    group = "security-profiles-operator.x-k8s.io",
    version = "v1",
    kind = "SeccompProfile",
    plural = "seccompprofiles",
    shortname = "sp",
    category = "security-profiles",
    status = "SeccompProfileStatus",
    derive = "PartialEq",
    doc = "A seccomp profile, which is put on every node: which system calls a container may use.",
    printcolumn(name = "Status", type_ = "string", json_path = ".status.status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "LocalhostProfile",
        type_ = "string",
        json_path = ".status.localhostProfile",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SeccompProfileSpec {
    /// Whether the profile is put on nodes: Enabled or Disabled. Default: Enabled.
    #[serde(default)]
    pub state: ProfileState,
    /// The spelling of state before v1: true is Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// What happens to a system call that no rule names: SCMP_ACT_KILL, _KILL_PROCESS, _KILL_THREAD, _TRAP, _ERRNO,
    /// _TRACE, _ALLOW, _LOG, _NOTIFY.
    pub default_action: Action,
    /// A profile that this one builds on: the name of another SeccompProfile, or oci:// and an image reference. Up to 15
    /// can be stacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), transform = rule::seccomp::base_profile)]
    pub base_profile_name: Option<String>,
    /// The architectures that the filter serves, such as SCMP_ARCH_X86_64. Default: that of the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub architectures: Vec<Arch>,
    /// Flags of the filter: SECCOMP_FILTER_FLAG_TSYNC, _LOG, _SPEC_ALLOW, _WAIT_KILLABLE_RECV.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub flags: Vec<Flag>,
    /// The socket of the agent that decides on SCMP_ACT_NOTIFY, in /var/run/security-profiles-operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), transform = rule::seccomp::listener_path)]
    pub listener_path: Option<String>,
    /// Text that is passed to that agent as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub listener_metadata: Option<String>,
    /// The rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub syscalls: Vec<Syscall>,
}

impl SeccompProfileSpec {
    /// Whether the profile is put on nodes, whichever spelling says so.
    pub fn effective_state(&self) -> ProfileState {
        self.state.or_disabled(self.disabled)
    }
}

/// Where the profile is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SeccompProfileStatus {
    #[serde(flatten)]
    pub shared: ProfileStatus,
    /// What a pod writes as seccompProfile.localhostProfile to use the profile: operator/NAME.json.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub localhost_profile: Option<String>,
}
