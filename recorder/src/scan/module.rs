//! One file as a graph: its functions, what each goes on to, and which system calls each makes. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use profile::{kinds::seccomp::Arch, syscall};

use super::{
    elf::{ElfError, Image, Slot},
    fact::Kind,
    functions::{Code, Function, behind_vdso, words},
    sites::{Site, Sites},
    step::Place,
};

/// What a function goes on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// The function with this number.
    Here(u32),
    /// What has the name with this number, in whatever file.
    Name(u32),
}

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Call {
    pub(crate) arch: Arch,
    pub(crate) number: u32,
}

impl Call {
    /// Its name, where it has one.
    pub(crate) fn name(self) -> Option<&'static str> {
        syscall::name(self.arch, self.number)
    }
}

/// A function that makes the call whose number it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Wrapper {
    /// Where the number is when the function begins.
    pub(crate) place: Place,
    pub(crate) arch: Arch,
}

/// Functions of other files that are wrappers, by name.
pub(crate) type Wrappers = HashMap<String, BTreeSet<Wrapper>>;

/// Where a number could not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unresolved {
    pub(crate) address: u64,
    pub(crate) why: Why,
}

/// Why a number could not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// It comes from memory, or is reckoned.
    Unknown,
    /// A function that makes any call is passed on by its address.
    Passed,
    /// There is no call with this number.
    NoCall(u64),
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) arch: Arch,
    /// Whether it can be started, and is no library.
    pub(crate) program: bool,
    pub(crate) interpreter: Option<String>,
    pub(crate) needed: Vec<String>,
    /// Where that is to be looked for first.
    pub(crate) paths: Vec<String>,
    pub(crate) functions: Vec<Function>,
    /// Names that targets have.
    pub(crate) names: Vec<String>,
    /// What each function calls, jumps to, or takes the address of.
    pub(crate) targets: Vec<Vec<Target>>,
    pub(crate) calls: BTreeMap<u32, BTreeSet<Call>>,
    pub(crate) unresolved: BTreeMap<u32, BTreeSet<Unresolved>>,
    /// Where it is entered.
    pub(crate) entries: Vec<u32>,
    /// Functions whose addresses are in its data.
    pub(crate) pointers: Vec<Target>,
    pub(crate) exports: HashMap<String, Vec<u32>>,
    pub(crate) wrappers: Wrappers,
    /// Names that it loads or looks for by, it may be.
    pub(crate) texts: Vec<String>,
}

/// What a file needs before it can be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Needs {
    pub(crate) arch: Arch,
    pub(crate) interpreter: Option<String>,
    pub(crate) needed: Vec<String>,
    /// Where it is to be looked for first.
    pub(crate) paths: Vec<String>,
}

impl Module {
    /// Reads what a file needs.
    pub(crate) fn needs(bytes: &[u8]) -> Result<Needs, ElfError> {
        let image = Image::parse(bytes)?;
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        // The older of the two is for where the newer one is missing.
        let paths = if image.runpath.is_empty() { &image.rpath } else { &image.runpath };
        let interpreter = image.interpreter.map(str::to_owned);
        let needed = owned(&image.needed);
        Ok(Needs { arch: image.arch, interpreter, needed, paths: owned(paths) })
    }

    /// Reads a file; `known` are the wrappers of the files that it needs.
    pub(crate) fn read(bytes: &[u8], known: &Wrappers) -> Result<Self, ElfError> {
        let image = Image::parse(bytes)?;
        let code = Code::read(&image);
        let mut graph = Graph::new(&image, &code);
        graph.data();
        graph.facts();
        let found = super::sites::calls(&image, &code, &graph.sites, known);
        let mut calls = found.calls;
        // The dynamic linker only looks up what others call, and those say so themselves.
        if !image.soname.is_some_and(|name| name.starts_with("ld-")) {
            for (function, call) in graph.vdso {
                calls.entry(function).or_default().insert(call);
            }
        }
        let mut exports: HashMap<String, Vec<u32>> = HashMap::new();
        let mut wrappers = Wrappers::new();
        for symbol in image.functions.iter().filter(|symbol| symbol.exported) {
            let Some(function) = code.find(symbol.address) else { continue };
            exports.entry(symbol.name.to_owned()).or_default().push(function);
            if let Some(found) = found.wrappers.get(&function) {
                wrappers.entry(symbol.name.to_owned()).or_default().extend(found);
            }
        }
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let names: Vec<String> = graph.names.iter().map(|name| (*name).to_owned()).collect();
        let texts = super::texts::texts(&image, &exports, &names);
        Ok(Self {
            arch: image.arch,
            program: image.program,
            interpreter: image.interpreter.map(str::to_owned),
            needed: owned(&image.needed),
            paths: owned(if image.runpath.is_empty() { &image.rpath } else { &image.runpath }),
            entries: image.entries.iter().filter_map(|entry| code.find(*entry)).collect(),
            pointers: graph.pointers.into_iter().collect(),
            targets: graph.targets,
            unresolved: found.unresolved,
            functions: code.functions,
            names,
            calls,
            exports,
            wrappers,
            texts,
        })
    }
}

