//! What can be reached in one program: from where it and its libraries are entered, from function to function and
//! from file to file.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use profile::kinds::seccomp::Arch;

use super::{
    library::Loaded,
    module::{Call, Module, Target, Unresolved},
};

/// A function: its file's number, its own.
type Place = (u32, u32);

/// How many functions of a way are told.
const SHOWN: usize = 12;

/// The files of one program, and what was reached in them.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    pub(crate) files: Vec<Loaded>,
    /// How many files it is started with.
    started: u32,
    /// Whether a file may be used through any function that it offers.
    plugins: Vec<bool>,
    there: HashMap<super::root::Identity, u32>,
    /// The file that gives a name first, and its functions.
    names: HashMap<String, (u32, Vec<u32>)>,
    /// Names that nothing gave when they were reached, and who wanted them first.
    wanted: HashMap<String, Option<Place>>,
    from: Vec<HashMap<u32, Option<Place>>>,
    left: VecDeque<Place>,
    reached: HashSet<String>,
}

impl Reach {
    /// Takes a file in, after those that are there. One that is loaded by name may be used through anything that it offers.
    pub(crate) fn add(&mut self, loaded: &Loaded, plugin: bool) {
        if let Some(file) = self.there.get(&loaded.identity).copied() {
            // What the program itself needs is used by the names that code has, or looks for.
            if plugin && file >= self.started && !self.plugins[file as usize] {
                self.plugins[file as usize] = true;
                self.open(file);
            }
            return;
        }
        let Ok(file) = u32::try_from(self.files.len()) else { return };
        self.there.insert(loaded.identity, file);
        self.files.push(loaded.clone());
        self.plugins.push(plugin);
        self.from.push(HashMap::new());
        for (name, functions) in &loaded.module.exports {
            if !self.names.contains_key(name) {
                self.names.insert(name.clone(), (file, functions.clone()));
            }
            if let Some(by) = self.wanted.remove(name) {
                for function in functions {
                    self.reach((file, *function), by);
                }
            }
        }
        for entry in &loaded.module.entries {
            self.reach((file, *entry), None);
        }
        if loaded.module.arch == Arch::X86 {
            // Code of i386 has addresses relative to a register, which are not followed.
            for function in (0..).take(loaded.module.functions.len()) {
                self.reach((file, function), None);
            }
        }
        if plugin {
            self.open(file);
        }
    }

    /// Says that what is added from here on is loaded while it runs.
    pub(crate) fn starts(&mut self) {
        self.started = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
    }

    /// Whether a file is there.
    pub(crate) fn has(&self, loaded: &Loaded) -> bool {
        self.there.contains_key(&loaded.identity)
    }

    fn open(&mut self, file: u32) {
        let module = Arc::clone(&self.files[file as usize].module);
        for function in module.exports.values().flatten() {
            self.reach((file, *function), None);
        }
    }

    /// Reaches what a name stands for, without anybody who calls it.
    pub(crate) fn find(&mut self, name: &str) {
        self.named(name, None);
    }

    /// Goes on until nothing new is reached.
    pub(crate) fn run(&mut self) {
        while let Some((file, function)) = self.left.pop_front() {
            let module = Arc::clone(&self.files[file as usize].module);
            for target in module.targets.get(function as usize).into_iter().flatten() {
                self.target(file, &module, *target, Some((file, function)));
            }
        }
    }

    fn target(&mut self, file: u32, module: &Module, target: Target, by: Option<Place>) {
        match target {
            Target::Here(function) => self.reach((file, function), by),
            Target::Name(number) => {
                if let Some(name) = module.names.get(number as usize) {
                    self.named(name, by);
                }
            }
        }
    }

    fn named(&mut self, name: &str, by: Option<Place>) {
        self.reached.insert(name.to_owned());
        match self.names.get(name).cloned() {
            Some((file, functions)) => {
                for function in functions {
                    self.reach((file, function), by);
                }
            }
            None => drop(self.wanted.entry(name.to_owned()).or_insert(by)),
        }
    }

    fn reach(&mut self, place: Place, by: Option<Place>) {
        let file = &mut self.from[place.0 as usize];
        let first = file.is_empty();
        if file.contains_key(&place.1) {
            return;
        }
        file.insert(place.1, by);
        self.left.push_back(place);
        if first {
            // From here on, its data may be used.
            let module = Arc::clone(&self.files[place.0 as usize].module);
            for pointer in &module.pointers {
                self.target(place.0, &module, *pointer, None);
            }
        }
    }

    /// Whether any file calls a function by this name, or has its address.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.reached.contains(name)
    }

    /// Whether a file gives this name.
    pub(crate) fn gives(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// All names that are given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// How many functions were reached, of how many.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let all = self.files.iter().map(|file| file.module.functions.len()).sum();
        (self.from.iter().map(HashMap::len).sum(), all)
    }

    /// The calls that were reached, each with a way to it: function by function, the last of them makes it.
    pub(crate) fn calls(&self) -> BTreeMap<Call, Place> {
        let mut calls = BTreeMap::new();
        for (file, reached) in (0..).zip(&self.from) {
            let module = &self.files[file as usize].module;
            for (function, made) in &module.calls {
                if reached.contains_key(function) {
                    for call in made {
                        calls.entry(*call).or_insert((file, *function));
                    }
                }
            }
        }
        calls
    }

    /// Where a number could not be told, in what was reached.
    pub(crate) fn unresolved(&self) -> BTreeSet<(Place, Unresolved)> {
        let files = (0..).zip(&self.from);
        let all = files.flat_map(|(file, reached)| {
            let places = self.files[file as usize].module.unresolved.iter();
            let places = places.filter(|(function, _)| reached.contains_key(function));
            places.flat_map(move |(function, all)| {
                all.iter().map(move |unresolved| ((file, *function), *unresolved))
            })
        });
        all.collect()
    }

    /// The path of the file, and the function in it.
    pub(crate) fn shown(&self, place: Place) -> (Arc<str>, String) {
        let file = &self.files[place.0 as usize];
        let function = &file.module.functions[place.1 as usize];
        let name = if function.name.is_empty() {
            format!("{:#x}", function.range.start)
        } else {
            function.name.clone()
        };
        (Arc::clone(&file.path), name)
    }

    /// The functions by which a place is reached, from the first on.
    pub(crate) fn way(&self, place: Place) -> Vec<(Arc<str>, String)> {
        let mut way = vec![self.shown(place)];
        let mut at = place;
        while let Some(Some(before)) = self.from[at.0 as usize].get(&at.1) {
            if way.len() >= SHOWN {
                break;
            }
            way.push(self.shown(*before));
            at = *before;
        }
        way.reverse();
        way
    }
}
