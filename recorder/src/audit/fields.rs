//! Fields of a record: `key=value`, `key="value"`, or `key=HEX` where a value has bytes that would need quoting.

use std::borrow::Cow;

use super::{Stamp, Subject};

/// Ends the part that auditd adds with names for numbers (`log_format = ENRICHED`).
const ENRICHED: char = '\u{1d}';

/// A value as it stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Quoted(&'a str),
    Bare(&'a str),
}

impl<'a> Value<'a> {
    /// The value of a field that holds a text which a program chose: unquoted, it is hexadecimal.
    pub(super) fn text(self) -> Cow<'a, str> {
        match self {
            Self::Quoted(text) => Cow::Borrowed(text),
            Self::Bare(text) => unhex(text).map_or(Cow::Borrowed(text), Cow::Owned),
        }
    }

    /// The address of a unix socket: behind the `@` of one in no file system, the whole is hexadecimal if there are control
    /// characters in it (`audit_unix_addr` of the kernel's `security/apparmor/net.c`).
    pub(super) fn address(self) -> Option<Cow<'a, str>> {
        let name = match self {
            Self::Bare("none") => return None,
            Self::Quoted(text) => text.strip_prefix('@'),
            Self::Bare(_) => None,
        };
        match name.and_then(unhexed) {
            Some(name) if name.contains(char::is_control) => Some(Cow::Owned(format!("@{name}"))),
            _ => Some(self.text()),
        }
    }

    /// The value as it stands.
    pub(super) fn plain(self) -> &'a str {
        match self {
            Self::Quoted(text) | Self::Bare(text) => text,
        }
    }

    /// A decimal number.
    pub(super) fn number(self) -> Option<u32> {
        self.plain().parse().ok()
    }
}

/// All fields; what is none is passed over.
pub(super) fn fields(mut rest: &str) -> impl Iterator<Item = (&str, Value<'_>)> {
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\n', ENRICHED]);
            if rest.is_empty() {
                return None;
            }
            let end = rest.find(['=', ' ', ENRICHED]).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            let Some(after) = after.strip_prefix('=') else {
                rest = after;
                continue;
            };
            if let Some(quoted) = after.strip_prefix('"') {
                // Without its end it was cut off, and is no value.
                let Some((value, next)) = quoted.split_once('"') else {
                    rest = "";
                    continue;
                };
                rest = next;
                return Some((key, Value::Quoted(value)));
            }
            let end = after.find([' ', ENRICHED, '\n']).unwrap_or(after.len());
            let (value, next) = after.split_at(end);
            rest = next;
            return Some((key, Value::Bare(value)));
        }
    })
}

/// Takes in the fields that every record may have.
pub(super) fn subject(stamp: Stamp, rest: &str) -> Subject<'_> {
    let mut subject = Subject { stamp, ..Subject::default() };
    for (key, value) in fields(rest) {
        match key {
            "pid" => subject.pid = value.number(),
            "comm" => subject.comm = Some(value.text()),
            "exe" => subject.exe = Some(value.text()),
            "uid" | "fsuid" => subject.uid = value.number(),
            "gid" => subject.gid = value.number(),
            _ => {}
        }
    }
    subject
}

/// The text that upper-case hexadecimal digits stand for, without a trailing NUL.
fn unhex(text: &str) -> Option<String> {
    let mut text = unhexed(text)?;
    if text.ends_with('\0') {
        text.pop();
    }
    Some(text)
}

/// All of that text; bytes that are no UTF-8 are replaced.
fn unhexed(text: &str) -> Option<String> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    };
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(2) {
        return None;
    }
    let decoded: Option<Vec<u8>> =
        bytes.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    Some(String::from_utf8_lossy(&decoded?).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_quoted_bare_or_hexadecimal() {
        let all: Vec<_> = fields("a=1  b=\"x y\" c=2F746D70 d e=(null)\u{1d}ARCH=x86_64").collect();
        assert_eq!(
            all,
            [
                ("a", Value::Bare("1")),
                ("b", Value::Quoted("x y")),
                ("c", Value::Bare("2F746D70")),
                ("e", Value::Bare("(null)")),
                ("ARCH", Value::Bare("x86_64")),
            ]
        );
        assert_eq!(all[2].1.text(), "/tmp");
        assert_eq!(Value::Bare("(null)").text(), "(null)");
        assert_eq!(Value::Quoted("2F").text(), "2F", "quoted is as it stands");
    }

    #[test]
    fn addresses_are_names_paths_or_hexadecimal_as_a_whole() {
        for (value, right) in [
            (Value::Bare("none"), None),
            (Value::Quoted("@/tmp/.X11-unix/X0"), Some("@/tmp/.X11-unix/X0")),
            (Value::Quoted("@00a3f"), Some("@00a3f")),
            (Value::Quoted("@ABCD"), Some("@ABCD")),
            (Value::Quoted("@6100620000"), Some("@a\0b\0\0")),
            (Value::Quoted("/run/x"), Some("/run/x")),
            (Value::Bare("2F746D7020"), Some("/tmp ")),
        ] {
            assert_eq!(value.address().as_deref(), right, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn what_the_kernel_encodes_is_read_back(text in "\\PC{1,40}") {
            let hex = text.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"));
            let line = format!("comm={hex} pid=5");
            let subject = subject(Stamp::default(), &line);
            prop_assert_eq!(subject.comm.as_deref(), Some(&*text));
            prop_assert_eq!(subject.pid, Some(5));
        }

        #[test]
        fn no_line_makes_it_panic(line in "\\PC{0,200}") {
            let _read = crate::audit::parse(&line);
            let line = format!("type=1400 audit(1.2:3): apparmor=\"DENIED\" {line}");
            let _read = crate::audit::parse(&line);
            let line = format!("type=1400 audit(1.2:3): avc:  denied  {{ {line}");
            let _read = crate::audit::parse(&line);
        }
    }
}
