//! What system calls are for, in groups that a person thinks in. Pure.

use profile::syscall;

/// One group of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Group {
    Files,
    Network,
    Processes,
    Memory,
    Waiting,
    Messages,
    Time,
    Identity,
    Information,
    Administration,
    /// Of other machines, or of old times.
    Rare,
}

impl Group {
    pub(crate) const ALL: [Self; 11] = [
        Self::Files,
        Self::Network,
        Self::Processes,
        Self::Memory,
        Self::Waiting,
        Self::Messages,
        Self::Time,
        Self::Identity,
        Self::Information,
        Self::Administration,
        Self::Rare,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Network => "network",
            Self::Processes => "processes",
            Self::Memory => "memory",
            Self::Waiting => "waiting",
            Self::Messages => "messages",
            Self::Time => "time",
            Self::Identity => "identity",
            Self::Information => "information",
            Self::Administration => "administration",
            Self::Rare => "rare",
        }
    }

    fn names(self) -> &'static str {
        match self {
            Self::Files => FILES,
            Self::Network => NETWORK,
            Self::Processes => PROCESSES,
            Self::Memory => MEMORY,
            Self::Waiting => WAITING,
            Self::Messages => MESSAGES,
            Self::Time => TIME,
            Self::Identity => IDENTITY,
            Self::Information => INFORMATION,
            Self::Administration => ADMINISTRATION,
            Self::Rare => RARE,
        }
    }

    /// The group of a system call; those that nobody knows are rare.
    pub(crate) fn of(call: &str) -> Self {
        named(call)
            .or_else(|| named(plain(call)))
            .or_else(|| named(plain(plain(call))))
            .unwrap_or(Self::Rare)
    }
}

fn named(call: &str) -> Option<Group> {
    Group::ALL.into_iter().find(|group| group.names().split_whitespace().any(|name| name == call))
}

/// The name without what tells one width of numbers from another.
fn plain(call: &str) -> &str {
    let widths = ["_time64", "_64", "64", "32"];
    widths.iter().find_map(|width| call.strip_suffix(width)).unwrap_or(call)
}

/// Whether there is such a call on any architecture that is known here.
pub(crate) fn is_call(name: &str) -> bool {
    syscall::architectures().any(|arch| syscall::number(arch, name).is_some())
}

const FILES: &str = "_llseek access cachestat chdir chmod chown close close_range copy_file_range creat dup dup2 dup3
    faccessat faccessat2 fadvise fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr
    file_getattr file_setattr flistxattr flock fremovexattr fsetxattr fstat fstatat fstatfs fsync ftruncate futimesat
    getcwd getdents getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl io_cancel
    io_destroy io_getevents io_pgetevents io_setup io_submit io_uring_enter io_uring_register io_uring_setup lchown
    lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat
    newfstatat open openat openat2 pread preadv preadv2 pwrite pwritev pwritev2 read readahead readdir readlink readlinkat
    readv removexattr removexattrat rename renameat renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx
    symlink symlinkat sync sync_file_range sync_file_range2 syncfs tee truncate umask unlink unlinkat utime utimensat
    utimes vmsplice write writev";

const NETWORK: &str = "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmsg
    send sendmmsg sendmsg sendto setsockopt shutdown socket socketcall socketpair";

const PROCESSES: &str = "arch_prctl clone clone3 execve execveat exit exit_group fork getpgid getpgrp getpid getppid
    get_robust_list getrlimit ugetrlimit getrusage getpriority getsid gettid get_thread_area ioprio_get ioprio_set kill
    kcmp nice personality pidfd_getfd pidfd_open pidfd_send_signal prctl prlimit process_madvise process_mrelease
    process_vm_readv process_vm_writev ptrace restart_syscall rseq rseq_slice_yield rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list set_thread_area
    set_tid_address setns setpgid setpriority setrlimit setsid sgetmask sigaction sigaltstack signal signalfd signalfd4
    sigpending sigprocmask sigreturn sigsuspend ssetmask tgkill times tkill unshare vfork wait4 waitid waitpid
    landlock_add_rule landlock_create_ruleset landlock_restrict_self";

const MEMORY: &str = "brk get_mempolicy madvise map_shadow_stack mbind membarrier memfd_create memfd_secret migrate_pages
    mincore mlock mlock2 mlockall mmap mmap2 move_pages mprotect mremap mseal msync munlock munlockall munmap pkey_alloc
    pkey_free pkey_mprotect remap_file_pages set_mempolicy set_mempolicy_home_node userfaultfd";

const WAITING: &str = "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 futex
    futex_requeue futex_wait futex_waitv futex_wake _newselect pause poll ppoll pselect6 select";

const MESSAGES: &str = "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv
    msgsnd pipe pipe2 semctl semget semop semtimedop shmat shmctl shmdt shmget";

const TIME: &str = "alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd timerfd_create timerfd_gettime
    timerfd_settime";

const IDENTITY: &str = "capget capset getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid setfsuid setgid
    setgroups setregid setresgid setresuid setreuid setuid lsm_get_self_attr lsm_list_modules lsm_set_self_attr";

const INFORMATION: &str = "getcpu getrandom sysinfo uname riscv_hwprobe listmount listns statmount";

const ADMINISTRATION: &str = "acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module
    fanotify_init fanotify_mark finit_module fsconfig fsmount fsopen fspick init_module ioperm iopl kexec_file_load
    kexec_load keyctl lookup_dcookie modify_ldt mount mount_setattr move_mount name_to_handle_at open_by_handle_at
    open_tree open_tree_attr perf_event_open pivot_root quotactl quotactl_fd reboot request_key setdomainname sethostname
    settimeofday stime swapoff swapon syslog umount umount2 vhangup";

const RARE: &str = "_sysctl afs_syscall arch_specific_syscall bdflush break create_module epoll_ctl_old epoll_wait_old
    ftime get_kernel_syms getpmsg gtty idle lock mpx multiplexer nfsservctl oldfstat oldlstat oldolduname oldstat olduname
    pciconfig_iobase pciconfig_read pciconfig_write prof profil putpmsg query_module riscv_flush_icache rtas
    s390_guarded_storage s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr s390_sthyi security spu_create spu_run
    stty subpage_prot swapcontext switch_endian sys_debug_setcontext sysfs tuxcall ulimit uprobe uretprobe uselib ustat
    vm86 vm86old vserver";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_call_is_in_one_group() {
        let all: Vec<_> =
            Group::ALL.iter().flat_map(|group| group.names().split_whitespace()).collect();
        assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "none is in two");
        let unknown: Vec<_> =
            all.iter().filter(|name| !is_call(name) && !is_call(&format!("{name}64"))).collect();
        assert_eq!(unknown, [&""; 0], "and each is one");
        for arch in syscall::architectures() {
            for call in syscall::names(arch) {
                let known = Group::of(call) != Group::Rare
                    || RARE.split_whitespace().any(|rare| rare == call);
                assert!(known, "{call} of {arch} has no group");
            }
        }
    }
}
