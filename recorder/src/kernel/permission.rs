//! What SELinux has reported of each container, as `bpf/avc.h` keeps it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{self, BufReader},
};

use aya::maps::{Array, HashMap as Table, Map, MapData, MapError};

use super::{KernelError, loaded::Loaded};
use crate::seen::Permission;

/// Changes whenever the tables mean something else, or are of another form.
pub(super) const FORM: u32 = 1;

/// Variables of the kernel that the programs need, in the order of `enum variable`.
const VARIABLES: [&str; 2] = ["secclass_map", "selinux_blob_sizes"];

/// `CONTEXT`, `WORDING` and `CLASS_ITSELF` of `bpf/avc.h`.
const CONTEXT: usize = 256;
const WORDING: usize = 32;
const CLASS_ITSELF: u32 = 32;

/// `struct asked`: a namespace in two halves, the numbers of two contexts, that of a class, and nothing.
type Key = [u32; 6];

/// Who asks for what: context, context, class, by the kernel's numbers.
type Ask = [u32; 3];

/// The contexts that programs were started under, by namespace.
type Domains = BTreeMap<u64, BTreeSet<u32>>;

/// What is asked for, a bit for each permission, by namespace.
type Entry = (u64, Ask, u64);

/// The tables in the kernel, and what of them was told already.
#[derive(Debug)]
pub(super) struct Permissions {
    entries: Table<MapData, Key, u64>,
    contexts: Table<MapData, u32, [u8; CONTEXT]>,
    wordings: Table<MapData, [u32; 2], [u8; WORDING]>,
    /// The contexts, by number, that programs were started under in a namespace.
    domains: Table<MapData, [u32; 4], u32>,
    told: HashMap<(u64, Ask), u64>,
}

impl Permissions {
    /// Finds the tables, and tells the programs where the kernel's own names of permissions are.
    pub(super) fn new(loaded: &Loaded) -> Result<Self, KernelError> {
        let addresses = addresses(VARIABLES);
        if addresses[0] == 0 {
            return Err(KernelError::Unnamed);
        }
        let read = |error| KernelError::Read(of_map(error));
        let mut variables: Array<_, u64> =
            Map::Array(data(loaded, "variables")?).try_into().map_err(read)?;
        for (place, address) in (0..).zip(addresses) {
            variables.set(place, address, 0).map_err(read)?;
        }
        let data = |name| data(loaded, name);
        Self::of(data("permissions")?, data("contexts")?, data("wordings")?, data("domains")?)
    }

    /// Of the tables alone: nothing has to run any more that fills them.
    pub(super) fn of(
        entries: MapData,
        contexts: MapData,
        wordings: MapData,
        domains: MapData,
    ) -> Result<Self, KernelError> {
        let read = |error| KernelError::Read(of_map(error));
        Ok(Self {
            entries: Map::HashMap(entries).try_into().map_err(read)?,
            contexts: Map::HashMap(contexts).try_into().map_err(read)?,
            wordings: Map::HashMap(wordings).try_into().map_err(read)?,
            domains: Map::HashMap(domains).try_into().map_err(read)?,
            told: HashMap::new(),
        })
    }

    /// Tells what was not told yet, with the namespace that asked for it.
    pub(super) fn drain(&mut self, tell: &mut dyn FnMut(u64, Permission)) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in &self.entries {
            let (key, bits) = entry.map_err(of_map)?;
            let [low, high, source, target, class, _] = key;
            entries.push((namespace(low, high), [source, target, class], bits));
        }
        let mut domains = Domains::new();
        for key in self.domains.keys() {
            let [low, high, sid, _] = key.map_err(of_map)?;
            domains.entry(namespace(low, high)).or_default().insert(sid);
        }
        for (namespace, ask, bits) in shared(&entries, &domains) {
            let told = self.told.entry((namespace, ask)).or_default();
            let new = bits & !*told;
            *told |= new;
            for bit in (0..32).filter(|bit| new & 1 << bit != 0) {
                tell(namespace, self.words(ask, bit)?);
            }
        }
        Ok(())
    }

    /// Makes room: drops what is there of namespaces that are gone.
    pub(super) fn forget(&mut self, gone: &BTreeSet<u64>) -> io::Result<()> {
        let keys: Result<Vec<_>, _> = self.domains.keys().collect();
        for key in keys.map_err(of_map)? {
            if gone.contains(&namespace(key[0], key[1])) {
                self.domains.remove(&key).map_err(of_map)?;
            }
        }
        let keys: Result<Vec<_>, _> = self.entries.keys().collect();
        for key in keys.map_err(of_map)? {
            if gone.contains(&namespace(key[0], key[1])) {
                self.entries.remove(&key).map_err(of_map)?;
            }
        }
        self.told.retain(|(namespace, _), _| !gone.contains(namespace));
        Ok(())
    }

    fn words(&self, [source, target, class]: Ask, bit: u32) -> io::Result<Permission> {
        let context = |sid: u32| self.contexts.get(&sid, 0).map(|bytes| text(&bytes));
        let word = |number: u32| self.wordings.get(&[class, number], 0).map(|bytes| text(&bytes));
        Ok(Permission {
            scontext: context(source).map_err(of_map)?,
            tcontext: context(target).map_err(of_map)?,
            tclass: word(CLASS_ITSELF).map_err(of_map)?,
            permission: word(bit).map_err(of_map)?,
        })
    }
}

