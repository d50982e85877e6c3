//! What a recorder of another version has left: its programs have ended, and what they have seen is read, until all of it
//! is kept elsewhere.

use std::{
    collections::HashSet,
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use aya::maps::{Map, MapData};

use super::{
    KernelError, Lost, Slot,
    access::{self, Accesses},
    folder::Folder,
    form::{self, Form},
    inside,
    permission::{self, Permissions},
    slots::Slots,
};
use crate::seen::{Access, Permission};

/// The kernel ends programs a little after it was told to.
const ENDING: Duration = Duration::from_secs(1);

/// So many places each has.
const PLACES: u32 = 1 << 16;

/// What is there of it.
#[derive(Debug)]
pub(super) struct Former {
    folder: Folder,
    left: Left,
    /// Its slots have places from here on.
    from: u32,
    ended: Instant,
    /// Whether it was looked at since nothing more can come.
    read: bool,
    released: HashSet<u32>,
}

/// What it has recorded.
#[derive(Debug)]
struct Left {
    slots: Slots,
    accesses: Option<Accesses>,
    permissions: Option<Permissions>,
}

impl Former {
    /// Ends its programs. None where nothing of it can be read: then it is removed.
    pub(super) fn ended(number: u32, folder: Folder) -> Result<Option<Self>, KernelError> {
        folder.end_others(&[])?;
        let ended = Instant::now();
        match Left::of(&folder) {
            Ok(Some(left)) => {
                let from = PLACES.saturating_mul(number.saturating_add(1));
                let released = HashSet::new();
                return Ok(Some(Self { folder, left, from, ended, read: false, released }));
            }
            Ok(None) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                let folder = folder.path().display();
                tracing::error!(
                    error,
                    %folder,
                    "what an earlier recorder has not published cannot be read, and is lost"
                );
            }
        }
        folder.remove().map(|()| None)
    }

    /// Whether a slot's place is one of its own.
    pub(super) fn has(&self, place: u32) -> bool {
        place / PLACES == self.from / PLACES
    }

    /// Slots of containers, but those that nobody needs any more.
    pub(super) fn slots(&self) -> impl Iterator<Item = Result<(u32, Slot), KernelError>> {
        let places = self.left.slots.used().filter(|place| !self.released.contains(place));
        places.filter_map(|place| match self.left.slots.slot(place) {
            Ok(slot) => slot.map(|slot| Ok((self.from + place, Slot { former: true, ..slot }))),
            Err(error) => Some(Err(KernelError::Read(error))),
        })
    }

    pub(super) fn slot(&self, place: u32) -> Result<Option<Slot>, KernelError> {
        let slot = self.left.slots.slot(place % PLACES).map_err(KernelError::Read)?;
        Ok(slot.map(|slot| Slot { former: true, ..slot }))
    }

    /// Nobody needs what is in a slot any more.
    pub(super) fn release(&mut self, place: u32) {
        self.released.insert(place % PLACES);
    }

    pub(super) fn lost(&self) -> Lost {
        self.left.slots.lost()
    }

    pub(super) fn accesses(&mut self, give: &mut dyn FnMut(u64, Access)) {
        self.read |= self.ended.elapsed() >= ENDING;
        let Left { slots, accesses, .. } = &mut self.left;
        if let Some(accesses) = accesses {
            accesses.drain(&mut inside(|namespace| slots.about(namespace)), give);
        }
    }

    pub(super) fn permissions(
        &mut self,
        tell: &mut dyn FnMut(u64, Permission),
    ) -> Result<(), KernelError> {
        let Some(permissions) = &mut self.left.permissions else { return Ok(()) };
        permissions.drain(tell).map_err(KernelError::Read)
    }

    /// What it has given is kept. Whether there is nothing more: then it can be removed.
    pub(super) fn keep(&self) -> bool {
        if let Some(accesses) = &self.left.accesses {
            accesses.keep();
        }
        self.read && self.slots().next().is_none()
    }

    pub(super) fn remove(&self) -> Result<(), KernelError> {
        self.folder.remove()
    }
}

impl Left {
    /// None where no program has ever run.
    fn of(folder: &Folder) -> Result<Option<Self>, KernelError> {
        let map = |name: &'static str| folder.pinned(name)?.ok_or(KernelError::Different(name));
        let owned = |map: &MapData| -> Result<OwnedFd, KernelError> {
            map.fd().as_fd().try_clone_to_owned().map_err(KernelError::Read)
        };
        let written = form::written(map(form::MAP)?)?;
        if written.is_empty() {
            return Ok(None);
        }
        let form = Form::of(&written)?;
        if form.slots > PLACES {
            return Err(KernelError::Different("slots"));
        }
        let (slots, control) = (owned(&map("slots")?)?, owned(&map("control")?)?);
        let slots = Slots::new(slots, &control, form).map_err(KernelError::Read)?;
        // What was not watched then has maps of one entry.
        let watched = |map: &MapData| map.info().is_ok_and(|info| info.max_entries() > 1);
        let seen = map("access_seen")?;
        let accesses = if access::reads(form.events) && watched(&seen) {
            let ring = access::programs::ring(&map("access_events")?)?;
            let seen = Map::HashMap(seen).try_into();
            let seen = seen.map_err(|error| KernelError::Read(std::io::Error::other(error)))?;
            Some(Accesses::new(ring, seen, access::Tiers::default()))
        } else {
            None
        };
        let entries = map("permissions")?;
        let permissions = if form.permissions == permission::FORM && watched(&entries) {
            Some(Permissions::of(entries, map("contexts")?, map("wordings")?, map("domains")?)?)
        } else {
            None
        };
        Ok(Some(Self { slots, accesses, permissions }))
    }
}
