//! Why nothing can be recorded.

use std::{io, path::PathBuf};

use aya::{EbpfError, maps::MapError, pin::PinError, programs::ProgramError};

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("this program was built without clang, and so without what records in the kernel")]
    Empty,
    #[error(
        "recording needs the capabilities CAP_BPF and CAP_PERFMON, or to be root: the kernel refused to load the programs"
    )]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot load the programs into the kernel")]
    Load(#[source] Box<EbpfError>),
    #[error("cannot attach {program}")]
    Attach { program: &'static str, source: Box<ProgramError> },
    #[error("the programs have no {0}: they and this program are of different versions")]
    Different(&'static str),
    #[error("SELinux is not on in this kernel: there is nothing to record for it")]
    NoSelinux,
    #[error(
        "the kernel does not tell where it has the names of SELinux's permissions: that takes CAP_SYSLOG, \
         kernel.kptr_restrict below 2, and a kernel that lists its variables (CONFIG_KALLSYMS_ALL); or record from logs"
    )]
    Unnamed,
    #[error("cannot read what was recorded")]
    Read(#[source] io::Error),
    #[error(
        "{} is in no BPF file system, and nothing can be pinned there: mount one, as by mount -t bpf bpf /sys/fs/bpf",
        .0.display()
    )]
    NotBpffs(PathBuf),
    #[error("cannot use {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot pin {}", path.display())]
    Pin { path: PathBuf, source: Box<PinError> },
    #[error("cannot make the pinned map {} out", path.display())]
    Map { path: PathBuf, source: Box<MapError> },
}

/// Whether the kernel said no for want of a capability.
pub(super) fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>()
            // EACCES is what it says when it does not like a program.
            && error.raw_os_error() == Some(libc::EPERM)
        {
            return true;
        }
        next = error.source();
    }
    false
}
