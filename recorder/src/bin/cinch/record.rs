//! `cinch record`: runs a command, tells how it goes, writes the profile.

use std::{
    io::{IsTerminal as _, Write as _},
    process::{Child, Command, ExitCode, ExitStatus},
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
    kernel::{Recording, Slot, Watch},
    learned::{self, Learned},
};

use crate::args::{Format, RecordFlags};

/// After this, what was not seen will not be.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often is looked how it goes.
const LOOK: Duration = Duration::from_millis(100);

/// What is recorded.
enum Target {
    Command(Child),
    /// The mount namespace with this inode.
    Namespace(u64),
    /// What has this in the name of its cgroup.
    Container(String),
}

/// Records until the command and its children have ended, the time is over, or somebody stops it.
pub(crate) fn record(flags: &RecordFlags) -> anyhow::Result<ExitCode> {
    // What is started here is under no filter.
    let denials = flags.command.is_empty();
    let recording = Recording::start(Watch { calls: true, denials, ..Watch::default() })?;
    let stopped = stop_signal()?;
    let (target, name) = target(flags)?;
    if !matches!(target, Target::Command(_)) {
        writeln!(std::io::stderr(), "recording {name}; Ctrl-C ends it").context("cannot print")?;
    }
    let (slot, ended) = follow(&recording, target, flags.duration, &stopped)?;
    let name = flags.name.clone().unwrap_or_else(|| learned::object_name(&name));
    let lost = recording.lost();
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
    let denied: Vec<_> = slot
        .denied
        .by_name(machine)
        .into_iter()
        .map(|(_, call)| call.map_or_else(|number| number.to_string(), str::to_owned))
        .collect();
    if !denied.is_empty() {
        said.push(format!(
            "refused by the filter that it runs under, and not in the profile: {}",
            denied.join(", ")
        ));
    }
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

/// Finds or starts what is to be recorded, and what it is called.
fn target(flags: &RecordFlags) -> anyhow::Result<(Target, String)> {
    if let Some(process) = flags.pid {
        let namespace = apart::namespace(process)
            .with_context(|| format!("there is no process {process} that may be looked at"))?;
        // A kernel thread is always in the first namespace, also where the first process may not be looked at.
        let host = apart::namespace(2).or_else(|_| apart::namespace(1));
        if host.is_ok_and(|host| host == namespace) {
            bail!(
                "process {process} is one of the host itself, and not of a container: start it by cinch record -- COMMAND"
            );
        }
        let comm = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        return Ok((Target::Namespace(namespace), comm.trim_end().to_owned()));
    }
    if let Some(container) = &flags.container {
        return Ok((Target::Container(container.clone()), container.clone()));
    }
    let [program, arguments @ ..] = &flags.command[..] else { bail!("a command is needed") };
    let child = apart::start(Command::new(program).args(arguments))
        .with_context(|| format!("cannot run {program}"))?;
    Ok((Target::Command(child), program.clone()))
}

impl Target {
    fn is_in(&self, slot: &Slot) -> bool {
        match self {
            Self::Command(child) => slot.first == u64::from(child.id()),
            Self::Namespace(inode) => slot.inode == *inode,
            Self::Container(id) => slot.leaf.contains(id) || slot.parent.contains(id),
        }
    }

    /// The command's exit code, once it has ended.
    fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        match self {
            Self::Command(child) => child.try_wait().context("cannot wait for the command"),
            Self::Namespace(_) | Self::Container(_) => Ok(None),
        }
    }
}

/// Waits, and shows how it goes. Gives what was recorded, and the command's exit code where it has ended.
fn follow(
    recording: &Recording,
    mut target: Target,
    duration: Option<Duration>,
    stopped: &AtomicBool,
) -> anyhow::Result<(Slot, Option<i32>)> {
    let started = Instant::now();
    let (mut place, mut seen, mut ended): (_, Option<Slot>, _) = (None, None, None);
    let mut newest = Instant::now();
    let line = std::io::stderr().is_terminal();
    loop {
        // Before the slot is looked at: what ends in between has made all its calls.
        ended = ended.or(target.ended()?);
        let inode = seen.as_ref().map(|slot| slot.inode);
        let left = inode.map(apart::processes).unwrap_or_default();
        if place.is_none() {
            place = recording.find(|slot| target.is_in(slot))?;
        }
        let slot = place.map(|place| recording.slot(place)).transpose()?.flatten();
        if slot.as_ref().map(|slot| &slot.workload) != seen.as_ref().map(|slot| &slot.workload) {
            newest = Instant::now();
        }
        let calls = slot.as_ref().map_or(0, |slot| slot.workload.len());
        if line {
            let quiet = newest.elapsed().as_secs();
            let text =
                format!("{} processes, {calls} calls, nothing new for {quiet} s", left.len());
            write!(std::io::stderr(), "\r{text}\x1b[K").context("cannot print")?;
        }
        let over = duration.is_some_and(|duration| started.elapsed() >= duration);
        // A container that was seen, and has no process any more.
        let gone = inode.is_some() && left.is_empty();
        let command_ended = ended.is_some() && left.is_empty();
        seen = slot.or(seen);
        let done = match target {
            Target::Command(_) => command_ended && seen.is_some() && inode.is_some(),
            Target::Namespace(_) | Target::Container(_) => gone,
        };
        if over || done || stopped.load(Ordering::Relaxed) {
            if line {
                write!(std::io::stderr(), "\r\x1b[K").context("cannot print")?;
            }
            let slot = seen.context("no system call of it was seen")?;
            return Ok((slot, ended.and_then(|status| status.code())));
        }
        if command_ended && place.is_none() && started.elapsed() > PATIENCE {
            bail!("the command has ended, and no system call of it was seen");
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
