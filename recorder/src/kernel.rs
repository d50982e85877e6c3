//! The programs in the kernel: loading them, attaching them, reading what they have recorded.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use aya::{Btf, EbpfError, include_bytes_aligned};

use crate::{
    apart,
    seen::{Access, Permission},
    selinuxfs::{self, SelinuxFs},
};

use access::Accesses;
pub use access::{Group, Tier, Tiers};
pub use error::KernelError;
use folder::Folder;
use form::Form;
use former::Former;
use loaded::{Loaded, Needed};
use permission::Permissions;
pub use processes::EndedProcesses;
pub use slot::{Calls, Muted, Slot};
use slots::Slots;
use stacks::Stacks;

mod access;
pub mod elsewhere;
mod error;
mod folder;
mod form;
mod former;
mod loaded;
mod mapped;
mod permission;
mod processes;
mod ring;
mod slot;
mod slots;
mod stacks;

/// How many namespaces can be told apart at once.
pub const SLOTS: u32 = 16_384;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/recorder.bpf.o"));

/// What to look at: each costs every process on the machine a little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each may be with or without each other")]
pub struct Watch {
    /// Which system calls are made.
    pub calls: bool,
    /// Which calls a filter refuses.
    pub denials: bool,
    /// What AppArmor has rules for: files, capabilities, sockets, mounts, signals, ptrace.
    pub accesses: bool,
    /// What SELinux does not allow.
    pub permissions: bool,
}

impl Watch {
    /// What either looks at.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        self.with(other, |one, other| one || other)
    }

    /// What both look at.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        self.with(other, |one, other| one && other)
    }

    /// Whether all that another one looks at is looked at.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.union(other) == self
    }

    fn with(self, other: Self, each: impl Fn(bool, bool) -> bool) -> Self {
        Self {
            calls: each(self.calls, other.calls),
            denials: each(self.denials, other.denials),
            accesses: each(self.accesses, other.accesses),
            permissions: each(self.permissions, other.permissions),
        }
    }
}

/// What could not be recorded, for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Things that were done in namespaces for which there was no slot.
    pub namespaces: u64,
    pub accesses: u64,
    pub permissions: u64,
}

/// Programs in the kernel: those that run do so until this is dropped, or until what was pinned is unpinned.
#[derive(Debug)]
pub struct Recording {
    /// What is watched.
    watch: Watch,
    slots: Slots,
    stacks: Option<Stacks>,
    permissions: Option<Box<Permissions>>,
    accesses: Option<Box<Accesses>>,
    /// What recorders of other versions have left, as long as not all of it is kept; nothing before it was looked for.
    formers: Option<Vec<Former>>,
    /// Programs that are not pinned end with it.
    loaded: Loaded,
}

impl Recording {
    /// Loads programs and runs them.
    pub fn start(watch: Watch) -> Result<Self, KernelError> {
        let mut recording = Self::ready(watch)?;
        recording.run(watch)?;
        Ok(recording)
    }

    /// The same with everything pinned in a folder of a BPF file system, which is made if it is not there: it goes on when
    /// this is dropped and when the process dies, and whoever calls this again finds all that was recorded meanwhile.
    ///
    /// Programs that are there already are exchanged for these without a gap, and those that are not asked for any more
    /// end, as does what only they had recorded. What was recorded in another form, by another version of this, is given
    /// as well, until all of it is released and kept.
    pub fn pinned(folder: &Path, watch: Watch) -> Result<Self, KernelError> {
        let mut recording = Self::ready_pinned(folder, watch)?;
        recording.run(watch)?;
        Ok(recording)
    }

    /// Loads the programs for all that may have to be watched, which takes the kernel some tenths of a second. None of them
    /// runs before it is told to.
    pub fn ready(watch: Watch) -> Result<Self, KernelError> {
        Self::load(Loaded::new(watch)?, watch)
    }

    /// The same for what is to be pinned. What runs there already goes on.
    pub fn ready_pinned(folder: &Path, watch: Watch) -> Result<Self, KernelError> {
        let folder = Folder::made(folder)?;
        let _one_at_a_time = folder.lock()?;
        Self::load(Loaded::pinned(folder, watch)?, watch)
    }

