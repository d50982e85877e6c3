//! What is said of a command when it has ended. Pure.

use std::fmt::Write as _;

use profile::kinds::seccomp::Arch;
use recorder::learned;
use serde::Serialize;

use super::denied::{Denied, Line};

/// What is known of a command at its end.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report<'a> {
    pub(crate) command: Vec<String>,
    pub(crate) profile: &'a str,
    /// Its exit code, 128 and the signal's number when one has ended it.
    pub(crate) exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signal: Option<&'static str>,
    /// Why denied calls are not known; none when they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unknown: Option<String>,
    /// Why some calls are not known whose action is to kill or to trap; none when all of them are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) untold: Option<String>,
    pub(crate) denied: Vec<Line<'a>>,
    /// Calls beyond the number that is told apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) others: u64,
    /// Processes that go on under the filter.
    pub(crate) left: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl<'a> Report<'a> {
    pub(crate) fn denied(&mut self, denied: &'a Denied) {
        self.denied = denied.lines();
        self.others = denied.others;
    }

    /// As people read it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut say = |line: std::fmt::Arguments<'_>| {
            // Writing to a String does not fail.
            writeln!(text, "cinch: {line}").unwrap_or_default();
        };
        if let Some(why) = &self.unknown {
            say(format_args!("which calls were denied is not known: {why}"));
        }
        match &self.denied[..] {
            [] if self.unknown.is_some() => {}
            [] if self.untold.is_some() => {
                say(format_args!(
                    "the profile {} is not known to have denied anything",
                    self.profile
                ));
            }
            [] => say(format_args!("the profile {} denied nothing", self.profile)),
            lines => {
                say(format_args!("the profile {} denied:", self.profile));
                let rows: Vec<_> = lines.iter().map(row).collect();
                let width = |of: fn(&Row) -> &str| rows.iter().map(|r| of(r).chars().count()).max();
                let (calls, errors) = (width(|row| &row.call), width(|row| &row.error));
                let (calls, errors) = (calls.unwrap_or_default(), errors.unwrap_or_default());
                for Row { call, error, count, by } in &rows {
                    say(format_args!("  {call:calls$}  {error:errors$}  {count:>6}  {by}"));
                }
            }
        }
        if self.others > 0 {
            say(format_args!("  and {} calls with other numbers", self.others));
        }
        if let Some(why) = &self.untold {
            say(format_args!("not all calls are known whose action is to kill or to trap: {why}"));
        }
        if let Some(signal) = self.signal {
            let why = if signal == "SIGSYS" {
                ", as calls are whose action is to kill or to trap"
            } else {
                ""
            };
            say(format_args!("the command was ended by {signal}{why}"));
        }
        if self.left {
            say(format_args!(
                "processes that it has left go on under the profile, and what they are denied is not reported"
            ));
        }
        text
    }
}

struct Row {
    call: String,
    error: String,
    count: u64,
    by: String,
}

fn row(line: &Line<'_>) -> Row {
    let by = line.by.iter().map(|(name, count)| match (line.by.len(), count) {
        (1, _) => name.clone(),
        (_, count) => format!("{name} {count}"),
    });
    Row {
        call: shown(&line.call, &line.architecture),
        error: line.error.clone(),
        count: line.count,
        by: by.collect::<Vec<_>>().join(", "),
    }
}

/// A call, with its architecture where that is not the machine's.
pub(crate) fn shown(call: &str, architecture: &str) -> String {
    if architecture == Arch::to_string(&learned::machine()) {
        call.to_owned()
    } else {
        format!("{call} ({})", architecture.trim_start_matches("SCMP_ARCH_").to_lowercase())
    }
}

/// What a signal is called.
pub(crate) fn signal_name(number: i32) -> &'static str {
    match number {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGSYS => "SIGSYS",
        _ => "a signal",
    }
}

#[cfg(test)]
mod tests {
    use filter::Call;
    use recorder::audit::SeccompAction;

    use super::{super::denied::Answer, *};

    fn report() -> Report<'static> {
        Report {
            command: vec!["sh".to_owned()],
            profile: "web",
            exit_code: 0,
            signal: None,
            unknown: None,
            untold: None,
            denied: Vec::new(),
            others: 0,
            left: false,
        }
    }

    #[test]
    fn what_was_denied_is_a_line_for_each_call() {
        let mut denied = Denied::default();
        let arch = 0xc000_003e;
        for (number, arch, name) in
            [(83, arch, "sh"), (83, arch, "mkdir"), (165, arch, "sh"), (21, 0x4000_0003, "old")]
        {
            denied.add(&Call { number, arch, ..Call::default() }, Answer::Errno(1), 7, name);
        }
        let mut report = report();
        report.denied(&denied);
        let text = report.text();
        let lines: Vec<_> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines[0].join(" "), "cinch: the profile web denied:");
        assert_eq!(lines[1].join(" "), "cinch: mkdir EPERM 2 mkdir 1, sh 1");
        if learned::machine() == Arch::X86_64 {
            assert_eq!(lines[2].join(" "), "cinch: mount (x86) EPERM 1 old");
            assert_eq!(lines[3].join(" "), "cinch: mount EPERM 1 sh");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["denied"][0]["first"]["args"][0], "0x0");
        assert_eq!((&json["exitCode"], json.get("unknown")), (&0.into(), None));
    }

    #[test]
    fn it_says_so_when_there_is_nothing_to_say() {
        assert_eq!(report().text(), "cinch: the profile web denied nothing\n");
        let unknown = Report { unknown: Some("it is so".to_owned()), ..report() };
        assert_eq!(unknown.text(), "cinch: which calls were denied is not known: it is so\n");
        let killed = Report { signal: Some("SIGSYS"), ..report() };
        assert!(killed.text().contains("whose action is to kill"));
        let untold = Report { untold: Some("it is so".to_owned()), ..report() };
        assert_eq!(
            untold.text(),
            "cinch: the profile web is not known to have denied anything\n\
             cinch: not all calls are known whose action is to kill or to trap: it is so\n"
        );
    }

    #[test]
    fn a_call_that_killed_is_a_line_like_others_without_what_is_not_known_of_it() {
        let mut denied = Denied::default();
        let answer = Answer::Action(SeccompAction::KillProcess);
        denied.add(&Call { number: 83, arch: 0xc000_003e, ..Call::default() }, answer, 7, "sh");
        let unknown = Some("it is so".to_owned());
        let mut report = Report { unknown, ..report() };
        report.denied(&denied);
        let json = serde_json::to_value(&report).unwrap();
        let line = &json["denied"][0];
        assert_eq!((&line["call"], &line["error"]), (&"mkdir".into(), &"KILL_PROCESS".into()));
        assert_eq!((line.get("errno"), line["first"].get("args")), (None, None));
        let text = report.text();
        assert!(
            text.starts_with("cinch: which calls were denied is not known: it is so\n"),
            "{text}"
        );
        assert!(text.contains("KILL_PROCESS       1  sh"), "{text}");
    }
}
