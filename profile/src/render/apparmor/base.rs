//! The rules that every profile made of `abstract` has. Pure.

/// What a program needs whatever it is for, and what no container should get by a rule that is too wide.
pub(super) fn lines(name: &str, complain: bool) -> Vec<String> {
    let mut lines: Vec<String> = START.iter().map(|line| (*line).to_owned()).collect();
    lines.extend([
        "# The container's own processes.".to_owned(),
        format!("signal peer=\"{name}\","),
        format!("ptrace (read, readby) peer=\"{name}\","),
        format!("unix peer=(label=\"{name}\"),"),
    ]);
    // A deny rule is enforced in complain mode too.
    if !complain {
        lines.extend(GUARDS.iter().map(|line| (*line).to_owned()));
    }
    lines
}

const START: [&str; 35] = [
    "# The dynamic loader and libraries: without them nothing starts.",
    "/{,usr/}lib{,32,64,x32}/** mr,",
    "/{,usr/}lib{,32,64,x32}/**.so* mr,",
    "/etc/ld.so.cache mr,",
    "/etc/ld.so.{conf,preload} r,",
    "/etc/ld.so.conf.d/{,*.conf} r,",
    "/etc/ld-musl-*.path r,",
    "# Language and time zone.",
    "/etc/{localtime,locale.alias} r,",
    "/usr/share/{locale,zoneinfo,i18n}/** r,",
    "/usr/{lib,share}/locale/** r,",
    "# Devices that the runtime puts into every container, and the terminal it may give.",
    "/dev/{null,zero,full,tty,console} rw,",
    "/dev/{random,urandom} r,",
    "/dev/pts/{ptmx,[0-9]*} rw,",
    "# What C libraries and language runtimes read of the process itself and of the machine.",
    "@{PROC}/{cpuinfo,filesystems,loadavg,meminfo,stat,uptime,version} r,",
    "@{PROC}/sys/kernel/{cap_last_cap,ngroups_max,osrelease,version} r,",
    "@{PROC}/sys/vm/overcommit_memory r,",
    "@{PROC}/{self,thread-self,@{pid}}/ r,",
    "@{PROC}/@{pid}/{auxv,cgroup,cmdline,comm,maps,mountinfo,mounts,stat,statm,status} r,",
    "@{PROC}/@{pid}/{fd,task}/ r,",
    "@{PROC}/@{pid}/task/@{pid}/{comm,stat,status} r,",
    "/sys/devices/system/cpu/{online,possible} r,",
    "/sys/kernel/mm/transparent_hugepage/{enabled,hpage_pmd_size} r,",
    "# The runtime stops the container: it is unconfined, or has a profile of its own from Debian and Ubuntu.",
    "signal (receive) peer=unconfined,",
    "signal (receive) peer={runc,crun,containerd,containerd-shim*,crio,podman,docker*},",
    "signal (receive) peer=\"/usr/{,local/}{,s}bin/{runc,crun,containerd*,crio,conmon*,podman,dockerd}\",",
    "# Whether a process is alive is asked by many programs, and tells no more than /proc does.",
    "signal (send, receive) set=(exists),",
    "# Debuggers and tools of the node may look in; they need the right to do so themselves.",
    "ptrace (readby, tracedby) peer=unconfined,",
    "# Sockets inherited from the runtime; to connect to another program is another matter.",
    "unix (create, getattr, getopt, setopt, shutdown),",
];

const GUARDS: [&str; 10] = [
    "# Ways out of a container, whatever else is allowed.",
    "deny @{PROC}/* w,",
    "deny @{PROC}/sys/[^k]** w,",
    "deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,",
    "deny @{PROC}/{kcore,kmem,mem,sysrq-trigger} rwklx,",
    "deny /sys/firmware/efi/efivars/** rwklx,",
    "deny /sys/kernel/security/** rwklx,",
    "deny /sys/kernel/debug/** rwklx,",
    "deny /sys/fs/bpf/** wklx,",
    "deny /dev/{mem,kmem,port} rwklx,",
];
