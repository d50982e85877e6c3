//! Records of seccomp (type 1326).

use profile::{kinds::seccomp::Arch, syscall};

use super::{
    Seccomp, SeccompAction, Stamp,
    fields::{fields, subject},
};

/// Reads the fields; none when one is missing without which nothing is known.
pub(super) fn read(stamp: Stamp, rest: &str) -> Option<Seccomp<'_>> {
    let (mut arch, mut number, mut code) = (None, None, None);
    for (key, value) in fields(rest) {
        match key {
            "arch" => arch = u32::from_str_radix(value.plain(), 16).ok(),
            "syscall" => number = value.number(),
            "code" => {
                let digits = value.plain().strip_prefix("0x")?;
                code = u32::from_str_radix(digits, 16).ok();
            }
            _ => {}
        }
    }
    let number = number?;
    let audit_arch = arch?;
    let arch = syscall::audit_arch(audit_arch).map(|arch| match arch {
        Arch::X86_64 if number & syscall::X32_BIT != 0 => Arch::X32,
        arch => arch,
    });
    Some(Seccomp {
        subject: subject(stamp, rest),
        action: SeccompAction::of(code?),
        audit_arch,
        arch,
        number,
        syscall: arch.and_then(|arch| syscall::name(arch, number)),
    })
}

impl SeccompAction {
    /// What a code stands for; its lower half is data, such as an error number.
    fn of(code: u32) -> Self {
        match code & 0xffff_0000 {
            0x8000_0000 => Self::KillProcess,
            0x0000_0000 => Self::KillThread,
            0x0003_0000 => Self::Trap,
            0x0005_0000 => Self::Errno,
            0x7fc0_0000 => Self::UserNotif,
            0x7ff0_0000 => Self::Trace,
            0x7ffc_0000 => Self::Log,
            0x7fff_0000 => Self::Allow,
            other => Self::Unknown(other),
        }
    }

    /// As it is written in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KillProcess => "kill_process",
            Self::KillThread => "kill_thread",
            Self::Trap => "trap",
            Self::Errno => "errno",
            Self::UserNotif => "user_notif",
            Self::Trace => "trace",
            Self::Log => "log",
            Self::Allow => "allow",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether the call did not happen.
    pub fn denies(self) -> bool {
        matches!(self, Self::KillProcess | Self::KillThread | Self::Trap | Self::Errno)
    }
}
