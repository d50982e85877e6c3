//! `cinch record`: runs a command, tells how it goes, writes the profile.

use std::{
    io::{IsTerminal as _, Write as _},
    process::{Child, Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use profile::render;
use recorder::{
    apart,
    kernel::{Recording, Slot},
    learned::{self, Learned},
};

use crate::args::{Format, RecordFlags};

/// How often is looked how it goes.
const LOOK: Duration = Duration::from_millis(100);

/// Records until the command and its children have ended, the time is over, or somebody stops it.
pub(crate) fn record(flags: &RecordFlags) -> anyhow::Result<ExitCode> {
    let [program, arguments @ ..] = &flags.command[..] else { bail!("a command is needed") };
    let recording = Recording::start()?;
    let stopped = stop_signal()?;
    let child = apart::start(Command::new(program).args(arguments))
        .with_context(|| format!("cannot run {program}"))?;
    let (slot, ended) = follow(&recording, child, flags.duration, &stopped)?;
    let lost = recording.lost()?;
    let name = flags.name.clone().unwrap_or_else(|| learned::object_name(program));
    let machine = learned::machine();
    // What came before the command's own exec is none of the profile's business.
    let Learned { profile, unnamed } =
        learned::seccomp(&name, &slot.workload, machine, flags.base.into());
    let text = match flags.format {
        Format::Crd => serde_saphyr::to_string(&profile).context("cannot write YAML")?,
        Format::Raw => render::seccomp::render(&name, &profile.spec, &|_| None)?.to_json(),
    };
    match &flags.output {
        Some(path) => std::fs::write(path, &text)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => std::io::stdout().write_all(text.as_bytes()).context("cannot print")?,
    }
    let mut said = vec![format!("{} system calls recorded", slot.workload.len())];
    said.extend(unnamed.iter().map(|(arch, number)| {
        format!("{arch} {number} has no name here and is not in the profile")
    }));
    said.push(match (slot.overflow, lost.namespaces) {
        (0, 0) => "nothing lost".to_owned(),
        (overflow, namespaces) => format!(
            "lost: {overflow} calls with numbers beyond the table, {namespaces} in namespaces without room"
        ),
    });
    let said = said.join("\n");
    writeln!(std::io::stderr(), "{said}").context("cannot print")?;
    Ok(match ended {
        Some(code) if code != 0 => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        _ => ExitCode::SUCCESS,
    })
}

/// Waits, and shows how it goes. Gives what was recorded, and the command's exit code where it has ended.
fn follow(
    recording: &Recording,
    mut child: Child,
    duration: Option<Duration>,
    stopped: &AtomicBool,
) -> anyhow::Result<(Slot, Option<i32>)> {
    let process = child.id();
    let namespace = apart::namespace(process);
    let (started, mut place, mut ended) = (Instant::now(), None, None);
    let (mut calls, mut newest) = (0, Instant::now());
    let line = std::io::stderr().is_terminal();
    loop {
        if place.is_none() {
            place = recording.find(process)?;
        }
        let slot = place.map(|place| recording.slot(place)).transpose()?.flatten();
        if let Some(slot) = &slot
            && slot.workload.len() != calls
        {
            (calls, newest) = (slot.workload.len(), Instant::now());
        }
        if ended.is_none() {
            ended = child.try_wait().context("cannot wait for the command")?;
        }
        let left = namespace.as_deref().map(apart::processes).unwrap_or_default();
        if line {
            let quiet = newest.elapsed().as_secs();
            let text =
                format!("{} processes, {calls} calls, nothing new for {quiet} s", left.len());
            write!(std::io::stderr(), "\r{text}\x1b[K").context("cannot print")?;
        }
        let over = duration.is_some_and(|duration| started.elapsed() >= duration);
        if over || stopped.load(Ordering::Relaxed) || (ended.is_some() && left.is_empty()) {
            if line {
                write!(std::io::stderr(), "\r\x1b[K").context("cannot print")?;
            }
            let slot = match place {
                Some(place) => recording.slot(place)?,
                None => None,
            };
            let slot = slot.context("the command made no system call that was seen")?;
            return Ok((slot, ended.and_then(|status| status.code())));
        }
        std::thread::park_timeout(LOOK);
    }
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
