//! Which programs tell of accesses: hooks of the kernel's security modules where they can be loaded, tracepoints where
//! they cannot.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufRead as _, BufReader},
};

use aya::{
    Btf, EbpfError,
    maps::{Array, Map, MapData, MapError},
    util::nr_cpus,
};

use super::{
    super::{KernelError, Watch, loaded::Loaded, slot::abis},
    Accesses, Group, Tier, Tiers,
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

/// Functions of the kernel that only ask whether a capability is there, without AppArmor saying anything of it.
const SILENT: [&str; 6] = [
    "__vm_enough_memory",
    "cap_vm_enough_memory",
    "has_capability_noaudit",
    "has_ns_capability_noaudit",
    "ns_capable_noaudit",
    "security_vm_enough_memory_mm",
];

/// Spans in `struct silent` of `bpf/access_other.h`, each of two addresses.
const SPANS: usize = 16;

/// Attaches the programs.
pub(in crate::kernel) fn attach(loaded: &mut Loaded) -> Result<Accesses, KernelError> {
    let of_map = |error: MapError| KernelError::Read(io::Error::other(error));
    let data = |name| MapData::from_fd(loaded.map(name)?).map_err(of_map);
    let ring = Map::RingBuf(data("access_events")?).try_into().map_err(of_map)?;
    let seen = Map::HashMap(data("access_seen")?).try_into().map_err(of_map)?;
    let mut table: Array<_, [u8; CALL]> =
        Map::Array(data("access_calls")?).try_into().map_err(of_map)?;
    let mut silent: Array<_, [u64; SPANS]> =
        Map::Array(data("access_silent")?).try_into().map_err(of_map)?;
    let types = Btf::from_sys_fs()
        .map_err(|error| KernelError::Load(Box::new(EbpfError::BtfError(error))))?;
    let mut tiers: BTreeMap<_, _> = Group::ALL.map(|group| (group, Tier::Tracepoints)).into();
    for (place, call) in calls::table(abis(learned::machine()), &tiers.keys().copied().collect()) {
        table.set(place, call, 0).map_err(of_map)?;
    }
    loaded.tracepoint("access_exit", "sys_exit", &types)?;
    loaded.tracepoint("access_exec", "sched_process_exec", &types)?;
    loaded.tracepoint("access_signal", "signal_generate", &types)?;
    // Older kernels have no such tracepoint; and without the places of those functions, memory itself would seem to need
    // a capability.
    let spans = silent_functions();
    let capable = match &spans {
        Some(spans) => {
            silent.set(0, spans, 0).map_err(of_map)?;
            loaded.tracepoint("access_capable", "cap_capable", &types).is_ok()
        }
        None => false,
    };
    if !capable {
        tiers.insert(Group::Capabilities, Tier::Nothing);
    }
    Ok(Accesses::new(ring, seen, Tiers(tiers)))
}

/// Where those functions begin and end, if the kernel says so.
fn silent_functions() -> Option<[u64; SPANS]> {
    let symbols = BufReader::new(File::open("/proc/kallsyms").ok()?);
    let mut starts = BTreeSet::new();
    let mut all = BTreeSet::new();
    for line in symbols.lines() {
        let line = line.ok()?;
        let mut words = line.split(' ');
        let (address, _, name) = (words.next()?, words.next()?, words.next()?);
        let address = u64::from_str_radix(address, 16).ok()?;
        all.insert(address);
        if SILENT.contains(&name) {
            starts.insert(address);
        }
    }
    let mut spans = [0; SPANS];
    for (span, start) in spans.chunks_exact_mut(2).zip(&starts) {
        span[0] = *start;
        span[1] = *all.range(start + 1..).next()?;
    }
    (spans[0] != 0).then_some(spans)
}
