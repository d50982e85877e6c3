//! `cinch record`: runs a command, or looks at a container, tells how it goes, writes profiles.

use std::{
    io::Write as _,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use recorder::learned;

use crate::args::{RecordFlags, RecorderFlag};
use bpf::Bpf;
use follow::{Followed, Source as _, follow};
use target::Target;
use write::Recorded;

mod bpf;
mod follow;
mod target;
mod write;

/// Records until the command and its children have ended, the time is over, or somebody stops it.
pub(crate) fn record(flags: &RecordFlags) -> anyhow::Result<ExitCode> {
    let mut source = match flags.recorder {
        RecorderFlag::Bpf => Bpf::start(flags)?,
    };
    let stopped = stop_signal()?;
    let (mut target, name) = Target::of(flags)?;
    if !matches!(target, Target::Command(_)) {
        writeln!(std::io::stderr(), "recording {name}; Ctrl-C ends it").context("cannot print")?;
    }
    let stop = || stopped.load(Ordering::Relaxed);
    let Followed { ended } = follow(&mut source, &mut target, flags.duration, &stop)?;
    let name = flags.name.clone().unwrap_or_else(|| learned::object_name(&name));
    let recorded = Recorded::of(flags, &name, source.seen(), source.selinux_type());
    let text = recorded.text(flags.format)?;
    match &flags.output {
        Some(path) => std::fs::write(path, &text)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => std::io::stdout().write_all(text.as_bytes()).context("cannot print")?,
    }
    let mut said = recorded.summary(source.seen());
    said.extend(source.lost());
    writeln!(std::io::stderr(), "{}", said.join("\n")).context("cannot print")?;
    Ok(match ended {
        Some(code) if code != 0 => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        _ => ExitCode::SUCCESS,
    })
}

/// Becomes true at the first Ctrl-C or SIGTERM: the profile of what was seen until then is written.
fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stopped))
            .context("cannot listen for signals")?;
    }
    Ok(stopped)
}
