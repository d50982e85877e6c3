//! Which programs tell of accesses: hooks of the kernel's security modules where they can be loaded, tracepoints where
//! they cannot.

use std::io;

use aya::{
    Btf, EbpfError,
    maps::{Array, Map, MapData, MapError},
    util::nr_cpus,
};

use super::{
    super::{KernelError, Watch, loaded::Loaded, slot::abis},
    Accesses,
    calls::{self, CALL},
};
use crate::learned;

/// Buffers in which events are put together, for each processor: `SCRATCHES` of `bpf/access_event.h`.
const SCRATCHES: u32 = 4;

/// Bytes of the ring of events.
const RING: u32 = 16 << 20;

/// How large a map is when this is watched.
type Size = fn(Watch) -> u32;

/// How large maps are that depend on the machine, and on what is watched.
pub(in crate::kernel) const SIZES: &[(&str, Size)] = &[
    ("access_events", |watch| if watch.accesses { RING } else { page() }),
    ("access_scratch", |watch| if watch.accesses { processors() * SCRATCHES } else { 1 }),
];

fn page() -> u32 {
    u32::try_from(rustix::param::page_size()).unwrap_or(4096)
}

fn processors() -> u32 {
    nr_cpus().ok().and_then(|count| u32::try_from(count).ok()).unwrap_or(1)
}

/// Attaches the programs.
pub(in crate::kernel) fn attach(loaded: &mut Loaded) -> Result<Accesses, KernelError> {
    let of_map = |error: MapError| KernelError::Read(io::Error::other(error));
    let data = |name| MapData::from_fd(loaded.map(name)?).map_err(of_map);
    let ring = Map::RingBuf(data("access_events")?).try_into().map_err(of_map)?;
    let seen = Map::HashMap(data("access_seen")?).try_into().map_err(of_map)?;
    let mut table: Array<_, [u8; CALL]> =
        Map::Array(data("access_calls")?).try_into().map_err(of_map)?;
    for (place, call) in calls::table(abis(learned::machine())) {
        table.set(place, call, 0).map_err(of_map)?;
    }
    let types = Btf::from_sys_fs()
        .map_err(|error| KernelError::Load(Box::new(EbpfError::BtfError(error))))?;
    loaded.tracepoint("access_exit", "sys_exit", &types)?;
    loaded.tracepoint("access_exec", "sched_process_exec", &types)?;
    Ok(Accesses::new(ring, seen))
}
