//! Takes a line apart: what kind of record it is, when it was written, and the rest.

use super::{Record, apparmor, seccomp, selinux};

/// When the kernel wrote a record, by its own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Milliseconds since 1970.
    pub millis: u64,
    /// Records of one event have the same.
    pub serial: u64,
}

/// Reads a line in whatever form, `[audit: ][type=]KIND [msg=]audit(SECONDS.MILLIS:SERIAL): REST` after whatever the log
/// puts before it: of the kernel's log, of netlink (number first), of auditd, of syslog. None when it is
/// about something else, or is cut off.
pub fn parse(line: &str) -> Option<Record<'_>> {
    let Some(place) = line.find(AUDIT) else { return lost(line) };
    let (before, after) = (&line[..place], &line[place + AUDIT.len()..]);
    let before = before.strip_suffix("msg=").unwrap_or(before).trim_end();
    let kind = before.rsplit(' ').next()?;
    body(kind.strip_prefix("type=").unwrap_or(kind), after)
}

/// Reads a message of netlink: its type is a number beside it, and it begins with `audit(`.
pub fn parse_message(kind: u16, text: &str) -> Option<Record<'_>> {
    let kind = match kind {
        1326 => "SECCOMP",
        1107 => "USER_AVC",
        1400 | 1500..=1599 => "AVC",
        _ => return None,
    };
    body(kind, text.strip_prefix(AUDIT)?)
}

/// What a record has before its stamp.
const AUDIT: &str = "audit(";

/// Reads `SECONDS.MILLIS:SERIAL): REST`.
fn body<'a>(kind: &str, after: &'a str) -> Option<Record<'a>> {
    let (stamp, rest) = stamp(after)?;
    if rest.starts_with("apparmor=") {
        return apparmor::read(stamp, rest).map(|record| Record::AppArmor(Box::new(record)));
    }
    if rest.starts_with("avc:") {
        return selinux::read(stamp, rest, false).map(Record::Selinux);
    }
    match kind {
        "1326" | "SECCOMP" => seccomp::read(stamp, rest).map(Record::Seccomp),
        "1107" | "USER_AVC" => {
            let (_, message) = rest.split_once("msg='")?;
            let message = message.rsplit_once('\'').map_or(message, |(message, _)| message);
            message
                .starts_with("avc:")
                .then(|| selinux::read(stamp, message, true))?
                .map(Record::Selinux)
        }
        _ => None,
    }
}

fn stamp(after: &str) -> Option<(Stamp, &str)> {
    let (stamp, rest) = after.split_once("):")?;
    let (time, serial) = stamp.split_once(':')?;
    let (seconds, millis) = time.split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    let stamp = Stamp {
        millis: seconds.checked_mul(1000)?.checked_add(millis.parse().ok()?)?,
        serial: serial.parse().ok()?,
    };
    Some((stamp, rest.trim_start()))
}

/// How many lines the kernel says that it has dropped, in a line that is no record.
fn lost(line: &str) -> Option<Record<'_>> {
    let number = |text: &str| text.trim().parse().ok();
    if let Some((_, after)) = line.split_once("kauditd_printk_skb: ") {
        return number(after.split_once(" callbacks suppressed")?.0).map(Record::Lost);
    }
    let (_, after) = line.split_once("audit_lost=")?;
    number(after.split(' ').next()?).map(Record::LostInAll)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = r#"apparmor="DENIED" operation="open" profile="p" pid=9"#;

    #[test]
    fn every_form_has_a_kind_and_a_stamp() {
        let stamp = Stamp { millis: 1_795_193_002_593, serial: 5 };
        for form in [
            "audit: type=1400 audit(1795193002.593:5): ",
            "1400 audit(1795193002.593:5): ",
            "type=1400 msg=audit(1795193002.593:5): ",
            "Nov 20 15:00:01 host kernel: [  270.853767] audit: type=1400 audit(1795193002.593:5): ",
        ] {
            let line = form.to_owned() + REST;
            match parse(&line) {
                Some(Record::AppArmor(record)) => assert_eq!(record.subject.stamp, stamp, "{form}"),
                other => panic!("{form}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_message_of_netlink_is_read_as_its_line() {
        let text = format!("audit(1795193002.593:5): {REST}");
        let line = format!("1400 {text}");
        assert!(parse(&line).is_some());
        assert_eq!(parse_message(1400, &text), parse(&line));
        assert_eq!(parse_message(1503, &text), parse(&line), "AppArmor's own numbers");
        let seccomp = "audit(1.1:5): pid=77 arch=c000003e syscall=5 code=0x7ffc0000";
        assert!(matches!(parse_message(1326, seccomp), Some(Record::Seccomp(_))));
        assert_eq!(parse_message(1300, &text), None, "what a call was is another matter");
        assert_eq!(parse_message(1326, &format!("x {seccomp}")), None, "it begins with its stamp");
    }

    #[test]
    fn what_the_kernel_dropped_is_counted() {
        let line = "[ 3683.829070] kauditd_printk_skb: 10 callbacks suppressed";
        assert_eq!(parse(line), Some(Record::Lost(10)));
        let line = "audit: audit_lost=7 audit_rate_limit=0 audit_backlog_limit=64";
        assert_eq!(parse(line), Some(Record::LostInAll(7)));
    }

    #[test]
    fn a_line_that_is_cut_off_is_no_record() {
        let line = "type=SECCOMP msg=audit(1795188532.953:7): auid=1 pid=77 arch=c000003e syscall=5 code=0x7ffc0000";
        for end in 0..line.len() - "code=0x7ffc0000".len() {
            assert_eq!(parse(&line[..end]), None, "{}", &line[..end]);
        }
        assert!(parse(line).is_some());
    }
}