struct Graph<'g, 'a> {
    image: &'g Image<'a>,
    code: &'g Code,
    names: Vec<&'a str>,
    numbers: HashMap<&'a str, u32>,
    targets: Vec<Vec<Target>>,
    pointers: BTreeSet<Target>,
    sites: Sites<'a>,
    vdso: Vec<(u32, Call)>,
}

impl<'g, 'a> Graph<'g, 'a> {
    fn new(image: &'g Image<'a>, code: &'g Code) -> Self {
        Self {
            image,
            code,
            names: Vec::new(),
            numbers: HashMap::new(),
            targets: vec![Vec::new(); code.functions.len()],
            pointers: BTreeSet::new(),
            sites: Sites::default(),
            vdso: Vec::new(),
        }
    }

    fn name(&mut self, name: &'a str) -> Target {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.names.push(name);
        }
        Target::Name(number)
    }

    fn slot(&mut self, slot: Slot<'a>) -> Option<Target> {
        match slot {
            Slot::Name(name) => Some(self.name(name)),
            Slot::Here(address) | Slot::Chosen(address) => {
                self.code.find(address).map(Target::Here)
            }
        }
    }

    /// Pointers in data. Those that the code jumps through are not: the code says which.
    fn data(&mut self) {
        let through: std::collections::HashSet<u64> = self
            .code
            .facts
            .iter()
            .filter_map(|fact| match fact.kind {
                Kind::CallBy(place) | Kind::JumpBy(place) | Kind::Read(place) => Some(place),
                _ => None,
            })
            .collect();
        let mut places: Vec<_> = self.image.slots.iter().collect();
        places.sort_by_key(|(place, _)| **place);
        for (place, slot) in places {
            // Through a table that is written once, nothing else is reached.
            if through.contains(place) && matches!(slot, Slot::Name(_) | Slot::Chosen(_)) {
                continue;
            }
            if let Some(target) = self.slot(*slot) {
                self.pointers.insert(target);
            }
        }
        // What looks like a pointer there is one.
        let words = words(self.image).filter_map(|address| self.code.meant(address));
        self.pointers.extend(words.map(Target::Here));
    }

    fn facts(&mut self) {
        let code = self.code;
        for fact in &code.facts {
            let Some(function) = code.find(fact.at) else { continue };
            let here = |address: u64| code.find(address).map(Target::Here);
            let (target, tail) = match fact.kind {
                Kind::Call(to) => (here(to), Some(false)),
                Kind::Jump(to) | Kind::Runs(to) => (here(to), Some(true)),
                Kind::CallBy(place) => (self.by(place), Some(false)),
                Kind::JumpBy(place) => (self.by(place), Some(true)),
                Kind::Read(place) => (self.by(place), None),
                Kind::Address(address) => {
                    self.vdso(function, address);
                    // Where addresses are numbers, not every number is an address.
                    let meant = self.code.meant(address).map(Target::Here);
                    (if self.image.fixed { meant } else { here(address) }, None)
                }
                Kind::Kernel(arch) => {
                    self.sites.kernel.push((function, fact.at, arch));
                    continue;
                }
                Kind::Leaves => continue,
            };
            let Some(target) = target else { continue };
            if target != Target::Here(function) {
                let at = if let Kind::Runs(to) = fact.kind { to } else { fact.at };
                self.targets[function as usize].push(target);
                self.sites.all.push(Site { at, function, target, tail });
            }
        }
        self.fall_through();
        for targets in &mut self.targets {
            targets.sort_unstable();
            targets.dedup();
            targets.shrink_to_fit();
        }
        self.sites.names.clone_from(&self.names);
        self.sites.pointers.clone_from(&self.pointers);
    }

    fn by(&mut self, place: u64) -> Option<Target> {
        let slot = *self.image.slots.get(&place)?;
        self.slot(slot)
    }

    fn vdso(&mut self, function: u32, address: u64) {
        let Some(name) = behind_vdso(self.image, address) else { return };
        if let Some(number) = syscall::number(self.image.arch, name) {
            self.vdso.push((function, Call { arch: self.image.arch, number }));
        }
    }

    /// Pieces of code that no table tells of may run on into one another.
    fn fall_through(&mut self) {
        for number in 1..self.code.functions.len() {
            let (before, after) = (&self.code.functions[number - 1], &self.code.functions[number]);
            let start = after.range.start;
            let inside = self.code.is_gap(start) && self.code.is_gap(start.saturating_sub(1));
            if before.range.end != start || !inside || !self.code.next.contains(&start) {
                continue;
            }
            let (Ok(from), Ok(to)) = (u32::try_from(number - 1), u32::try_from(number)) else {
                return;
            };
            let target = Target::Here(to);
            self.targets[number - 1].push(target);
            self.sites.all.push(Site { at: start, function: from, target, tail: Some(true) });
        }
    }
}
