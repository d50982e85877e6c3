//! Numbers of the kernel by the names that AppArmor has for them. Pure.

/// `linux/capability.h`.
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// `linux/socket.h`.
const FAMILIES: [&str; 46] = [
    "unspec",
    "unix",
    "inet",
    "ax25",
    "ipx",
    "appletalk",
    "netrom",
    "bridge",
    "atmpvc",
    "x25",
    "inet6",
    "rose",
    "decnet",
    "netbeui",
    "security",
    "key",
    "netlink",
    "packet",
    "ash",
    "econet",
    "atmsvc",
    "rds",
    "sna",
    "irda",
    "pppox",
    "wanpipe",
    "llc",
    "ib",
    "mpls",
    "can",
    "tipc",
    "bluetooth",
    "iucv",
    "rxrpc",
    "isdn",
    "phonet",
    "ieee802154",
    "caif",
    "alg",
    "nfc",
    "vsock",
    "kcm",
    "qipcrtr",
    "smc",
    "xdp",
    "mctp",
];

/// `linux/net.h`.
const KINDS: [&str; 11] = [
    "unknown",
    "stream",
    "dgram",
    "raw",
    "rdm",
    "seqpacket",
    "dccp",
    "unknown",
    "unknown",
    "unknown",
    "packet",
];

/// `asm-generic/signal.h`, as x86 and Arm have them.
const SIGNALS: [&str; 32] = [
    "exists", "hup", "int", "quit", "ill", "trap", "abrt", "bus", "fpe", "kill", "usr1", "segv",
    "usr2", "pipe", "alrm", "term", "stkflt", "chld", "cont", "stop", "stp", "ttin", "ttou", "urg",
    "xcpu", "xfsz", "vtalrm", "prof", "winch", "io", "pwr", "sys",
];

/// Flags of `mount(2)` by the names of the kernel's `audit_mnt_flags` (`security/apparmor/mount.c`).
const OPTIONS: [(u64, &str); 15] = [
    (1, "ro"),
    (1 << 1, "nosuid"),
    (1 << 2, "nodev"),
    (1 << 3, "noexec"),
    (1 << 4, "sync"),
    (1 << 6, "mand"),
    (1 << 7, "dirsync"),
    (1 << 10, "noatime"),
    (1 << 11, "nodiratime"),
    (1 << 13, "move"),
    (1 << 15, "silent"),
    (1 << 16, "acl"),
    (1 << 21, "relatime"),
    (1 << 23, "iversion"),
    (1 << 24, "strictatime"),
];

/// Those that have another name where all that is mounted below is meant too.
const RECURSIVE: [(u64, [&str; 2]); 5] = [
    (1 << 12, ["bind", "rbind"]),
    (1 << 17, ["unbindable", "runbindable"]),
    (1 << 18, ["private", "rprivate"]),
    (1 << 19, ["slave", "rslave"]),
    (1 << 20, ["shared", "rshared"]),
];

/// `MS_REC`.
const ALL_BELOW: u64 = 1 << 14;

/// `MS_REMOUNT`, `MS_BIND`, `MS_MOVE`.
pub(super) const REMOUNT: u64 = 1 << 5;
pub(super) const BIND: u64 = 1 << 12;
pub(super) const MOVE: u64 = 1 << 13;

/// A capability; a number that has no name is told as one.
pub(super) fn capability(number: u32) -> String {
    name(&CAPABILITIES, number)
}

/// A family of addresses.
pub(super) fn family(number: u32) -> String {
    name(&FAMILIES, number)
}

/// A type of sockets.
pub(super) fn kind(number: u32) -> String {
    name(&KINDS, number)
}

/// A signal.
pub(super) fn signal(number: u32) -> String {
    match number.checked_sub(32) {
        Some(above) => format!("rtmin+{above}"),
        None => name(&SIGNALS, number),
    }
}

/// How something is mounted, sorted.
pub(super) fn options(flags: u64) -> Vec<String> {
    let plain = OPTIONS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, name)| *name);
    let below = usize::from(flags & ALL_BELOW != 0);
    let other =
        RECURSIVE.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, names)| names[below]);
    let mut names: Vec<_> = plain.chain(other).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

fn name(names: &[&str], number: u32) -> String {
    let known = usize::try_from(number).ok().and_then(|number| names.get(number));
    known.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_names_of_the_kernels_headers() {
        let capabilities =
            [(0, "chown"), (21, "sys_admin"), (38, "perfmon"), (40, "checkpoint_restore")];
        for (number, name) in capabilities {
            assert_eq!(capability(number), name);
        }
        assert_eq!(capability(77), "77");
        for (number, name) in [
            (libc::AF_UNIX, "unix"),
            (libc::AF_INET6, "inet6"),
            (libc::AF_NETLINK, "netlink"),
            (libc::AF_PACKET, "packet"),
            (libc::AF_VSOCK, "vsock"),
            (libc::AF_XDP, "xdp"),
        ] {
            assert_eq!(family(number.cast_unsigned()), name);
        }
        for (number, name) in [(libc::SOCK_STREAM, "stream"), (libc::SOCK_SEQPACKET, "seqpacket")] {
            assert_eq!(kind(number.cast_unsigned()), name);
        }
        for (number, name) in [
            (libc::SIGTERM, "term"),
            (libc::SIGSYS, "sys"),
            (libc::SIGCHLD, "chld"),
            (0, "exists"),
            (34, "rtmin+2"),
            (64, "rtmin+32"),
        ] {
            assert_eq!(signal(number.cast_unsigned()), name);
        }
    }

    #[test]
    fn flags_of_mounts_are_words() {
        assert_eq!(options(libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_REMOUNT), ["nosuid", "ro"]);
        assert_eq!(options(libc::MS_BIND | libc::MS_REC), ["rbind"]);
        assert_eq!(options(libc::MS_PRIVATE), ["private"]);
        assert_eq!(options(0), [""; 0]);
    }
}
