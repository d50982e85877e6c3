//! The object in the kernel: its maps, and those of its programs that were asked for.

use std::{
    fs::File,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::Map,
    programs::{Program, ProgramError, links::FdLink},
};
use aya_obj::Object;

use super::{
    KernelError, OBJECT, Watch,
    access::programs::{CALLED, SIZES},
    error::is_refusal,
    folder,
    folder::Folder,
    form,
    former::Former,
    stacks,
};
use crate::apart;

/// Maps that take much memory, and for whom: where these are not watched they have one entry.
const LARGE: &[(&str, Needed)] = &[
    ("permissions", |watch| watch.permissions),
    ("contexts", |watch| watch.permissions),
    ("wordings", |watch| watch.permissions),
    ("access_recent", |watch| watch.accesses),
    ("access_seen", |watch| watch.accesses),
    ("domains", |watch| watch.permissions),
];

/// Whether somebody needs a map or a program.
pub(super) type Needed = fn(Watch) -> bool;

/// Programs that are not pinned end when it is dropped.
#[derive(Debug)]
pub(super) struct Loaded {
    object: Ebpf,
    /// Programs that can run, in the order in which they begin.
    ready: Vec<Ready>,
    /// Those that do; without a link where that is pinned.
    running: Vec<(&'static str, Option<FdLink>)>,
    folder: Option<Folder>,
}

/// A program that is loaded, and where it is to run.
#[derive(Clone, Copy, Debug)]
struct Ready {
    /// Whether it is needed for what is watched.
    of: Needed,
    name: &'static str,
    at: &'static str,
}

impl Loaded {
    /// Makes the maps. No program runs yet.
    pub(super) fn new(watch: Watch) -> Result<Self, KernelError> {
        if OBJECT.is_empty() {
            return Err(KernelError::Empty);
        }
        Self::made(&mut loader(watch, &apart::counts_in()), None)
    }

    /// Makes those maps that are not in the folder yet. Those of another form are put aside.
    pub(super) fn pinned(folder: Folder, watch: Watch) -> Result<Self, KernelError> {
        let maps = maps(watch)?;
        if folder.is_half_aside()? || !is_ours(&folder, &maps)? {
            folder.put_aside()?;
        }
        let mut found = Vec::new();
        for map in &maps {
            if let Some(there) = folder.pinned(&map.name)? {
                found.push((
                    map,
                    there.info().map_err(|error| folder.unreadable(&map.name, error))?,
                ));
            }
        }
        for (map, there) in found {
            if there.max_entries() != map.entries {
                // It was not watched until now, or is not any more.
                folder.forget(&map.name)?;
            }
        }
        let counts_in = apart::counts_in();
        let mut loader = loader(watch, &counts_in);
        for map in &maps {
            loader.map_pin_path(&map.name, folder.map(&map.name));
        }
        Self::made(&mut loader, Some(folder))
    }

    fn made(loader: &mut EbpfLoader<'_>, folder: Option<Folder>) -> Result<Self, KernelError> {
        let object = loader.load(OBJECT).map_err(|error| {
            if is_refusal(&error) {
                KernelError::Refused(Box::new(error))
            } else {
                KernelError::Load(Box::new(error))
            }
        })?;
        Ok(Self { object, ready: Vec::new(), running: Vec::new(), folder })
    }

    /// A map, to be used as long as one likes.
    pub(super) fn map(&self, name: &'static str) -> Result<OwnedFd, KernelError> {
        use Map::{Array, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf};
        match self.object.map(name) {
            Some(
                Array(map) | HashMap(map) | LruHashMap(map) | PerCpuArray(map) | PerCpuHashMap(map)
                | RingBuf(map),
            ) => map.fd().as_fd().try_clone_to_owned().map_err(KernelError::Read),
            _ => Err(KernelError::Different(name)),
        }
    }

    /// Loads a program: the kernel checks it, and it can run at once when it is to.
    pub(super) fn load(
        &mut self,
        of: Needed,
        name: &'static str,
        at: &'static str,
        types: &Btf,
    ) -> Result<(), KernelError> {
        let loaded = self.check(name, at, types);
        loaded.map_err(|error| failed(name, error))?;
        self.ready(of, name, at);
        Ok(())
    }

    /// Loads a program that runs only once it is said to be ready.
    pub(super) fn check(
        &mut self,
        name: &'static str,
        at: &'static str,
        types: &Btf,
    ) -> Result<(), ProgramError> {
        match self.object.program_mut(name) {
            Some(Program::RawTracePoint(program)) => program.load(),
            Some(Program::BtfTracePoint(program)) => program.load(at, types),
            Some(Program::Lsm(program)) => program.load(at, types),
            Some(_) | None => Err(ProgramError::NotLoaded),
        }
    }

    /// A program that was loaded can run.
    pub(super) fn ready(&mut self, of: Needed, name: &'static str, at: &'static str) {
        self.ready.push(Ready { of, name, at });
    }

    /// Waits until nobody else changes what is pinned.
    pub(super) fn lock(&self) -> Result<Option<File>, KernelError> {
        self.folder.as_ref().map(Folder::lock).transpose()
    }

