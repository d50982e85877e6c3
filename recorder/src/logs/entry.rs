//! A record as one JSON object. Where the Security Profiles Operator's enricher has a name for something, it has that. Pure.

use profile::kinds::seccomp::Arch;
use serde::Serialize;

use super::{
    names::Name,
    origin::{Origin, Unknown},
};
use crate::audit::{AppArmor, Record, Seccomp, Selinux, Subject, Verdict};

/// One line. What is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, as RFC 3339 has it, to the millisecond.
    pub timestamp: String,
    /// As in the log: `SECONDS.MILLIS:SERIAL`.
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// seccomp, apparmor or selinux.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub node: String,
    #[serde(flatten)]
    pub name: Option<Name>,
    #[serde(rename = "containerID", skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Why nobody knows whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    #[serde(flatten)]
    pub what: What,
    /// How many like this one were left out before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<u64>,
}

/// What each mechanism says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum What {
    #[default]
    Nothing,
    #[serde(rename_all = "camelCase")]
    Seccomp {
        action: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        arch: Option<&'static str>,
        #[serde(rename = "syscallID")]
        syscall_id: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        syscall_name: Option<&'static str>,
    },
    AppArmor(Box<Confined>),
    #[serde(rename_all = "camelCase")]
    Selinux {
        action: &'static str,
        perm: String,
        scontext: String,
        tcontext: String,
        tclass: String,
        permissive: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Decided by a program, and not by the kernel.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        by_program: bool,
    },
}

/// What AppArmor says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confined {
    /// DENIED, ALLOWED, AUDIT or STATUS.
    pub apparmor: &'static str,
    pub action: &'static str,
    pub operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_mask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_mask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sock_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fstype: Option<String>,
    #[serde(rename = "extra_info", skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
}

impl Entry {
    /// The record of a node as an entry, still without names. None for what is no record of anybody's.
    pub fn of(record: &Record<'_>, origin: &Origin, node: &str) -> Option<Self> {
        let (kind, subject, what) = match record {
            Record::Seccomp(record) => ("seccomp", &record.subject, What::of_seccomp(record)),
            Record::AppArmor(record) => ("apparmor", &record.subject, What::of_apparmor(record)),
            Record::Selinux(record) => ("selinux", &record.subject, What::of_selinux(record)),
            Record::Lost(_) | Record::LostInAll(_) => return None,
        };
        let Subject { stamp, pid, comm, exe, uid, gid } = subject;
        let unknown = match origin {
            Origin::Known(_) => None,
            Origin::Unknown(why) => Some(Unknown::name(*why)),
        };
        Some(Self {
            timestamp: rfc3339(stamp.millis),
            audit_id: format!(
                "{}.{:03}:{}",
                stamp.millis / 1000,
                stamp.millis % 1000,
                stamp.serial
            ),
            kind,
            node: node.to_owned(),
            name: None,
            container_id: origin.container().map(|container| container.id.clone()),
            unknown,
            executable: exe.as_ref().map(ToString::to_string),
            comm: comm.as_ref().map(ToString::to_string),
            pid: *pid,
            uid: *uid,
            gid: *gid,
            what,
            suppressed: None,
        })
    }
}

impl What {
    fn of_seccomp(record: &Seccomp<'_>) -> Self {
        Self::Seccomp {
            action: record.action.as_str(),
            arch: record.arch.map(Arch::as_str),
            syscall_id: record.number,
            syscall_name: record.syscall,
        }
    }

    fn of_apparmor(record: &AppArmor<'_>) -> Self {
        let text =
            |text: &Option<std::borrow::Cow<'_, str>>| text.as_ref().map(ToString::to_string);
        Self::AppArmor(Box::new(Confined {
            apparmor: match record.verdict {
                Verdict::Denied => "DENIED",
                Verdict::Allowed => "ALLOWED",
                Verdict::Granted => "AUDIT",
                Verdict::Status => "STATUS",
            },
            action: record.verdict.name(),
            operation: record.operation.to_string(),
            profile: text(&record.profile),
            name: text(&record.name),
            requested_mask: text(&record.requested),
            denied_mask: text(&record.denied),
            target: text(&record.target),
            peer: text(&record.peer),
            signal: text(&record.signal),
            capability: text(&record.capability),
            family: text(&record.family),
            sock_type: text(&record.sock_type),
            fstype: text(&record.fstype),
            info: text(&record.info),
        }))
    }

