//! Lines as kernels and auditd have written them, each with what must come out of it.

use recorder::audit::{Record, Verdict, parse};

const LINES: &str = include_str!("fixtures/audit-lines.tsv");

/// A record as the fixture writes it: `kind=seccomp action=log ...`.
fn told(record: Option<&Record<'_>>) -> Vec<(&'static str, String)> {
    let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
    let verdict = |verdict: Verdict| match verdict {
        Verdict::Denied => "denied".to_owned(),
        Verdict::Allowed => "allowed".to_owned(),
        Verdict::Granted => "granted".to_owned(),
        Verdict::Status => "status".to_owned(),
    };
    match record {
        None => vec![("kind", "none".to_owned())],
        Some(Record::Lost(count) | Record::LostInAll(count)) => {
            vec![("kind", "lost".to_owned()), ("count", count.to_string())]
        }
        Some(Record::Seccomp(record)) => vec![
            ("kind", "seccomp".to_owned()),
            ("action", record.action.as_str().to_owned()),
            (
                "arch",
                record
                    .arch
                    .map_or("-", |arch| match arch.as_str() {
                        "SCMP_ARCH_X86_64" => "x86_64",
                        "SCMP_ARCH_X86" => "i386",
                        other => other,
                    })
                    .to_owned(),
            ),
            ("syscall", text(record.syscall)),
            ("pid", record.subject.pid.unwrap_or_default().to_string()),
            ("exe", text(record.subject.exe.as_deref())),
        ],
        Some(Record::AppArmor(record)) => vec![
            ("kind", "apparmor".to_owned()),
            ("verdict", verdict(record.verdict)),
            ("operation", record.operation.to_string()),
            ("profile", text(record.profile.as_deref())),
            ("name", text(record.name.as_deref())),
            ("comm", text(record.subject.comm.as_deref())),
            ("requested", text(record.requested.as_deref())),
            ("family", text(record.family.as_deref())),
            ("sock_type", text(record.sock_type.as_deref())),
            ("capability", text(record.capability.as_deref())),
            ("peer", text(record.peer.as_deref())),
            ("fstype", text(record.fstype.as_deref())),
        ],
        Some(Record::Selinux(record)) => vec![
            ("kind", "selinux".to_owned()),
            // The fixture calls denied what would have been, and says permissive beside it.
            (
                "verdict",
                if record.verdict == Verdict::Granted { "granted" } else { "denied" }.to_owned(),
            ),
            ("perms", record.permissions.join(",")),
            ("stype", record.stype().to_owned()),
            ("ttype", record.ttype().to_owned()),
            ("tclass", record.tclass.to_owned()),
            ("permissive", u8::from(record.permissive).to_string()),
            ("source", if record.by_program { "user" } else { "kernel" }.to_owned()),
        ],
    }
}

/// The pairs that are expected, without the remarks in brackets.
fn expected(text: &str) -> Vec<(&str, String)> {
    let text = text.split(" (").next().unwrap_or(text);
    // The only value with a space in it is quoted.
    let (mut pairs, mut rest) = (Vec::new(), text);
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        pairs.push((key, value.to_owned()));
        rest = next;
    }
    pairs
}

#[test]
fn every_line_is_read_as_it_should_be() {
    let mut lines = 0;
    for line in LINES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (line, right) = line.split_once('\t').expect("a line, a tab, what must come out");
        let told = told(parse(line).as_ref());
        for (key, value) in expected(right) {
            let found = told.iter().find(|(told, _)| *told == key);
            assert_eq!(found.map(|(_, value)| value), Some(&value), "{key} of {line}");
        }
        lines += 1;
    }
    assert!(lines >= 21, "the fixture has been read: {lines}");
}
