//! Any bytes as a datagram of netlink and as a log: never a panic, and what is made of records keeps its word.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recorder::{
    audit::{Record, parse, parse_message},
    logs::{
        file::lines::{LONGEST, Lines, Told},
        netlink::message::messages,
        violation::Rule,
    },
    seen::{Access, Seen, Ways},
};

fuzz_target!(|bytes: &[u8]| {
    for message in messages(bytes) {
        for kind in [message.kind, 1326, 1400, 1107] {
            parse_message(kind, &message.text).iter().for_each(check);
        }
    }
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    take(&[bytes], &mut whole);
    let middle = bytes.len() / 2;
    take(&[&bytes[..middle], &bytes[middle..]], &mut pieces);
    assert_eq!(whole, pieces, "lines do not depend on how they come");
    for line in &whole {
        parse(&String::from_utf8_lossy(line)).iter().for_each(check);
    }
});

fn take(pieces: &[&[u8]], all: &mut Vec<Vec<u8>>) {
    let mut lines = Lines::default();
    for piece in pieces {
        lines.take(piece, &mut |told| {
            if let Told::Line(line) = told {
                assert!(!line.is_empty() && line.len() <= LONGEST);
                all.push(line.to_vec());
            }
        });
    }
}

fn check(record: &Record<'_>) {
    let mut seen = Seen::default();
    match record {
        Record::Seccomp(record) => {
            if let Some((arch, number)) = record.call() {
                seen.call(arch, number);
            }
        }
        Record::AppArmor(record) => {
            for access in record.accesses() {
                if let Access::File { path, ways } = &access {
                    assert!(path.starts_with('/') && *ways != Ways::default(), "{access:?}");
                }
                seen.access(access);
            }
        }
        Record::Selinux(record) => {
            for permission in record.permitted() {
                seen.permission(permission);
            }
        }
        Record::Lost(_) | Record::LostInAll(_) => {}
    }
    if let Some(rule) = Rule::of(record) {
        assert!(rule.what.chars().count() <= 256);
    }
}
