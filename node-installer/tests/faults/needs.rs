//! What a test needs of the machine, and whether it is there.

use std::process::{Command, Stdio};

/// Something that a machine may lack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// Mounts that nobody else sees.
    Mounts,
    /// Kills at system calls.
    Strace,
}

impl Need {
    /// What is missing, in words.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let (probe, missing): (&[&str], _) = match self {
            Self::Mounts => (
                &["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"],
                "needs root and mount namespaces",
            ),
            Self::Strace => (
                &["strace", "-o", "/dev/null", "-e", "inject=fsync:signal=KILL:when=9", "true"],
                "needs strace, and to be let trace",
            ),
        };
        let run = Command::new(probe[0])
            .args(&probe[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        (!run.is_ok_and(|status| status.success())).then_some(missing)
    }
}