    /// Ends what is pinned in a folder, and forgets what was recorded; nothing is done where there is no such folder.
    pub fn unpin(folder: &Path) -> Result<(), KernelError> {
        Folder::found(folder)?.map_or(Ok(()), |folder| {
            let _one_at_a_time = folder.lock()?;
            folder.remove()
        })
    }

    fn load(mut loaded: Loaded, watch: Watch) -> Result<Self, KernelError> {
        let slots = Slots::new(loaded.map("slots")?, &loaded.map("control")?, Form::OURS)
            .map_err(KernelError::Read)?;
        Form::OURS.write(&loaded)?;
        // They are many, and needed no longer than this.
        let types = Btf::from_sys_fs()
            .map_err(|error| KernelError::Load(Box::new(EbpfError::BtfError(error))))?;
        let stacks = watch.calls.then(|| Stacks::new(&loaded)).transpose()?;
        if watch.calls {
            let of: Needed = |watch| watch.calls;
            loaded.load(of, folder::LAST_PROGRAM, "sched_process_fork", &types)?;
            loaded.load(of, "sys_enter", "sys_enter", &types)?;
        }
        if watch.denials {
            // After the other: what has begun before this one runs was seen to begin.
            loaded.load(|watch| watch.denials, "sys_exit", "sys_exit", &types)?;
        }
        let permissions = watch.permissions.then(|| load_permissions(&mut loaded, &types));
        let permissions = permissions.transpose()?;
        let accesses = watch.accesses.then(|| access::programs::load(&mut loaded, &types));
        let accesses = accesses.transpose()?.map(Box::new);
        let (watch, formers) = (Watch::default(), None);
        Ok(Self { watch, slots, stacks, permissions, accesses, formers, loaded })
    }

    /// Runs the programs for what is to be watched from now on, and ends others: what was loaded for that runs within
    /// milliseconds.
    pub fn run(&mut self, watch: Watch) -> Result<(), KernelError> {
        let _one_at_a_time = self.loaded.lock()?;
        let stacks = self.stacks.as_ref();
        if let Some(stacks) = stacks.filter(|_| watch.calls != self.watch.calls) {
            stacks.forbid();
        }
        self.loaded.run(watch)?;
        if let Some(stacks) = stacks.filter(|_| watch.calls) {
            stacks.allow();
        }
        if watch.permissions && !self.watch.permissions {
            // What was reported before would not be again. Where that cannot be had, what is new is recorded nevertheless.
            drop(SelinuxFs::default().forget_decisions());
        }
        if self.formers.is_none() {
            self.formers = Some(self.loaded.formers()?);
        }
        self.watch = watch;
        Ok(())
    }

    fn formers(&self) -> impl Iterator<Item = &Former> {
        self.formers.iter().flatten()
    }

    /// What is in a slot; none while no container has claimed it.
    pub fn slot(&self, place: u32) -> Result<Option<Slot>, KernelError> {
        match self.formers().find(|former| former.has(place)) {
            Some(former) => former.slot(place),
            None => self.slots.slot(place).map_err(KernelError::Read),
        }
    }

    /// All slots of containers, with their places. A namespace may have two of them, if rarely: what is in both was seen.
    pub fn slots(&self) -> impl Iterator<Item = Result<(u32, Slot), KernelError>> {
        let own = self.slots.used().filter_map(|place| match self.slots.slot(place) {
            Ok(slot) => slot.map(|slot| Ok((place, slot))),
            Err(error) => Some(Err(KernelError::Read(error))),
        });
        own.chain(self.formers().flat_map(Former::slots))
    }

