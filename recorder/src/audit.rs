//! What the audit subsystem says of seccomp, AppArmor and SELinux, whoever has written the line down. Pure.

use std::borrow::Cow;

use profile::kinds::seccomp::Arch;

pub use line::{Stamp, parse, parse_message};

mod apparmor;
mod fields;
mod line;
mod seccomp;
mod seen;
mod selinux;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    Seccomp(Seccomp<'a>),
    AppArmor(Box<AppArmor<'a>>),
    Selinux(Selinux<'a>),
    /// The kernel has dropped so many lines.
    Lost(u64),
    /// The kernel has dropped so many since it was started.
    LostInAll(u64),
}

/// Who did something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    pub stamp: Stamp,
    /// As the host counts processes; not every line has it.
    pub pid: Option<u32>,
    /// The name of the task, of at most 15 bytes.
    pub comm: Option<Cow<'a, str>>,
    /// The path of the executable, as the container sees it.
    pub exe: Option<Cow<'a, str>>,
    /// Who it ran as; of files, as whom they were used.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// A system call on which a filter did more than to let it pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seccomp<'a> {
    pub subject: Subject<'a>,
    pub action: SeccompAction,
    /// The architecture as the record has it, `AUDIT_ARCH_…` of the kernel's `linux/audit.h`.
    pub audit_arch: u32,
    /// None for one that is not known here.
    pub arch: Option<Arch>,
    /// The number, on that architecture.
    pub number: u32,
    /// The name; none where the number is not known here.
    pub syscall: Option<&'static str>,
}

/// What the kernel did (`SECCOMP_RET_…` in its `linux/seccomp.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeccompAction {
    KillProcess,
    KillThread,
    Trap,
    Errno,
    UserNotif,
    Trace,
    Log,
    Allow,
    Unknown(u32),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It did not happen.
    Denied,
    /// It happened, although the profile does not allow it: the profile complains only, or the domain is permissive.
    Allowed,
    /// It happened as the policy allows, and was logged because the policy asks for that.
    Granted,
    /// Something else that AppArmor has to say, such as that a profile was loaded.
    Status,
}

/// What AppArmor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppArmor<'a> {
    pub subject: Subject<'a>,
    pub verdict: Verdict,
    pub operation: Cow<'a, str>,
    pub profile: Option<Cow<'a, str>>,
    /// The path, where it is about one.
    pub name: Option<Cow<'a, str>>,
    /// Masks such as `rw`, of what was asked for and of what was denied.
    pub requested: Option<Cow<'a, str>>,
    pub denied: Option<Cow<'a, str>>,
    /// The profile that an executed program would get, such as `NAME//null-/usr/bin/id`.
    pub target: Option<Cow<'a, str>>,
    pub peer: Option<Cow<'a, str>>,
    pub signal: Option<Cow<'a, str>>,
    /// Without `CAP_`, in lower case.
    pub capability: Option<Cow<'a, str>>,
    pub family: Option<Cow<'a, str>>,
    pub sock_type: Option<Cow<'a, str>>,
    pub protocol: Option<u32>,
    /// Of a unix socket, its own address and that of whom it speaks to: `@` and a name, or a path.
    pub addr: Option<Cow<'a, str>>,
    pub peer_addr: Option<Cow<'a, str>>,
    pub fstype: Option<Cow<'a, str>>,
    pub srcname: Option<Cow<'a, str>>,
    pub flags: Option<Cow<'a, str>>,
    pub class: Option<Cow<'a, str>>,
    /// Why, where that is not plain: `failed mntpnt match`.
    pub info: Option<Cow<'a, str>>,
}

/// What SELinux says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selinux<'a> {
    pub subject: Subject<'a>,
    pub verdict: Verdict,
    pub permissions: Vec<&'a str>,
    /// Who asked: a context `USER:ROLE:TYPE[:LEVEL]`.
    pub scontext: &'a str,
    /// For what.
    pub tcontext: &'a str,
    pub tclass: &'a str,
    pub permissive: bool,
    pub path: Option<Cow<'a, str>>,
    /// A program decided it, and not the kernel.
    pub by_program: bool,
}

impl Record<'_> {
    /// When the kernel wrote it; none of what is no record of anybody's.
    pub fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Seccomp(record) => Some(record.subject.stamp),
            Self::AppArmor(record) => Some(record.subject.stamp),
            Self::Selinux(record) => Some(record.subject.stamp),
            Self::Lost(_) | Self::LostInAll(_) => None,
        }
    }

    /// The process that it is about, as the host counts.
    pub fn process(&self) -> Option<u32> {
        match self {
            Self::Seccomp(record) => record.subject.pid,
            Self::AppArmor(record) => record.subject.pid,
            Self::Selinux(record) => record.subject.pid.filter(|_| !record.by_program),
            Self::Lost(_) | Self::LostInAll(_) => None,
        }
    }
}

impl<'a> Selinux<'a> {
    /// The type of who asked.
    pub fn stype(&self) -> &'a str {
        type_of(self.scontext)
    }

    /// The type of what was asked for.
    pub fn ttype(&self) -> &'a str {
        type_of(self.tcontext)
    }

    /// Whether it was about the process's own type.
    pub fn is_self(&self) -> bool {
        self.stype() == self.ttype()
    }
}

/// The type in a context; the context itself when it is none.
fn type_of(context: &str) -> &str {
    context.split(':').nth(2).unwrap_or(context)
}
