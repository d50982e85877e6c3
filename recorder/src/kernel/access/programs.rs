//! Which programs tell of accesses: hooks of the kernel's security modules where they can be loaded, tracepoints where
//! they cannot.

use std::{collections::BTreeSet, error::Error, fs::File, io, os::fd::AsFd as _};

use aya::{
    Btf,
    maps::{Array, Map, MapData, MapError},
    util::nr_cpus,
};

use super::{
    super::{
        KernelError, Watch,
        loaded::{Loaded, Needed},
        ring::Ring,
        slot::abis,
    },
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

/// A program's name, and its hook's.
type Hook = (&'static str, &'static str);

/// Groups with the programs that tell of them by hooks. A group is told of by all of them or
/// by tracepoints.
const HOOKS: &[(&[Group], &[Hook])] = &[
    (
        &[Group::Files, Group::Programs],
        &[
            ("hook_file_open", "file_open"),
            ("hook_file_receive", "file_receive"),
            ("hook_file_lock", "file_lock"),
            ("hook_mmap_file", "mmap_file"),
            ("hook_file_mprotect", "file_mprotect"),
            ("hook_path_unlink", "path_unlink"),
            ("hook_path_rmdir", "path_rmdir"),
            ("hook_path_mkdir", "path_mkdir"),
            ("hook_path_mknod", "path_mknod"),
            ("hook_path_symlink", "path_symlink"),
            ("hook_path_link", "path_link"),
            ("hook_path_rename", "path_rename"),
            ("hook_path_truncate", "path_truncate"),
            ("hook_path_chmod", "path_chmod"),
            ("hook_path_chown", "path_chown"),
            ("hook_exec", "bprm_creds_for_exec"),
        ],
    ),
    (&[Group::Capabilities], &[("hook_capable", "capable")]),
    (
        &[Group::Sockets],
        &[
            ("hook_socket_create", "socket_create"),
            ("hook_socket_bind", "socket_bind"),
            ("hook_unix_connect", "unix_stream_connect"),
            ("hook_unix_send", "unix_may_send"),
        ],
    ),
    (
        &[Group::Mounts],
        &[
            ("hook_mount", "sb_mount"),
            ("hook_move_mount", "move_mount"),
            ("hook_umount", "sb_umount"),
            ("hook_pivot_root", "sb_pivotroot"),
        ],
    ),
    (&[Group::Signals], &[("hook_task_kill", "task_kill")]),
    (
        &[Group::Ptrace],
        &[("hook_ptrace", "ptrace_access_check"), ("hook_traceme", "ptrace_traceme")],
    ),
];

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

/// Where `hook_called` of `bpf/access_hooks.h` says that it was called; it is read only while programs are loaded.
pub(in crate::kernel) const CALLED: &str = "hooks_called";

/// When these programs run.
const OF: Needed = |watch| watch.accesses;

/// Loads the programs.
pub(in crate::kernel) fn load(loaded: &mut Loaded, types: &Btf) -> Result<Accesses, KernelError> {
    let of_map = |error: MapError| KernelError::Read(io::Error::other(error));
    let data = |name| MapData::from_fd(loaded.map(name)?).map_err(of_map);
    let ring = ring(&data("access_events")?)?;
    let seen = Map::HashMap(data("access_seen")?).try_into().map_err(of_map)?;
    let mut table: Array<_, [u8; CALL]> =
        Map::Array(data("access_calls")?).try_into().map_err(of_map)?;
    let mut silent: Array<_, [u64; SPANS]> =
        Map::Array(data("access_silent")?).try_into().map_err(of_map)?;
    let mut tiers = Tiers::default();
    let uncalled = uncalled(loaded, types)?;
    for (groups, hooks) in HOOKS {
        let why = uncalled.clone().or_else(|| hooked(loaded, hooks, types));
        let tier = match why {
            None => Tier::Hooks,
            Some(why) => {
                tiers.why.extend(groups.iter().map(|group| (*group, why.clone())));
                Tier::Tracepoints
            }
        };
        tiers.tiers.extend(groups.iter().map(|group| (*group, tier)));
    }
    let by_tracepoints = |group: &Group| tiers.of(*group) == Tier::Tracepoints;
    let told: BTreeSet<_> = Group::ALL.into_iter().filter(by_tracepoints).collect();
    for (place, call) in calls::table(abis(learned::machine()), &told) {
        table.set(place, call, 0).map_err(of_map)?;
    }
    if told.iter().any(|group| *group != Group::Capabilities) {
        loaded.load(OF, "access_exit", "sys_exit", types)?;
    }
    if told.contains(&Group::Programs) {
        loaded.load(OF, "access_exec", "sched_process_exec", types)?;
    }
    if told.contains(&Group::Signals) {
        loaded.load(OF, "access_signal", "signal_generate", types)?;
    }
    if told.contains(&Group::Capabilities) {
        // Older kernels have no such tracepoint; and without the places of those functions, memory itself would seem to
        // need a capability.
        let told = match silent_functions() {
            Some(spans) => {
                silent.set(0, spans, 0).map_err(of_map)?;
                loaded.load(OF, "access_capable", "cap_capable", types).is_ok()
            }
            None => false,
        };
        if !told {
            tiers.tiers.insert(Group::Capabilities, Tier::Nothing);
        }
    }
    Ok(Accesses::new(ring, seen, tiers))
}

/// The ring in a map.
pub(in crate::kernel) fn ring(events: &MapData) -> Result<Ring, KernelError> {
    let info = events.info().map_err(|error| KernelError::Read(io::Error::other(error)))?;
    Ring::new(events.fd().as_fd(), info.max_entries()).map_err(KernelError::Read)
}

/// Why the kernel calls no program at a hook, where that is so: one that can be attached may nevertheless not be called.
fn uncalled(loaded: &mut Loaded, types: &Btf) -> Result<Option<String>, KernelError> {
    let (program, hook) = ("hook_called", "file_open");
    if let Err(error) = loaded.check(program, hook, types) {
        return Ok(Some(why(hook, &error)));
    }
    let of_map = |error: MapError| KernelError::Read(io::Error::other(error));
    let called = MapData::from_fd(loaded.map(CALLED)?).map_err(of_map)?;
    let called: Array<_, u32> = Map::Array(called).try_into().map_err(of_map)?;
    // Some machines load what they cannot attach.
    let running = match loaded.attach(program, hook) {
        Ok(running) => running,
        Err(error) => return Ok(Some(why(hook, &error))),
    };
    drop(File::open("/proc/self/status").map_err(KernelError::Read)?);
    drop(running);
    let is_called = called.get(&0, 0).map_err(of_map)? != 0;
    let why = "the kernel calls none of them: lsm= of its command line has no bpf";
    Ok((!is_called).then(|| why.to_owned()))
}

/// Loads programs for hooks, all or none; the reason when it is none.
fn hooked(loaded: &mut Loaded, hooks: &[Hook], types: &Btf) -> Option<String> {
    for (program, hook) in hooks {
        if let Err(error) = loaded.check(program, hook, types) {
            return Some(why(hook, &error));
        }
    }
    for (program, hook) in hooks {
        loaded.ready(OF, program, hook);
    }
    None
}

fn why(hook: &str, error: &dyn Error) -> String {
    let mut why = format!("{hook}: {error}");
    let mut next = error.source();
    while let Some(error) = next {
        why = format!("{why}: {error}");
        next = error.source();
    }
    // What the verifier says is long; the reason is at its end.
    let end = why.char_indices().rev().nth(300).map_or(0, |(at, _)| at);
    why[end..].to_owned()
}

/// Where those functions begin and end, if the kernel says so.
fn silent_functions() -> Option<[u64; SPANS]> {
    spans(&std::fs::read("/proc/kallsyms").ok()?)
}

/// The same of lines such as `ffffffff81368280 T ns_capable_noaudit`, in any order: a function ends where the next begins.
fn spans(symbols: &[u8]) -> Option<[u64; SPANS]> {
    // There are more than a hundred thousand: going through them twice takes less than sorting them.
    let all = || symbols.split(|byte| *byte == b'\n').filter_map(symbol);
    let is_silent = |name: &[u8]| SILENT.iter().any(|silent| silent.as_bytes() == name);
    let starts = all().filter(|(_, name)| is_silent(name)).map(|(start, _)| start);
    let starts: BTreeSet<_> = starts.collect();
    let mut found: Vec<_> = starts.into_iter().map(|start| [start, u64::MAX]).collect();
    for (address, _) in all() {
        for [start, end] in &mut found {
            if address > *start && address < *end {
                *end = address;
            }
        }
    }
    let mut spans = [0; SPANS];
    for (to, from) in spans.iter_mut().zip(found.as_flattened()) {
        *to = *from;
    }
    // Whoever may not know addresses sees zeros.
    let known = spans[0] != 0 && !spans.contains(&u64::MAX);
    known.then_some(spans)
}

fn symbol(line: &[u8]) -> Option<(u64, &[u8])> {
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t'));
    let address = str::from_utf8(words.next()?).ok()?;
    Some((u64::from_str_radix(address, 16).ok()?, words.nth(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_ends_where_the_next_one_begins() {
        let symbols = b"0000000000000000 A fixed_percpu_data\n\
            ffff40 T has_capability_noaudit\nffff80 t another\nffff60 t inside.cold\t[module]\n\
            ffff20 T __vm_enough_memory\nffff10 T ns_capable_noaudit_of_another\nend of lines";
        let expected = [0x00ff_ff20, 0x00ff_ff40, 0x00ff_ff40, 0x00ff_ff60];
        let spans = spans(symbols).unwrap();
        assert_eq!(spans[..4], expected);
        assert_eq!(spans[4..], [0; SPANS - 4]);
    }

    #[test]
    fn where_addresses_are_not_told_there_are_none() {
        assert_eq!(spans(b"0000000000000000 T __vm_enough_memory\n0000000000000000 T b\n"), None);
        assert_eq!(spans(b"ffff20 T b\n"), None);
        assert_eq!(spans(b"ffff20 T __vm_enough_memory\nffff10 T b\n"), None);
        assert_eq!(spans(b""), None);
    }
}