    fn of_selinux(record: &Selinux<'_>) -> Self {
        Self::Selinux {
            action: record.verdict.name(),
            perm: record.permissions.join(" "),
            scontext: record.scontext.to_owned(),
            tcontext: record.tcontext.to_owned(),
            tclass: record.tclass.to_owned(),
            permissive: record.permissive,
            name: record.path.as_ref().map(ToString::to_string),
            by_program: record.by_program,
        }
    }
}

/// A time as RFC 3339 has it, in UTC.
pub fn rfc3339(millis: u64) -> String {
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    // Years that begin in March, eras of 400 of them: H. Hinnant, "chrono-compatible low-level date algorithms".
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, more) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + more;
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{audit::parse, cgroup::Container, logs::origin::Place};

    fn told(line: &str, origin: &Origin) -> Value {
        let mut entry = Entry::of(&parse(line).unwrap(), origin, "worker").unwrap();
        entry.name = origin.container().map(|_| Name {
            namespace: "shop".into(),
            pod: "cart-0".into(),
            container: "web".into(),
        });
        serde_json::to_value(entry).unwrap()
    }

    fn in_container() -> Origin {
        let container = Some(Container { pod: None, id: "abc".into() });
        Origin::Known(Arc::new(Place { container, ..Place::default() }))
    }

    #[test]
    fn times_are_dates() {
        for (millis, right) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_001, "2000-02-29T12:34:56.001Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(millis), right);
        }
    }

    #[test]
    fn a_call_is_told_with_its_names() {
        let line = "type=1326 audit(1795189972.225:405009): auid=4294967295 uid=33 gid=34 ses=4294967295 pid=2657 comm=\"seclog\" \
                    exe=\"/usr/bin/seclog\" sig=0 arch=c000003e syscall=110 compat=0 ip=0x7f30c7187829 code=0x7ffc0000";
        assert_eq!(
            told(line, &in_container()),
            json!({
                "timestamp": "2026-11-20T15:52:52.225Z", "auditID": "1795189972.225:405009",
                "type": "seccomp", "node": "worker",
                "namespace": "shop", "pod": "cart-0", "container": "web", "containerID": "abc",
                "executable": "/usr/bin/seclog", "comm": "seclog", "pid": 2657, "uid": 33, "gid": 34,
                "action": "log", "arch": "SCMP_ARCH_X86_64", "syscallID": 110, "syscallName": "getppid",
            })
        );
    }

    #[test]
    fn an_access_is_told_as_far_as_it_is_known() {
        let line = r#"audit: type=1400 audit(1795193002.593:5): apparmor="DENIED" operation="open" profile="dm" name="/etc/passwd" pid=107 comm="perl" requested_mask="r" denied_mask="r" fsuid=0 ouid=0"#;
        assert_eq!(
            told(line, &Origin::Unknown(Unknown::Gone)),
            json!({
                "timestamp": "2026-11-20T16:43:22.593Z", "auditID": "1795193002.593:5",
                "type": "apparmor", "node": "worker", "unknown": "gone",
                "comm": "perl", "pid": 107, "uid": 0,
                "apparmor": "DENIED", "action": "denied", "operation": "open", "profile": "dm",
                "name": "/etc/passwd", "requestedMask": "r", "deniedMask": "r",
            })
        );
    }

    #[test]
    fn permissions_are_told_with_both_contexts() {
        let line = "type=1400 audit(1.1:24): avc:  denied  { write open } for  pid=142 comm=\"sh\" path=\"/tmp/x/yes\" dev=\"vda\" ino=7991 \
                    scontext=u:r:my.process:s0 tcontext=u:object_r:user_tmp_t:s0 tclass=file permissive=1";
        let told = told(line, &in_container());
        assert_eq!(told["perm"], "write open");
        assert_eq!(told["scontext"], "u:r:my.process:s0");
        assert_eq!(told["tcontext"], "u:object_r:user_tmp_t:s0");
        assert_eq!(told["tclass"], "file");
        assert_eq!(told["permissive"], true);
        assert_eq!(told["action"], "allowed", "it happened");
        assert_eq!(told["name"], "/tmp/x/yes");
    }
}