/// What each namespace asks for, or may have asked for.
///
/// The kernel reports once what is asked for with one context, whichever container asks first: what others with exactly
/// this context ask for then is not seen. Each of them gets what any of them was seen asking for. What was asked for
/// with a context that no program was started under is a runtime's, before the container's first program began; where
/// none was seen to start, as the container ran already, all is told.
fn shared(entries: &[Entry], domains: &Domains) -> Vec<Entry> {
    let mut by_context = BTreeMap::<u32, (BTreeSet<u64>, BTreeMap<Ask, u64>)>::new();
    for (namespace, ask, bits) in entries {
        let (namespaces, asks) = by_context.entry(ask[0]).or_default();
        if domains.get(namespace).is_none_or(|domains| domains.contains(&ask[0])) {
            namespaces.insert(*namespace);
        }
        *asks.entry(*ask).or_default() |= bits;
    }
    for (namespace, contexts) in domains {
        for context in contexts {
            if let Some((namespaces, _)) = by_context.get_mut(context) {
                namespaces.insert(*namespace);
            }
        }
    }
    let each = by_context.values().flat_map(|(namespaces, asks)| {
        namespaces
            .iter()
            .flat_map(|namespace| asks.iter().map(|(ask, bits)| (*namespace, *ask, *bits)))
    });
    each.collect()
}

/// Where the kernel has variables of these names; 0 where it does not say: it has no names of variables, or hides
/// addresses from whoever lacks `CAP_SYSLOG`.
fn addresses<const N: usize>(variables: [&str; N]) -> [u64; N] {
    File::open("/proc/kallsyms").map_or([0; N], |symbols| find(BufReader::new(symbols), variables))
}

fn find<const N: usize>(symbols: impl io::BufRead, variables: [&str; N]) -> [u64; N] {
    let mut found = [0; N];
    for line in symbols.lines().map_while(Result::ok) {
        // ADDRESS KIND NAME, and a module in brackets, which would be another variable.
        let mut words = line.split_ascii_whitespace();
        let (address, name, module) = (words.next(), words.nth(1), words.next());
        let place = variables.iter().position(|variable| Some(*variable) == name);
        if let (Some(place), Some(address), None) = (place, address, module) {
            found[place] = u64::from_str_radix(address, 16).unwrap_or_default();
        }
    }
    found
}

fn data(loaded: &Loaded, name: &'static str) -> Result<MapData, KernelError> {
    MapData::from_fd(loaded.map(name)?).map_err(|error| KernelError::Read(of_map(error)))
}

fn of_map(error: MapError) -> io::Error {
    io::Error::other(error)
}

/// As the number lies in memory, in halves.
fn namespace(low: u32, high: u32) -> u64 {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&low.to_ne_bytes());
    bytes[4..].copy_from_slice(&high.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_with_one_context_get_what_any_of_them_asked_for() {
        let entries =
            [(7, [1, 10, 6], 0b01), (8, [1, 10, 6], 0b10), (8, [1, 11, 6], 1), (9, [2, 10, 6], 4)];
        assert_eq!(
            shared(&entries, &Domains::new()),
            [
                (7, [1, 10, 6], 0b11),
                (7, [1, 11, 6], 1),
                (8, [1, 10, 6], 0b11),
                (8, [1, 11, 6], 1),
                (9, [2, 10, 6], 4),
            ]
        );
    }

    #[test]
    fn a_container_of_which_nothing_was_reported_gets_what_others_of_its_context_asked_for() {
        let entries = [(7, [1, 10, 6], 1)];
        let domains = Domains::from([(7, [1].into()), (8, [1].into()), (9, [2].into())]);
        assert_eq!(shared(&entries, &domains), [(7, [1, 10, 6], 1), (8, [1, 10, 6], 1)]);
    }

    #[test]
    fn what_the_runtime_asks_for_before_the_first_program_is_none_of_the_containers() {
        let entries = [(7, [5, 10, 6], 1), (7, [1, 10, 6], 2)];
        let domains = Domains::from([(7, [1].into())]);
        assert_eq!(shared(&entries, &domains), [(7, [1, 10, 6], 2)]);
    }

    #[test]
    fn variables_are_found_by_their_whole_names_where_addresses_are_shown() {
        let symbols = "ffffffff82066280 D secclass_map_size\nffffffffc0066280 d secclass_map\t[module]\n\
                       ffffffff82066288 D secclass_map\n0000000000000000 d hidden\n";
        let found = find(symbols.as_bytes(), ["hidden", "secclass_map", "none"]);
        assert_eq!(found, [0, 0xffff_ffff_8206_6288, 0]);
    }

    #[test]
    fn a_namespace_is_read_as_it_lies_in_memory() {
        let id: u64 = 0x0123_4567_89ab_cdef;
        let bytes = id.to_ne_bytes();
        let half = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(namespace(half(0), half(4)), id);
    }
}
