//! Records of SELinux (`AVC`, type 1400; `USER_AVC`, type 1107).

use super::{
    Selinux, Stamp, Verdict,
    fields::{fields, subject},
};

/// Reads `avc:  denied  { PERMISSION... } for  FIELDS`; none when contexts or class are missing.
pub(super) fn read(stamp: Stamp, rest: &str, by_program: bool) -> Option<Selinux<'_>> {
    let (verdict, rest) = rest.strip_prefix("avc:")?.trim_start().split_once(' ')?;
    let (permissions, rest) = rest.split_once('{')?.1.split_once('}')?;
    let (mut scontext, mut tcontext, mut tclass) = (None, None, None);
    let (mut permissive, mut path, mut name) = (false, None, None);
    for (key, value) in fields(rest) {
        match key {
            "scontext" => scontext = Some(value.plain()),
            "tcontext" => tcontext = Some(value.plain()),
            "tclass" => tclass = Some(value.plain()),
            "permissive" => permissive = value.plain() == "1",
            "path" => path = Some(value.text()),
            "name" => name = Some(value.text()),
            _ => {}
        }
    }
    let verdict = match (verdict, permissive) {
        ("denied", false) => Verdict::Denied,
        ("denied", true) => Verdict::Allowed,
        ("granted", _) => Verdict::Granted,
        _ => return None,
    };
    Some(Selinux {
        subject: subject(stamp, rest),
        verdict,
        permissions: permissions.split_whitespace().collect(),
        scontext: scontext?,
        tcontext: tcontext?,
        tclass: tclass?,
        permissive,
        path: path.or(name),
        by_program,
    })
}
