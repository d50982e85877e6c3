//! A process is recorded, and what was told of it is taken in.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, io,
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use libtest_mimic::Failed;
use recorder::{
    apart,
    kernel::{Recording, Watch},
    seen::{Access, Ways},
};

/// Says to this program that it is the one that is recorded; what it does and where follow.
pub(crate) const ACT: &str = "--act";

const ACCESSES: Watch = Watch { calls: false, denials: false, accesses: true, permissions: false };

pub(crate) fn ensure(condition: bool, what: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into().into()) }
}

/// Begins to record; why not is told to its end, which is where the kernel says what it does not take.
pub(crate) fn start() -> Result<Recording, Failed> {
    Recording::start(ACCESSES).map_err(|error| {
        let mut text = String::new();
        let mut next: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = next {
            text = format!("{text}: {error}");
            next = error.source();
        }
        let end = text.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
        Failed::from(&text[end..])
    })
}

/// What was told of a folder and what is in it, by name in it, and of everything else.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) files: BTreeMap<String, Ways>,
    pub(crate) elsewhere: BTreeMap<String, Ways>,
    pub(crate) others: BTreeSet<Access>,
}

/// What is told of the namespace whose first process this is; nothing may be told twice.
pub(crate) fn take(recording: &mut Recording, first: u32, folder: &Path) -> Result<Told, Failed> {
    let place = recording.find(|slot| slot.first == u64::from(first))?.ok_or("no slot")?;
    let own = recording.slot(place)?.ok_or("an empty slot")?.namespace;
    let (mut told, mut twice) = (Told::default(), Vec::new());
    recording.accesses(&mut |namespace, access| {
        if namespace != own {
            return;
        }
        let Access::File { path, ways } = access else {
            if !told.others.insert(access.clone()) {
                twice.push(access);
            }
            return;
        };
        let known = match Path::new(&path).strip_prefix(folder) {
            Ok(name) => {
                let slash = if path.ends_with('/') { "/" } else { "" };
                told.files.entry(format!("{}{slash}", name.display()))
            }
            Err(_) => told.elsewhere.entry(path.clone()),
        }
        .or_default();
        if known.has(ways) {
            twice.push(Access::File { path, ways });
        }
        *known = *known | ways;
    });
    ensure(twice.is_empty(), format!("told twice: {twice:?}"))?;
    let lost = recording.lost();
    ensure(lost.accesses == 0, format!("{lost:?}"))?;
    Ok(told)
}

/// Records a command in a mount namespace of its own, which is gone when it is asked what was told.
pub(crate) fn record(command: &mut Command, folder: &Path) -> Result<Told, Failed> {
    let mut recording = start()?;
    let mut child = apart::start(command.stdout(Stdio::null()))?;
    let status = child.wait()?;
    ensure(status.success(), format!("{command:?}: {status}"))?;
    take(&mut recording, child.id(), folder)
}

/// Records this program doing something in a folder that `prepare` fills.
pub(crate) fn act(name: &str, prepare: impl Fn(&Path) -> io::Result<()>) -> Result<Told, Failed> {
    act_while(name, prepare, |_| Ok(()))
}

/// The same while something else happens.
pub(crate) fn act_while(
    name: &str,
    prepare: impl Fn(&Path) -> io::Result<()>,
    meanwhile: impl Fn(&Path) -> io::Result<()>,
) -> Result<Told, Failed> {
    let folder = tempfile::tempdir()?;
    prepare(folder.path())?;
    let mut recording = start()?;
    let (mut child, mut lines) = begin(name, folder.path())?;
    meanwhile(folder.path())?;
    let done = lines.next().is_some_and(|line| line.is_ok_and(|line| line == "done"));
    let told = take(&mut recording, child.id(), folder.path());
    drop(child.stdin.take());
    let status = child.wait()?;
    ensure(done && status.success(), format!("{name}: {status}"))?;
    told
}

/// Starts this program in a mount namespace of its own.
pub(crate) fn begin(
    name: &str,
    folder: &Path,
) -> Result<(Child, Lines<BufReader<ChildStdout>>), Failed> {
    let mut command = Command::new(env::current_exe()?);
    command.args([ACT, name]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = apart::start(&mut command)?;
    let lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
    Ok((child, lines))
}

/// Whether exactly this was told of the folder.
pub(crate) fn exactly(told: &Told, expected: &[(&str, Ways)]) -> Result<(), Failed> {
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(name, ways)| ((*name).to_owned(), *ways)).collect();
    ensure(told.files == expected, format!("{:#?}\nexpected {expected:#?}", told.files))
}
