//! Records of AppArmor (type 1400, or `AVC` as auditd calls it, or 1501 to 1507).

use std::borrow::Cow;

use super::{
    AppArmor, Stamp, Verdict,
    fields::{fields, subject},
};

/// Reads the fields; none when it does not even say what it is about.
pub(super) fn read(stamp: Stamp, rest: &str) -> Option<AppArmor<'_>> {
    let mut record = AppArmor {
        subject: subject(stamp, rest),
        verdict: Verdict::Status,
        operation: Cow::Borrowed(""),
        profile: None,
        name: None,
        requested: None,
        denied: None,
        target: None,
        peer: None,
        signal: None,
        capability: None,
        family: None,
        sock_type: None,
        protocol: None,
        addr: None,
        peer_addr: None,
        fstype: None,
        srcname: None,
        flags: None,
        class: None,
        info: None,
    };
    for (key, value) in fields(rest) {
        let text = || Some(value.text());
        // Of a small set that never needs quoting: what looks like hexadecimal is none.
        let plain = || Some(Cow::Borrowed(value.plain()));
        match key {
            "apparmor" => {
                record.verdict = match value.plain() {
                    "DENIED" => Verdict::Denied,
                    "ALLOWED" => Verdict::Allowed,
                    "AUDIT" => Verdict::Granted,
                    _ => Verdict::Status,
                }
            }
            "operation" => record.operation = Cow::Borrowed(value.plain()),
            "profile" => record.profile = text(),
            "name" => record.name = text(),
            // Of sockets, newer kernels name them without `_mask`.
            "requested_mask" | "requested" => record.requested = plain(),
            "denied_mask" | "denied" => record.denied = plain(),
            "target" => record.target = text(),
            "peer" => record.peer = text(),
            "signal" => record.signal = plain(),
            "capname" => record.capability = plain(),
            "family" => record.family = plain(),
            "sock_type" => record.sock_type = plain(),
            "protocol" => record.protocol = value.number(),
            "addr" => record.addr = value.address(),
            "peer_addr" => record.peer_addr = value.address(),
            "fstype" => record.fstype = text(),
            "srcname" => record.srcname = text(),
            "flags" => record.flags = plain(),
            "class" => record.class = plain(),
            "info" => record.info = plain(),
            _ => {}
        }
    }
    (!record.operation.is_empty()).then_some(record)
}
