//! What the pinned maps are like: written beside them, so that a recorder of another version can read what they hold.

use aya::maps::{Array, Map, MapData, MapError};
use serde::{Deserialize, Serialize};

use super::{KernelError, SLOTS, access, loaded::Loaded, permission};

/// The map that it is in.
pub(super) const MAP: &str = "form";

/// `struct form` of `bpf/slots.h`.
const ROOM: usize = 1024;

/// Where members of `struct slot` and `struct control` are, in words of 8 bytes, and how the other maps are read. A member
/// that comes to mean something else gets another name, so that nobody takes one for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Form {
    /// How many slots there are, and how many words each has.
    pub(super) slots: u32,
    pub(super) slot: usize,
    pub(super) namespace: usize,
    /// In its second half: what is muted.
    pub(super) state: usize,
    /// Bitmaps: each so many times so many words.
    pub(super) workload: usize,
    pub(super) setup: usize,
    pub(super) denied: usize,
    pub(super) abis: usize,
    pub(super) words: usize,
    pub(super) cgroup: usize,
    pub(super) since: usize,
    pub(super) newest: usize,
    pub(super) first: usize,
    pub(super) overflow: usize,
    pub(super) inode: usize,
    pub(super) above: usize,
    /// Names, each with how many words it has.
    pub(super) leaf: (usize, usize),
    pub(super) parent: (usize, usize),
    /// Of `struct control`: counters of namespaces, accesses, permissions; bits of slots that are used.
    pub(super) lost: usize,
    pub(super) used: usize,
    /// Which form of events there is in the ring, and of what SELinux tells in its tables.
    pub(super) events: u32,
    pub(super) permissions: u32,
}

impl Form {
    /// That of `bpf/slots.h`.
    pub(super) const OURS: Self = Self {
        slots: SLOTS,
        slot: 128,
        namespace: 0,
        state: 1,
        workload: 2,
        setup: 32,
        denied: 62,
        abis: 3,
        words: 10,
        cgroup: 92,
        since: 93,
        newest: 94,
        first: 95,
        overflow: 96,
        inode: 97,
        above: 98,
        leaf: (99, 15),
        parent: (114, 14),
        lost: 0,
        used: 3,
        events: access::FORM,
        permissions: permission::FORM,
    };

    /// How many words `struct control` has.
    pub(super) const fn control(&self) -> usize {
        self.used + self.slots as usize / 64
    }

    /// As it is written; nothing else may be written otherwise.
    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads it. Members that are not known here are passed over; one that is missing is an error.
    pub(super) fn of(text: &[u8]) -> Result<Self, KernelError> {
        serde_json::from_slice(text).map_err(|error| KernelError::Read(error.into()))
    }

    /// Says which form the maps have.
    pub(super) fn write(&self, loaded: &Loaded) -> Result<(), KernelError> {
        let text = self.text();
        let mut words = [0; ROOM];
        let room = words.get_mut(..text.len()).ok_or(KernelError::Different(MAP))?;
        room.copy_from_slice(&text);
        map(MapData::from_fd(loaded.map(MAP)?).map_err(failed)?)?.set(0, words, 0).map_err(failed)
    }
}

/// What is written in such a map: nothing as long as no program has run.
pub(super) fn written(in_map: MapData) -> Result<Vec<u8>, KernelError> {
    let words = map(in_map)?.get(&0, 0).map_err(failed)?;
    Ok(words.into_iter().take_while(|byte| *byte != 0).collect())
}

fn map(map: MapData) -> Result<Array<MapData, [u8; ROOM]>, KernelError> {
    Map::Array(map).try_into().map_err(failed)
}

fn failed(error: MapError) -> KernelError {
    KernelError::Read(std::io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_also_by_one_that_knows_less_of_it() {
        let text = String::from_utf8(Form::OURS.text()).unwrap();
        assert!(text.len() < ROOM, "{}", text.len());
        assert_eq!(Form::of(text.as_bytes()).unwrap(), Form::OURS);
        let later = text.replacen('{', "{\"later\":[1,2],", 1);
        assert_eq!(Form::of(later.as_bytes()).unwrap(), Form::OURS);
        let former = text.replacen("\"above\"", "\"below\"", 1);
        assert!(Form::of(former.as_bytes()).is_err());
    }
}