    /// Runs those programs that are needed, and ends others, also what an earlier process has pinned.
    ///
    /// What the others know of the kernel's stacks holds only as long as forks are seen, which are from before until after.
    pub(super) fn run(&mut self, watch: Watch) -> Result<(), KernelError> {
        let is_last = |ready: &Ready| ready.name == folder::LAST_PROGRAM;
        let begins = |ready: &&Ready| {
            (ready.of)(watch) && !self.running.iter().any(|(name, _)| *name == ready.name)
        };
        let (last, begin): (Vec<_>, Vec<_>) =
            self.ready.iter().filter(begins).copied().partition(is_last);
        let last =
            last.into_iter().map(|ready| Ok((ready.name, self.attach(ready.name, ready.at)?)));
        let last = last.collect::<Result<Vec<_>, KernelError>>()?;
        for ready in begin {
            let link = self.attach(ready.name, ready.at)?;
            self.keep(ready.name, link)?;
        }
        for (name, link) in last {
            self.keep(name, link)?;
        }
        let ready = &self.ready;
        let is_needed = |name: &str| ready.iter().any(|of| of.name == name && (of.of)(watch));
        self.running.sort_by_key(|(name, _)| *name == folder::LAST_PROGRAM);
        self.running.retain(|(name, _)| is_needed(name));
        let running: Vec<_> = self.running.iter().map(|(name, _)| *name).collect();
        self.folder.as_ref().map_or(Ok(()), |folder| folder.end_others(&running))
    }

    /// What recorders of other versions have seen, whose programs end.
    pub(super) fn formers(&self) -> Result<Vec<Former>, KernelError> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let formers = folder.formers()?.into_iter();
        formers.filter_map(|(number, former)| Former::ended(number, former).transpose()).collect()
    }

    /// A program runs as long as its link is held, or until it is kept elsewhere.
    pub(super) fn attach(
        &mut self,
        name: &'static str,
        at: &'static str,
    ) -> Result<FdLink, KernelError> {
        let program = self.object.program_mut(name).ok_or(KernelError::Different(name))?;
        let attached: Result<FdLink, ProgramError> = match program {
            Program::RawTracePoint(program) => {
                program.attach(at).and_then(|link| Ok(program.take_link(link)?.into()))
            }
            Program::BtfTracePoint(program) => {
                program.attach().and_then(|link| Ok(program.take_link(link)?.into()))
            }
            Program::Lsm(program) => {
                program.attach().and_then(|link| Ok(program.take_link(link)?.into()))
            }
            _ => Err(ProgramError::NotLoaded),
        };
        attached.map_err(|error| failed(name, error))
    }

    fn keep(&mut self, name: &'static str, link: FdLink) -> Result<(), KernelError> {
        let link = match &self.folder {
            Some(folder) => folder.pin(name, link).map(|()| None)?,
            None => Some(link),
        };
        self.running.push((name, link));
        Ok(())
    }
}

fn failed(program: &'static str, error: ProgramError) -> KernelError {
    if is_refusal(&error) {
        KernelError::Refused(Box::new(error))
    } else {
        KernelError::Attach { program, source: Box::new(error) }
    }
}

/// A map as the object has it.
struct Definition {
    name: String,
    entries: u32,
    key: u32,
    value: u32,
}

/// Whether what is pinned is of the form that it has here.
fn is_ours(folder: &Folder, maps: &[Definition]) -> Result<bool, KernelError> {
    for map in maps {
        let Some(pinned) = folder.pinned(&map.name)? else { continue };
        let found = pinned.info().map_err(|error| folder.unreadable(&map.name, error))?;
        if (found.key_size(), found.value_size()) != (map.key, map.value) {
            return Ok(false);
        }
        if map.name == form::MAP {
            let written = form::written(pinned)?;
            // Nobody has written there yet when whoever made it was killed at once.
            if !written.is_empty() && written != form::Form::OURS.text() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The object's maps that are pinned. Those of constants, and of what only the running programs know, come with these anew.
fn maps(watch: Watch) -> Result<Vec<Definition>, KernelError> {
    if OBJECT.is_empty() {
        return Err(KernelError::Empty);
    }
    let object =
        Object::parse(OBJECT).map_err(|error| KernelError::Load(Box::new(error.into())))?;
    let maps = object
        .maps
        .into_iter()
        .filter(|(name, _)| !name.starts_with('.') && ![stacks::MAP, CALLED].contains(&&**name));
    Ok(maps
        .map(|(name, map)| {
            let (key, value) = (map.key_size(), map.value_size());
            let entries = entries(&name, watch).unwrap_or_else(|| map.max_entries());
            Definition { name, entries, key, value }
        })
        .collect())
}

/// How many entries a map has instead of those in the object.
fn entries(name: &str, watch: Watch) -> Option<u32> {
    let large = LARGE.iter().find(|(large, of)| *large == name && !of(watch)).map(|_| 1);
    let sized = || SIZES.iter().find(|(sized, _)| *sized == name).map(|(_, of)| of(watch));
    large.or_else(sized)
}

/// `counts_in` is the PID namespace by whose numbers processes are known here.
fn loader(watch: Watch, counts_in: &u32) -> EbpfLoader<'_> {
    let mut loader = EbpfLoader::new();
    loader.override_global("reader_counts_in", counts_in, true);
    let names = LARGE.iter().map(|(name, _)| *name).chain(SIZES.iter().map(|(name, _)| *name));
    for name in names {
        if let Some(entries) = entries(name, watch) {
            loader.map_max_entries(name, entries);
        }
    }
    loader
}
