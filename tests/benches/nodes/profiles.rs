//! Profiles as users have them: some hundred calls in a few rules.

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tests::{cluster::Cluster, object};

/// So many requests are under way at a time.
const AT_ONCE: usize = 16;

/// The calls of a usual profile, as manifests of the time name them.
const CALLS: &str = "accept accept4 access arch_prctl bind brk capget capset chdir clock_getres clock_gettime \
    clock_nanosleep clone close connect dup dup2 dup3 epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 execve exit \
    exit_group faccessat fadvise64 fallocate fchmod fchown fcntl fdatasync flock fstat fstatfs fsync ftruncate futex \
    getcwd getdents64 getegid geteuid getgid getgroups getpeername getpgrp getpid getppid getpriority getrandom \
    getresgid getresuid getrlimit getrusage getsockname getsockopt gettid gettimeofday getuid ioctl kill lseek lstat \
    madvise mkdir mmap mprotect mremap munmap nanosleep newfstatat open openat pipe2 poll ppoll prctl pread64 preadv \
    prlimit64 pselect6 pwrite64 read readlink readlinkat readv recvfrom recvmsg rename rmdir rt_sigaction \
    rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity sched_yield select sendfile sendmsg \
    sendto set_robust_list set_tid_address setgid setgroups setitimer setsockopt setuid shutdown sigaltstack socket \
    socketpair splice stat statfs symlink sysinfo tgkill umask uname unlink unlinkat utimensat wait4 waitid write writev";

/// The profile of a number; another `version` changes what it asks for.
pub(crate) fn profile(number: usize, version: usize) -> Value {
    let names: Vec<&str> = CALLS.split_whitespace().collect();
    json!({
        "apiVersion": format!("{}/v1", object::GROUP),
        "kind": "SeccompProfile",
        "metadata": { "name": name(number) },
        "spec": {
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [
                { "names": names, "action": "SCMP_ACT_ALLOW" },
                { "names": ["personality"], "action": "SCMP_ACT_ALLOW",
                  "args": [{ "index": 0, "op": "SCMP_CMP_EQ", "value": version }] },
            ],
        },
    })
}

/// What it is called.
pub(crate) fn name(number: usize) -> String {
    format!("profile-of-an-application-{number}")
}

/// Creates many.
pub(crate) async fn create(cluster: &Cluster, numbers: std::ops::Range<usize>) -> Result<()> {
    let create = async |number| cluster.create(&profile(number, 0)).await.map(drop);
    futures::stream::iter(numbers.map(create)).buffer_unordered(AT_ONCE).try_collect().await
}

/// Changes what one asks for.
pub(crate) async fn change(cluster: &Cluster, number: usize, version: usize) -> Result<()> {
    let object = profile(number, version);
    let at = object::location(&object, "")?;
    cluster.asker().ask("PATCH", &at, Some(&object)).await?.granted()?;
    Ok(())
}
