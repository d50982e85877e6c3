//! The object in the kernel: its maps, and those of its programs that were asked for.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::Map,
    programs::{BtfTracePoint, Lsm, Program, ProgramError, RawTracePoint, links::FdLink},
};
use aya_obj::Object;

use super::{
    KernelError, OBJECT, Watch, access::programs::SIZES, error::is_refusal, folder, folder::Folder,
    form, former::Former, stacks,
};

/// Maps that take much memory, and for whom: where these are not watched they have one entry.
const LARGE: &[(&str, Needed)] = &[
    ("permissions", |watch| watch.permissions),
    ("contexts", |watch| watch.permissions),
    ("wordings", |watch| watch.permissions),
    ("access_recent", |watch| watch.accesses),
    ("access_seen", |watch| watch.accesses),
    ("domains", |watch| watch.permissions),
];

/// Whether somebody needs a map.
type Needed = fn(Watch) -> bool;

/// Programs that are not pinned end when it is dropped.
#[derive(Debug)]
pub(super) struct Loaded {
    object: Ebpf,
    /// Links of programs that are not pinned.
    links: Vec<FdLink>,
    folder: Option<Folder>,
    attached: Vec<&'static str>,
}

impl Loaded {
    /// Makes the maps. No program runs yet.
    pub(super) fn new(watch: Watch) -> Result<Self, KernelError> {
        if OBJECT.is_empty() {
            return Err(KernelError::Empty);
        }
        Self::load(&mut loader(watch), None)
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
        let mut loader = loader(watch);
        for map in &maps {
            loader.map_pin_path(&map.name, folder.map(&map.name));
        }
        Self::load(&mut loader, Some(folder))
    }

    fn load(loader: &mut EbpfLoader<'_>, folder: Option<Folder>) -> Result<Self, KernelError> {
        let object = loader.load(OBJECT).map_err(|error| {
            if is_refusal(&error) {
                KernelError::Refused(Box::new(error))
            } else {
                KernelError::Load(Box::new(error))
            }
        })?;
        Ok(Self { object, links: Vec::new(), folder, attached: Vec::new() })
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

    /// Runs a program at a raw tracepoint.
    pub(super) fn raw_tracepoint(
        &mut self,
        name: &'static str,
        tracepoint: &str,
    ) -> Result<(), KernelError> {
        self.attach(name, |program| {
            let program: &mut RawTracePoint = program.try_into()?;
            program.load()?;
            let link = program.attach(tracepoint)?;
            Ok(program.take_link(link)?.into())
        })
    }

    /// Runs the programs that record calls. What they know of the kernel's stacks they keep only from when all of them run,
    /// and as long as they do: forks are seen from before until after calls are.
    pub(super) fn calls(&mut self, types: &Btf) -> Result<(), KernelError> {
        const FORKS: &str = folder::LAST_PROGRAM;
        let forks =
            self.begun(FORKS, |program| tracepoint(program, "sched_process_fork", types))?;
        self.tracepoint("sys_enter", "sys_enter", types)?;
        self.keep(FORKS, forks)
    }

    /// Ends programs that are pinned and were not attached by this one, and gives what those of another form have seen.
    pub(super) fn end_others(&self) -> Result<Vec<Former>, KernelError> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        folder.end_others(&self.attached)?;
        let formers = folder.formers()?.into_iter();
        formers.filter_map(|(number, former)| Former::ended(number, former).transpose()).collect()
    }

    /// Runs a program at a tracepoint whose arguments it knows the types of.
    pub(super) fn tracepoint(
        &mut self,
        name: &'static str,
        tracepoint: &str,
        types: &Btf,
    ) -> Result<(), KernelError> {
        self.attach(name, |program| self::tracepoint(program, tracepoint, types))
    }

    /// Loads a program for a hook of the kernel's security modules, without running it yet.
    pub(super) fn load_hook(
        &mut self,
        name: &'static str,
        hook: &str,
        types: &Btf,
    ) -> Result<(), ProgramError> {
        let Some(program) = self.object.program_mut(name) else {
            return Err(ProgramError::NotLoaded);
        };
        let program: &mut Lsm = program.try_into()?;
        program.load(hook, types)
    }

    /// Runs a program at the hook that it was loaded for.
    pub(super) fn hook(&mut self, name: &'static str) -> Result<(), KernelError> {
        self.attach(name, |program| {
            let program: &mut Lsm = program.try_into()?;
            let link = program.attach()?;
            Ok(program.take_link(link)?.into())
        })
    }

    fn attach(
        &mut self,
        name: &'static str,
        attach: impl FnOnce(&mut Program) -> Result<FdLink, ProgramError>,
    ) -> Result<(), KernelError> {
        let link = self.begun(name, attach)?;
        self.keep(name, link)
    }

    /// A program runs as long as its link is held, or until it is kept elsewhere.
    fn begun(
        &mut self,
        name: &'static str,
        attach: impl FnOnce(&mut Program) -> Result<FdLink, ProgramError>,
    ) -> Result<FdLink, KernelError> {
        let program = self.object.program_mut(name).ok_or(KernelError::Different(name))?;
        attach(program).map_err(|error| {
            if is_refusal(&error) {
                KernelError::Refused(Box::new(error))
            } else {
                KernelError::Attach { program: name, source: Box::new(error) }
            }
        })
    }

    fn keep(&mut self, name: &'static str, link: FdLink) -> Result<(), KernelError> {
        match &self.folder {
            Some(folder) => folder.pin(name, link)?,
            None => self.links.push(link),
        }
        self.attached.push(name);
        Ok(())
    }
}

fn tracepoint(
    program: &mut Program,
    tracepoint: &str,
    types: &Btf,
) -> Result<FdLink, ProgramError> {
    let program: &mut BtfTracePoint = program.try_into()?;
    program.load(tracepoint, types)?;
    let link = program.attach()?;
    Ok(program.take_link(link)?.into())
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
    let maps =
        object.maps.into_iter().filter(|(name, _)| !name.starts_with('.') && name != stacks::MAP);
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

fn loader<'a>(watch: Watch) -> EbpfLoader<'a> {
    let mut loader = EbpfLoader::new();
    let names = LARGE.iter().map(|(name, _)| *name).chain(SIZES.iter().map(|(name, _)| *name));
    for name in names {
        if let Some(entries) = entries(name, watch) {
            loader.map_max_entries(name, entries);
        }
    }
    loader
}
