//! What a runtime itself calls between installing a container's filter and starting its program: without these calls a
//! container cannot start, however little its program does. Measured with runc 1.1 and crun 1.8. Pure.

/// A container runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    #[default]
    Runc,
    Crun,
    /// The profile is for something else, such as a command that is started under it.
    None,
}

const RUNC: [&str; 30] = [
    "capget",
    "capset",
    "chdir",
    "close",
    "epoll_ctl",
    "epoll_pwait",
    "execve",
    "faccessat2",
    "fcntl",
    "fstat",
    "fstatfs",
    "futex",
    "getcwd",
    "getdents64",
    "getpid",
    "getppid",
    "mmap",
    "nanosleep",
    "newfstatat",
    "openat",
    "prctl",
    "read",
    "rt_sigreturn",
    "sched_yield",
    "setgid",
    "setgroups",
    "setuid",
    "sigaltstack",
    "tgkill",
    "write",
];

const CRUN: [&str; 9] = [
    "capset",
    "close",
    "execve",
    "prctl",
    "rt_sigaction",
    "rt_sigprocmask",
    "setresgid",
    "setresuid",
    "write",
];

impl Base {
    /// The calls, sorted.
    pub fn calls(self) -> &'static [&'static str] {
        match self {
            Self::Runc => &RUNC,
            Self::Crun => &CRUN,
            Self::None => &["execve"],
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use profile::{kinds::seccomp::Arch, syscall};

    use super::*;

    #[test]
    fn every_call_is_one_and_none_is_named_twice() {
        for base in [Base::Runc, Base::Crun, Base::None] {
            assert!(base.calls().is_sorted_by(|one, next| one < next), "{base:?}");
            for name in base.calls() {
                assert!(syscall::number(Arch::X86_64, name).is_some(), "{name}");
            }
        }
    }
}
