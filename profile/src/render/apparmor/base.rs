//! The rules that every profile made of `abstract` has, whatever its author wrote. Pure.

/// What any program needs to start, to be looked at and to be stopped, and what no container gets by too wide a glob.
pub(super) fn lines(name: &str, complain: bool) -> Vec<String> {
    let mut lines: Vec<String> = NEEDED.iter().copied().map(str::to_owned).collect();
    lines.extend([
        "# Processes of the container among themselves.".to_owned(),
        format!("signal peer=\"{name}\","),
        format!("ptrace (read) peer=\"{name}\","),
        format!("unix peer=(label=\"{name}\"),"),
    ]);
    // The kernel enforces a deny rule in complain mode too.
    if !complain {
        lines.extend(GUARDS.iter().copied().map(str::to_owned));
    }
    lines
}

const NEEDED: [&str; 36] = [
    "# The dynamic loader and libraries: without them nothing starts.",
    "\"/{,usr/}lib{,32,64,x32}/**\" r,",
    "\"/{,usr/}lib{,32,64,x32}/**.so*\" mr,",
    "\"/etc/ld.so.cache\" mr,",
    "\"/etc/ld.so.{conf,preload}\" r,",
    "\"/etc/ld.so.conf.d/{,*.conf}\" r,",
    "\"/etc/ld-musl-*.path\" r,",
    "# Language and time zone.",
    "\"/etc/{localtime,locale.alias}\" r,",
    "\"/etc/locale/**\" r,",
    "\"/usr/share/{locale,zoneinfo}/{,**}\" r,",
    "# Devices that a runtime puts into every container, and the terminal that it may give.",
    "\"/dev/{null,zero,full,tty,console}\" rw,",
    "\"/dev/{random,urandom}\" r,",
    "\"/dev/pts/{ptmx,[0-9]*}\" rw,",
    "# What C libraries and language runtimes ask about their process and the machine.",
    "\"@{PROC}/{cpuinfo,filesystems,meminfo,stat}\" r,",
    "\"@{PROC}/sys/kernel/{cap_last_cap,ngroups_max,osrelease,version}\" r,",
    "\"@{PROC}/sys/crypto/*\" r,",
    "\"@{PROC}/sys/vm/overcommit_memory\" r,",
    "\"@{PROC}/@{pid}/{auxv,cgroup,maps,mountinfo,stat,status}\" r,",
    "\"@{PROC}/@{pid}/attr/{,apparmor/}current\" r,",
    "\"/sys/devices/system/cpu/{,online,possible}\" r,",
    "\"/sys/fs/cgroup/{,**}\" r,",
    "\"/sys/kernel/mm/transparent_hugepage/{enabled,hpage_pmd_size}\" r,",
    "# The runtime stops the container: unconfined, or under the profile that a distribution has for it.",
    "signal (receive) peer=\"unconfined\",",
    "signal (receive) peer=\"{runc,crun,crio,podman,containerd*,dockerd}\",",
    "signal (receive) peer=\"/usr/{,local/}{,s}bin/{runc,crun,crio,conmon*,podman,containerd*,dockerd}\",",
    "# Whether a process is there.",
    "signal (receive, send) set=(exists),",
    "# Whoever looks in or debugs needs the right to do so under a profile of its own.",
    "ptrace (readby, tracedby),",
    "# Sockets of its own; with whom it speaks is another matter.",
    "unix (create, getattr, getopt, setopt, shutdown),",
    "unix (receive, send) peer=(label=\"unconfined\"),",
];

const GUARDS: [&str; 7] = [
    "# Ways out of a container, whatever else is allowed.",
    "deny \"@{PROC}/*\" w,",
    "deny \"@{PROC}/{acpi,asound,bus,driver,dynamic_debug,fs,irq,pressure,scsi,sysvipc,tty}/**\" w,",
    "deny \"@{PROC}/sys/[^k]**\" w,",
    "deny \"@{PROC}/sys/kernel/{[^s],s[^h],sh[^m]}**\" w,",
    "deny \"@{PROC}/{kcore,kmem,mem,sysrq-trigger}\" rwklx,",
    "deny \"/sys/{firmware/efi/efivars,kernel/security}/**\" rwklx,",
];
