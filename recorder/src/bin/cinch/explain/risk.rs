//! What is risky to allow, and why. Pure.

use serde::Serialize;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Level {
    /// A way out of the container, or around the profile.
    High,
    /// Worth to be known.
    Medium,
}

/// Something that a profile allows and that is worth a second look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Risk {
    pub(crate) level: Level,
    /// Names of what is allowed.
    pub(crate) what: Vec<String>,
    pub(crate) why: String,
}

impl Risk {
    pub(crate) fn new(level: Level, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { level, what: vec![what.into()], why: why.into() }
    }
}

/// System calls with the same reason.
pub(crate) const CALLS: &[(Level, &[&str], &str)] = &[
    (Level::High, &["bpf"], "puts programs into the kernel; its checker has had many holes"),
    (
        Level::High,
        &[
            "create_module",
            "delete_module",
            "finit_module",
            "init_module",
            "kexec_file_load",
            "kexec_load",
        ],
        "puts code into the kernel, or another kernel in its place",
    ),
    (
        Level::High,
        &[
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "open_tree_attr",
            "pivot_root",
            "umount",
            "umount2",
        ],
        "changes what is mounted: with CAP_SYS_ADMIN, also in a user namespace of its own, the beginning of many escapes",
    ),
    (
        Level::High,
        &["unshare", "setns"],
        "makes or enters namespaces: in a user namespace of its own a program has every capability, and reaches parts of the kernel that are for administrators otherwise",
    ),
    (
        Level::High,
        &["ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"],
        "reads and changes other processes of the container, and takes their open files",
    ),
    (
        Level::High,
        &["io_uring_enter", "io_uring_register", "io_uring_setup"],
        "has the kernel open, read, write and connect without system calls that a profile sees; many holes in the past",
    ),
    (
        Level::High,
        &["open_by_handle_at"],
        "opens any file of a file system by its number, outside of the container as well, with CAP_DAC_READ_SEARCH",
    ),
    (
        Level::High,
        &["userfaultfd"],
        "lets a program hold the kernel up in the middle of its work, which makes races there certain to win",
    ),
    (Level::High, &["iopl", "ioperm"], "reaches devices past the kernel, with CAP_SYS_RAWIO"),
    (
        Level::Medium,
        &["perf_event_open"],
        "watches the kernel and other processes; many holes in the past",
    ),
    (
        Level::Medium,
        &["add_key", "keyctl", "request_key"],
        "keys that the kernel keeps: containers share them where their users are the same",
    ),
    (
        Level::Medium,
        &["acct", "quotactl", "quotactl_fd", "reboot", "swapoff", "swapon"],
        "administers the whole machine, with the capabilities for it",
    ),
    (
        Level::Medium,
        &["adjtimex", "clock_adjtime", "clock_settime", "settimeofday", "stime"],
        "sets the clock of the whole machine, with CAP_SYS_TIME (adjtimex and clock_adjtime also only read it)",
    ),
    (Level::Medium, &["syslog"], "reads what the kernel has logged, addresses in it too"),
    (
        Level::Medium,
        &["personality"],
        "can switch off that addresses are random (ADDR_NO_RANDOMIZE)",
    ),
    (
        Level::Medium,
        &["chroot"],
        "changes what / is; with an open folder it is no border, and no way back",
    ),
    (
        Level::Medium,
        &["fanotify_init", "fanotify_mark"],
        "watches, and with CAP_SYS_ADMIN holds up, every use of a file system",
    ),
    (
        Level::Medium,
        &["modify_ldt", "vm86", "vm86old"],
        "an old corner of the processor that hardly any program needs",
    ),
    (Level::Medium, &["kcmp"], "tells how the kernel's memory is laid out"),
    (
        Level::Medium,
        &["lookup_dcookie", "nfsservctl", "uselib", "_sysctl", "sysfs", "ustat"],
        "obsolete, and never needed by what is built today",
    ),
];

/// What a capability gives.
pub(crate) const CAPABILITIES: &[(Level, &str, &str)] = &[
    (
        Level::High,
        "SYS_ADMIN",
        "mounts, namespaces and a hundred other things: as good as root on the machine",
    ),
    (Level::High, "SYS_MODULE", "puts code into the kernel"),
    (Level::High, "SYS_PTRACE", "reads and changes every process that it sees"),
    (Level::High, "SYS_RAWIO", "reaches memory and devices past the kernel"),
    (Level::High, "SYS_BOOT", "restarts the machine, or starts another kernel"),
    (
        Level::High,
        "DAC_READ_SEARCH",
        "reads every file, and by open_by_handle_at those outside of the container",
    ),
    (Level::High, "BPF", "puts programs into the kernel"),
    (Level::High, "MAC_ADMIN", "changes the policies of AppArmor and SELinux"),
    (Level::High, "MAC_OVERRIDE", "passes by the policies of the kernel"),
    (Level::High, "SYSLOG", "reads the kernel's log and addresses"),
    (
        Level::Medium,
        "NET_ADMIN",
        "changes addresses, routes and firewalls of the network that it is in",
    ),
    (
        Level::Medium,
        "NET_RAW",
        "forges packets, and listens to those of others in the same network",
    ),
    (Level::Medium, "DAC_OVERRIDE", "reads and writes files whatever their permissions are"),
    (Level::Medium, "MKNOD", "makes device files"),
    (Level::Medium, "SETFCAP", "gives files capabilities"),
    (Level::Medium, "PERFMON", "watches the kernel and other processes"),
    (Level::Medium, "SYS_TIME", "sets the clock of the machine"),
    (Level::Medium, "CHECKPOINT_RESTORE", "looks into other processes"),
    (Level::Medium, "SYS_CHROOT", "changes what / is"),
];
