//! Waits for the end of what is recorded, and shows how it goes.

use std::{
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use recorder::seen::Seen;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::target::Target;
use crate::signals::{self, Signal, Signals};

/// After this, what was not seen will not be.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often is looked how it goes, and at once when the command ends.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long is waited in silence for what the command has left.
const SILENCE: Duration = Duration::from_secs(1);

/// How many processes are named that are waited for.
const NAMED: usize = 3;

/// What tells what a target does: programs in the kernel, or lines of a log.
pub(super) trait Source {
    /// Takes in what is new.
    fn look(&mut self, target: &Target) -> anyhow::Result<()>;

    /// Whether the target was there when it was looked at last, or before.
    fn began(&self) -> bool;

    /// The processes of the target that there are now.
    fn processes(&self) -> Vec<u32>;

    /// What was seen until now.
    fn seen(&self) -> &Seen;

    /// The SELinux type that the target ran under when it was looked at last.
    fn selinux_type(&self) -> Option<&str>;

    /// What has told of it, in lines for people.
    fn how(&self) -> Vec<String> {
        Vec::new()
    }

    /// What could not be recorded, in lines for people.
    fn lost(&self) -> Vec<String>;
}

/// How it ended.
pub(super) struct Followed {
    /// How the command has ended, where it has.
    pub(super) ended: Option<ExitStatus>,
    /// Processes that go on, and are not recorded any more.
    pub(super) left: Vec<u32>,
}

/// Looks again and again, until there is nothing more to see, the time is over, or somebody stops it.
pub(super) fn follow(
    source: &mut dyn Source,
    target: &mut Target,
    duration: Option<Duration>,
    signals: &Signals,
) -> anyhow::Result<Followed> {
    let started = Instant::now();
    let (mut newest, mut known) = (started, 0);
    let mut ended: Option<(ExitStatus, Instant)> = None;
    let (mut line, mut stop) = (Line::new(), Stop::default());
    loop {
        while let Some(signal) = signals.next() {
            if stop.hear(signal, target, ended.is_some()) {
                line.say("ending with the command; Ctrl-C again ends this at once")?;
            }
        }
        // Before the source is looked at: what ends in between has done all that it does.
        ended = ended.or(target.ended()?.map(|status| (status, Instant::now())));
        let (began, left) = (source.began(), source.processes());
        source.look(target)?;
        if source.seen().len() != known {
            (known, newest) = (source.seen().len(), Instant::now());
        }
        let status = ended.map(|(status, _)| status);
        let none_left = began && left.is_empty();
        let over = duration.is_some_and(|duration| started.elapsed() >= duration);
        let done = match (&*target, status) {
            (Target::Command(_), None) => false,
            (Target::Command(_), Some(_)) => none_left || (stop.asked && source.began()),
            _ => none_left || stop.asked,
        };
        if over || done || stop.now {
            line.clear()?;
            if !source.began() {
                bail!("nothing of it was seen");
            }
            return Ok(Followed { ended: status, left });
        }
        if ended.is_some() && !source.began() && started.elapsed() > PATIENCE {
            bail!("the command has ended, and nothing of it was seen");
        }
        let waiting = ended.is_some_and(|(_, at)| at.elapsed() > SILENCE).then(|| names(&left));
        let text = state(source.seen(), left.len(), newest.elapsed(), began, waiting.as_deref());
        line.show(&text)?;
        if let Some(names) = &waiting {
            line.say_once(&format!(
                "the command has ended; waiting for {names} (Ctrl-C ends that)"
            ))?;
        }
        match poll(&mut [PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)], Some(&LOOK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait"),
        }
    }
}

/// Whether somebody wants an end.
#[derive(Debug, Default)]
struct Stop {
    /// When the command has ended, or at once where there is none.
    asked: bool,
    /// At once.
    now: bool,
}

impl Stop {
    /// Takes in a signal, and hands it on to the command. True when that is waited for now.
    fn hear(&mut self, signal: Signal, target: &Target, ended: bool) -> bool {
        let child = target.process().filter(|_| !ended);
        if let Some(child) = child
            && signal.is_for(child)
        {
            signals::send(signal.number, child);
        }
        let ends = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP];
        if !ends.contains(&signal.number) {
            return false;
        }
        self.now |= self.asked;
        self.asked = true;
        child.is_some() && !self.now
    }
}

