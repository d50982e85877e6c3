//! Waits for the end of what is recorded, and shows how it goes.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use recorder::seen::Seen;

use super::target::Target;

/// After this, what was not seen will not be.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often is looked how it goes.
const LOOK: Duration = Duration::from_millis(100);

/// What tells what a target does: programs in the kernel, or lines of a log.
pub(super) trait Source {
    /// Takes in what is new.
    fn look(&mut self, target: &Target) -> anyhow::Result<()>;

    /// Whether the target was there when it was looked at last, or before.
    fn began(&self) -> bool;

    /// How many processes of the target there are now.
    fn processes(&self) -> usize;

    /// What was seen until now.
    fn seen(&self) -> &Seen;
}

/// How it ended.
pub(super) struct Followed {
    /// The command's exit code, where it has ended.
    pub(super) ended: Option<i32>,
}

/// Looks again and again, until there is nothing more to see, the time is over, or somebody stops it.
pub(super) fn follow(
    source: &mut dyn Source,
    target: &mut Target,
    duration: Option<Duration>,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<Followed> {
    let started = Instant::now();
    let (mut newest, mut known, mut ended) = (started, 0, None);
    let line = std::io::stderr().is_terminal();
    loop {
        // Before the source is looked at: what ends in between has done all that it does.
        ended = ended.or(target.ended()?);
        let (began, left) = (source.began(), source.processes());
        source.look(target)?;
        if source.seen().len() != known {
            (known, newest) = (source.seen().len(), Instant::now());
        }
        if line {
            let text = state(source.seen(), left, newest.elapsed());
            write!(std::io::stderr(), "\r{text}\x1b[K").context("cannot print")?;
        }
        let over = duration.is_some_and(|duration| started.elapsed() >= duration);
        let none_left = began && left == 0;
        let done = none_left && (ended.is_some() || !matches!(target, Target::Command(_)));
        if over || done || stop() {
            if line {
                write!(std::io::stderr(), "\r\x1b[K").context("cannot print")?;
            }
            if !source.began() {
                bail!("nothing of it was seen");
            }
            return Ok(Followed { ended: ended.and_then(|status| status.code()) });
        }
        if ended.is_some() && !source.began() && started.elapsed() > PATIENCE {
            bail!("the command has ended, and nothing of it was seen");
        }
        std::thread::park_timeout(LOOK);
    }
}

/// What the live line says.
fn state(seen: &Seen, processes: usize, quiet: Duration) -> String {
    let mut parts = vec![format!("{processes} processes")];
    let counts = [
        (seen.called().count(), "calls"),
        (seen.files().len(), "files"),
        (seen.others().count(), "other accesses"),
        (seen.permissions().count(), "permissions"),
    ];
    let shown = counts.into_iter().filter(|(count, _)| *count > 0);
    parts.extend(shown.map(|(count, what)| format!("{count} {what}")));
    parts.push(format!("nothing new for {} s", quiet.as_secs()));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use profile::kinds::seccomp::Arch;

    use super::*;

    #[test]
    fn the_live_line_tells_what_there_is() {
        let mut seen = Seen::default();
        seen.call(Arch::X86_64, 0);
        seen.call(Arch::X86_64, 1);
        assert_eq!(
            state(&seen, 3, Duration::from_secs(7)),
            "3 processes, 2 calls, nothing new for 7 s"
        );
    }
}
