//! `cinch record`: runs a command, or looks at a container, tells how it goes, writes profiles.

use std::{
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ExitCode, ExitStatus},
};

use anyhow::{Context as _, bail};
use recorder::learned;
use rustix::fs::{Access, access};

use crate::{
    args::{Format, KindFlag, RecordFlags, RecorderFlag},
    executable::NotRun,
    signals::Signals,
};
use bpf::Bpf;
use follow::{Followed, Source, follow, names};
use logs::Logs;
use target::Target;
use write::Recorded;

mod bpf;
mod follow;
mod logs;
mod target;
mod user;
mod write;

/// Records until the command and its children have ended, the time is over, or somebody stops it.
pub(crate) fn record(flags: &RecordFlags) -> anyhow::Result<ExitCode> {
    // What would be of no use at the end is refused at the beginning.
    if flags.format == Format::Raw && flags.kind == KindFlag::All {
        bail!("--format raw is for one kind of profile: say which by --kind");
    }
    if let Some(path) = &flags.output {
        can_be_written(path)?;
    }
    let signals = Signals::listen().context("cannot listen for signals")?;
    let mut source: Box<dyn Source> = match flags.recorder {
        RecorderFlag::Bpf => Box::new(Bpf::start(flags)?),
        RecorderFlag::Logs => Box::new(Logs::start()?),
    };
    let (mut target, name) = match Target::of(flags, signals.before()) {
        Ok(found) => found,
        Err(error) => match error.downcast_ref::<NotRun>() {
            Some(not_run) => return not_run.tell(),
            None => return Err(error),
        },
    };
    if !matches!(target, Target::Command(_)) {
        let shown = flags.container.as_ref().unwrap_or(&name);
        writeln!(io::stderr(), "recording {shown}; Ctrl-C ends it").context("cannot print")?;
    }
    let Followed { ended, left } = follow(&mut *source, &mut target, flags.duration, &signals)?;
    // Whoever does not want to wait until all is written may say so.
    signals.restore().context("cannot listen for signals")?;
    let name = flags.name.clone().unwrap_or_else(|| learned::object_name(&name));
    let recorded = Recorded::of(flags, &name, source.seen(), source.selinux_type());
    let text = recorded.text(flags.format)?;
    match &flags.output {
        Some(path) => std::fs::write(path, &text)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => io::stdout().write_all(text.as_bytes()).context("cannot print")?,
    }
    let mut said = recorded.summary(source.seen());
    said.extend(source.how());
    said.extend(source.lost());
    if !left.is_empty() && matches!(target, Target::Command(_)) {
        said.push(format!("not recorded any more, and still running: {}", names(&left)));
    }
    writeln!(io::stderr(), "{}", said.join("\n")).context("cannot print")?;
    Ok(ExitCode::from(ended.map_or(0, code)))
}

/// The code that a shell would give.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}

/// Whether there will be a place for the profile.
fn can_be_written(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let there = if path.exists() { path } else { folder.unwrap_or_else(|| Path::new(".")) };
    access(there, Access::WRITE_OK).with_context(|| format!("cannot write {}", path.display()))
}