    /// Finds a slot.
    pub fn find(&self, is_it: impl Fn(&Slot) -> bool) -> Result<Option<u32>, KernelError> {
        for found in self.slots() {
            let (place, slot) = found?;
            if is_it(&slot) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Says what nobody wants to know of a namespace any more.
    pub fn mute(&self, place: u32, muted: Muted) -> Result<(), KernelError> {
        if self.formers().any(|former| former.has(place)) {
            return Ok(());
        }
        self.slots.mute(place, muted).map_err(KernelError::Read)
    }

    /// Makes room: frees the slots (by place and namespace) of namespaces that are gone, and gives what was in them last.
    /// Waits some milliseconds for all of them together.
    pub fn release(&mut self, gone: &[(u32, u64)]) -> Result<Vec<Slot>, KernelError> {
        let mut own = Vec::with_capacity(gone.len());
        for &(place, namespace) in gone {
            match self.formers.iter_mut().flatten().find(|former| former.has(place)) {
                Some(former) => former.release(place),
                None => own.push((place, namespace)),
            }
        }
        let gone = own;
        let forget = |places: &HashSet<u32>| {
            if let Some(stacks) = &self.stacks {
                stacks.forget(|place| places.contains(&place));
            }
        };
        let last = self.slots.release(&gone, forget).map_err(KernelError::Read)?;
        let namespaces = gone.iter().map(|(_, namespace)| *namespace).collect();
        if let Some(permissions) = &mut self.permissions {
            permissions.forget(&namespaces).map_err(KernelError::Read)?;
        }
        if let Some(accesses) = &mut self.accesses {
            accesses.forget(&namespaces).map_err(KernelError::Read)?;
        }
        Ok(last)
    }

    /// Tells which permissions were asked for that the policy does not give, by namespace, each once.
    pub fn permissions(
        &mut self,
        tell: &mut dyn FnMut(u64, Permission),
    ) -> Result<(), KernelError> {
        for former in self.formers.iter_mut().flatten() {
            former.permissions(tell)?;
        }
        let Some(permissions) = &mut self.permissions else { return Ok(()) };
        permissions.drain(tell).map_err(KernelError::Read)
    }

    /// Gives what was done, with the mount namespace's id: each thing once, as far as is remembered.
    ///
    /// The kernel's programs tell each thing once. What is pinned is told again to whoever finds it, until `kept` says
    /// that it need not be; no more than half of what there is room for is held for that.
    pub fn accesses(&mut self, give: &mut dyn FnMut(u64, Access)) {
        for former in self.formers.iter_mut().flatten() {
            former.accesses(give);
        }
        let Self { slots, accesses, .. } = self;
        if let Some(accesses) = accesses {
            accesses.drain(&mut inside(|namespace| slots.about(namespace)), give);
        }
    }

    /// All that was given until now is kept by whoever asked for it, and would not be lost with this process.
    pub fn kept(&mut self) -> Result<(), KernelError> {
        if let Some(accesses) = &self.accesses {
            accesses.keep();
        }
        let formers = self.formers.iter_mut();
        for former in formers.flat_map(|all| all.extract_if(.., |former| former.keep())) {
            self.slots.lose(former.lost());
            former.remove()?;
        }
        Ok(())
    }

    /// What tells of what is done; none where nobody asked for it.
    pub fn tier(&self) -> Option<&Tiers> {
        self.accesses.as_deref().map(Accesses::tiers)
    }

    /// What could not be recorded.
    pub fn lost(&self) -> Lost {
        let mut lost = self.slots.lost();
        lost.accesses += self.accesses.as_deref().map_or(0, Accesses::unreadable);
        for former in self.formers().map(Former::lost) {
            lost.namespaces += former.namespaces;
            lost.accesses += former.accesses;
            lost.permissions += former.permissions;
        }
        lost
    }
}

/// Finds a process in a mount namespace, by what is known about that: its inode and its first process.
fn inside<'a>(
    about: impl Fn(u64) -> Option<(u64, u32)> + 'a,
) -> impl FnMut(u64, u32) -> Option<u32> + 'a {
    let mut known = HashMap::new();
    move |namespace, process| {
        let (inode, first) = (*known.entry(namespace).or_insert_with(|| about(namespace)))?;
        // Who has done it may be gone, and another one may have its number.
        let is_there = |process: &u32| apart::namespace(*process).is_ok_and(|its| its == inode);
        [process, first].into_iter().find(is_there)
    }
}

fn load_permissions(loaded: &mut Loaded, types: &Btf) -> Result<Box<Permissions>, KernelError> {
    if !selinuxfs::is_on() {
        return Err(KernelError::NoSelinux);
    }
    let permissions = Permissions::new(loaded)?;
    let of: Needed = |watch| watch.permissions;
    loaded.load(of, "selinux_started", "sched_process_exec", types)?;
    loaded.load(of, "selinux_audited", "selinux_audited", types)?;
    Ok(Box::new(permissions))
}
