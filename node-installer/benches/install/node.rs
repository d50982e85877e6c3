//! A node below a folder, with many manifests.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_cinch-node-installer");

/// About as many calls as a server needs.
const CALLS: &str = "accept4, access, arch_prctl, bind, brk, clock_gettime, clone, clone3, close, connect, dup2, epoll_create1, \
                     epoll_ctl, epoll_pwait, execve, exit, exit_group, fcntl, fstat, futex, getdents64, getegid, geteuid, \
                     getgid, getpid, getppid, getrandom, getsockname, getsockopt, gettid, getuid, ioctl, listen, lseek, \
                     madvise, mmap, mprotect, munmap, nanosleep, newfstatat, openat, pipe2, poll, pread64, prlimit64, \
                     pwrite64, read, readlink, recvfrom, recvmsg, rseq, rt_sigaction, rt_sigprocmask, rt_sigreturn, \
                     sched_yield, sendmsg, sendto, set_robust_list, set_tid_address, setsockopt, shutdown, sigaltstack, \
                     socket, statx, sysinfo, tgkill, uname, unlink, wait4, write, writev";

/// A node and its manifests, a file for each profile.
#[derive(Debug)]
pub(crate) struct Node {
    folder: TempDir,
}

/// Number and time of change of each file.
pub(crate) type Stamps = BTreeMap<PathBuf, (u64, i64, i64)>;

impl Node {
    pub(crate) fn with(count: usize) -> Self {
        let node = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(node.folder.path().join("manifests")).unwrap();
        for number in 0..count {
            node.write(number, "umask");
        }
        node
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, number: usize) -> PathBuf {
        self.seccomp().join(format!("profile-{number:05}.json"))
    }

    fn seccomp(&self) -> PathBuf {
        self.path("root/var/lib/kubelet/seccomp/operator")
    }

    /// Writes a manifest that allows one more call.
    pub(crate) fn write(&self, number: usize, call: &str) {
        let text = manifest(number, call);
        let path = self.path("manifests").join(format!("{number:05}.yaml"));
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--mechanisms", "seccomp", "--log", "warn", "--root"]);
        command.arg(self.path("root")).arg("--manifests").arg(self.path("manifests"));
        command.stdout(Stdio::null());
        command
    }

    /// Installs all that is there to install.
    pub(crate) fn once(&self) {
        assert!(self.command().arg("--once").status().unwrap().success());
    }

    /// All files of profiles.
    pub(crate) fn stamps(&self) -> Stamps {
        let entries = std::fs::read_dir(self.seccomp()).unwrap().map(|entry| entry.unwrap().path());
        let stamp = |path: PathBuf| {
            let meta = std::fs::symlink_metadata(&path).unwrap();
            (path, (meta.ino(), meta.ctime(), meta.ctime_nsec()))
        };
        entries.map(stamp).collect()
    }
}

/// A manifest that allows one more call.
pub(crate) fn manifest(number: usize, call: &str) -> String {
    format!(
        "apiVersion: security-profiles-operator.x-k8s.io/v1
kind: SeccompProfile
metadata: {{name: profile-{number:05}}}
spec:
  defaultAction: SCMP_ACT_ERRNO
  architectures: [SCMP_ARCH_X86_64]
  syscalls:
  - {{names: [{CALLS}, {call}], action: SCMP_ACT_ALLOW}}
  - {{names: [personality], action: SCMP_ACT_ALLOW, args: [{{index: 0, value: {number}, op: SCMP_CMP_EQ}}]}}
"
    )
}
