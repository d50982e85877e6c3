//! Where records come from: one source at a time, so that none is told twice.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    file::{FileError, From, LogFile, lines},
    loss::Loss,
    netlink::{self, Netlink, NetlinkError},
};
use crate::audit::{Record, parse, parse_message};

/// Where auditd writes.
pub const AUDIT_LOG: &str = "/var/log/audit/audit.log";

/// Where syslog daemons write what the kernel says, the one with nothing else first.
pub const SYSLOGS: [&str; 3] = ["/var/log/kern.log", "/var/log/syslog", "/var/log/messages"];

/// Why there are no records.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "there is no source of audit records: neither the kernel ({kernel}) nor any of the logs {AUDIT_LOG}, {logs}", logs = SYSLOGS.join(", ")
    )]
    None { kernel: Box<NetlinkError> },
}

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The kernel where that works, else auditd's log, else syslog's.
    #[default]
    Best,
    Netlink,
    File(PathBuf),
}

impl std::str::FromStr for Choice {
    type Err = std::convert::Infallible;

    /// `auto`, `netlink`, or the path of a log.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Best,
            "netlink" => Self::Netlink,
            path => Self::File(path.into()),
        })
    }
}

/// An open source.
#[derive(Debug)]
pub enum Source {
    Netlink(Netlink),
    /// What auditd writes.
    AuditLog(PathBuf, LogFile),
    /// What the kernel's log gives, at a limited rate.
    Syslog(PathBuf, LogFile),
}

/// A record, or that some are missing.
#[derive(Debug)]
pub(super) enum Told<'a> {
    Record(Record<'a>),
    Lost(Loss),
}

impl Source {
    /// Opens what was chosen. `from` is for files alone: the kernel tells of nothing that was.
    pub fn open(choice: &Choice, from: From) -> Result<Self, SourceError> {
        match choice {
            Choice::Netlink => Ok(Self::Netlink(Netlink::listen()?)),
            Choice::File(path) => Ok(Self::file(path, from)?),
            Choice::Best => {
                let kernel = match Netlink::listen() {
                    Ok(netlink) => return Ok(Self::Netlink(netlink)),
                    Err(error) => error,
                };
                tracing::warn!(error = &kernel as &dyn std::error::Error, "reading a log instead");
                let logs = std::iter::once(AUDIT_LOG).chain(SYSLOGS);
                let found = logs.map(|log| Self::file(Path::new(log), from)).find_map(Result::ok);
                found.ok_or_else(|| SourceError::None { kernel: Box::new(kernel) })
            }
        }
    }

    fn file(path: &Path, from: From) -> Result<Self, FileError> {
        let log = LogFile::open(path, from)?;
        Ok(if is_audit_log(path) {
            Self::AuditLog(path.to_owned(), log)
        } else {
            Self::Syslog(path.to_owned(), log)
        })
    }

    /// What it is, and what it may not tell, for whoever looks after this.
    pub fn describe(&self) -> String {
        match self {
            Self::Netlink(Netlink { narrow: None, .. }) => "the kernel, by netlink".to_owned(),
            Self::Netlink(Netlink { narrow: Some(bytes), .. }) => format!(
                "the kernel, by netlink, with room for {bytes} bytes only: lines are lost when many come at once; \
                 give CAP_NET_ADMIN, or raise net.core.rmem_max"
            ),
            Self::AuditLog(path, _) => format!("auditd, by {}", path.display()),
            Self::Syslog(path, _) => format!(
                "syslog, by {}: never complete, because the kernel limits the rate at which it logs",
                path.display()
            ),
        }
    }

    /// Whether it tells all there is, as long as it says nothing of losses.
    pub fn is_complete(&self) -> bool {
        !matches!(self, Self::Syslog(..))
    }

    /// Waits until there is something, and tells what is there. Whether there may be more.
    pub(super) fn read(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Told<'_>),
    ) -> Result<bool, SourceError> {
        match self {
            Self::Netlink(netlink) => Ok(netlink.read(patience, &mut |told| match told {
                netlink::Told::Message(message) => {
                    if let Some(record) = parse_message(message.kind, &message.text) {
                        each(Told::Record(record));
                    }
                }
                netlink::Told::Lost(loss) => each(Told::Lost(loss)),
            })?),
            Self::AuditLog(_, log) | Self::Syslog(_, log) => {
                Ok(log.read(patience, &mut |told| match told {
                    lines::Told::Line(line) => {
                        let line = String::from_utf8_lossy(line);
                        if is_kernels(&line)
                            && let Some(record) = parse(&line)
                        {
                            each(Told::Record(record));
                        }
                    }
                    lines::Told::Lost(loss) => each(Told::Lost(loss)),
                })?)
            }
        }
    }
}

/// Whether a line is one of auditd's, or one that a syslog daemon had from the kernel. Any program may send lines to syslog:
/// they have its own name before the first colon.
fn is_kernels(line: &str) -> bool {
    if line.starts_with("type=") || line.starts_with("node=") {
        return true;
    }
    // Times have colons, but none at their end.
    line.split_ascii_whitespace().take(8).find(|word| word.ends_with(':')) == Some("kernel:")
}

/// Whether auditd writes it, by its first line, or by its name as long as there is none.
fn is_audit_log(path: &Path) -> bool {
    let mut first = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| {
        BufReader::new(file.take(lines::LONGEST as u64)).read_until(b'\n', &mut first)
    });
    match read {
        Ok(count) if count > 0 => first.starts_with(b"type=") || first.starts_with(b"node="),
        _ => path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"audit")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_lines_are_believed() {
        for line in [
            "type=SECCOMP msg=audit(1.1:7): x",
            "node=worker-1 type=AVC msg=audit(1.1:7): x",
            "Nov 20 15:00:01 host kernel: [  270.853767] audit: type=1400 audit(1.1:11): x",
            "2026-11-20T15:00:01.123456+00:00 host kernel: audit: type=1400 audit(1.1:11): x",
            "Nov 20 15:00:01 host kernel: [ 3683.829070] kauditd_printk_skb: 10 callbacks suppressed",
        ] {
            assert!(is_kernels(line), "{line}");
        }
        for line in [
            "Nov 20 15:00:01 host evil: kernel: audit: type=1400 audit(1.1:11): x",
            "Nov 20 15:00:01 host evil[7]: type=1400 audit(1.1:11): x",
            "Nov 20 15:00:01 host root: audit: type=1400 audit(1.1:11): x",
        ] {
            assert!(!is_kernels(line), "{line}");
        }
    }

    #[test]
    fn a_log_is_known_by_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let source = Source::open(&Choice::File(path), From::Start).unwrap();
            source.is_complete()
        };
        assert!(log("a", "type=DAEMON_START msg=audit(1.1:1): x\n"));
        assert!(log("audit.log", ""));
        assert!(!log("audit-like", "Nov 20 15:00:01 host kernel: x\n"));
        assert!(!log("syslog", ""));
    }

    #[test]
    fn a_log_that_is_not_there_is_named() {
        let choice = "/nowhere/audit.log".parse().unwrap();
        let error = Source::open(&choice, From::End).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the log /nowhere/audit.log");
    }
}