/// The line on a terminal that is written again and again.
struct Line {
    terminal: bool,
    said: bool,
}

impl Line {
    fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), said: false }
    }

    fn show(&self, text: &str) -> anyhow::Result<()> {
        if self.terminal {
            let columns = rustix::termios::tcgetwinsize(io::stderr());
            let columns = columns.map_or(0, |size| usize::from(size.ws_col));
            let text = if columns > 1 {
                text.chars().take(columns - 1).collect()
            } else {
                text.to_owned()
            };
            put(&format!("\r{text}\x1b[K"))?;
        }
        Ok(())
    }

    fn clear(&self) -> anyhow::Result<()> {
        if self.terminal { put("\r\x1b[K") } else { Ok(()) }
    }

    /// Says something that stays.
    fn say(&self, text: &str) -> anyhow::Result<()> {
        self.clear()?;
        put(&format!("{text}\n"))
    }

    /// Says something where it could not be seen otherwise.
    fn say_once(&mut self, text: &str) -> anyhow::Result<()> {
        if self.terminal || std::mem::replace(&mut self.said, true) {
            Ok(())
        } else {
            self.say(text)
        }
    }
}

fn put(text: &str) -> anyhow::Result<()> {
    io::stderr().write_all(text.as_bytes()).context("cannot print")
}

/// Some processes by name and number.
pub(super) fn names(processes: &[u32]) -> String {
    let name = |process: &u32| {
        let comm = std::fs::read(format!("/proc/{process}/comm")).unwrap_or_default();
        let shown: String = String::from_utf8_lossy(&comm)
            .trim_end()
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        format!("{shown}[{process}]")
    };
    let mut names: Vec<_> = processes.iter().take(NAMED).map(name).collect();
    if processes.len() > NAMED {
        names.push(format!("{} others", processes.len() - NAMED));
    }
    names.join(", ")
}

/// What the live line says.
fn state(
    seen: &Seen,
    processes: usize,
    quiet: Duration,
    began: bool,
    waiting: Option<&str>,
) -> String {
    if !began {
        return "waiting for it to begin".to_owned();
    }
    let counts = [
        (processes, "process", "es"),
        (seen.called().count(), "call", "s"),
        (seen.files().len(), "file", "s"),
        (seen.others().count(), "other access", "es"),
        (seen.permissions().count(), "permission", "s"),
    ];
    let shown = counts.into_iter().filter(|(count, name, _)| *count > 0 || *name == "process");
    let mut parts: Vec<_> = shown
        .map(|(count, name, more)| format!("{count} {name}{}", if count == 1 { "" } else { more }))
        .collect();
    parts.push(format!("nothing new for {} s", quiet.as_secs()));
    if let Some(names) = waiting {
        parts.push(format!("the command has ended, waiting for {names}"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use profile::kinds::seccomp::Arch;

    use super::*;

    #[test]
    fn the_live_line_tells_what_there_is() {
        let mut seen = Seen::default();
        let quiet = Duration::from_secs(7);
        assert_eq!(state(&seen, 0, quiet, false, None), "waiting for it to begin");
        seen.call(Arch::X86_64, 0);
        assert_eq!(state(&seen, 3, quiet, true, None), "3 processes, 1 call, nothing new for 7 s");
        seen.call(Arch::X86_64, 1);
        assert_eq!(
            state(&seen, 1, quiet, true, Some("nginx[7]")),
            "1 process, 2 calls, nothing new for 7 s, the command has ended, waiting for nginx[7]"
        );
    }

    #[test]
    fn the_first_key_asks_and_the_second_ends() {
        let key = Signal { number: libc::SIGINT, sender: None };
        let target = Target::Namespace(1);
        let mut stop = Stop::default();
        let child = Signal { number: libc::SIGCHLD, sender: None };
        assert!(!stop.hear(child, &target, false) && !stop.asked);
        assert!(!stop.hear(key, &target, false) && stop.asked && !stop.now);
        assert!(!stop.hear(key, &target, false) && stop.now);
    }
}
