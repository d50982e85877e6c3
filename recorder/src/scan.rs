//! Which system calls programs can make at most, told from their files alone: what of their code, and of the libraries
//! that they load, can be reached from where they are entered.
//!
//! ```text
//!  file --> elf (pure) --> functions (pure) --> sites (pure) --> module: a graph with its calls
//!                            machine: what an instruction does           |
//!  root --> library: each file read once, what is needed first <---------+
//!              |
//!              +--> reach, plugins: what one program reaches --> report
//! ```
//!
//! It is an upper bound as far as it was told where numbers come from (`Report::unresolved`), which files are loaded
//! (`plugins`), and which other programs are started (name them as entry points). Code that a program makes while it
//! runs is not seen.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io,
    path::PathBuf,
};

use profile::{kinds::seccomp::Arch, syscall};
use serde::Serialize;

use library::{Library, Loaded};
use module::Call;
use reach::Reach;
use root::{Found, Root};

pub mod compare;
mod elf;
mod fact;
mod functions;
mod go;
mod library;
mod machine;
mod module;
mod plugins;
mod reach;
pub mod root;
mod script;
mod sites;
mod step;
mod texts;
mod unwind;
mod value;

/// Why nothing was scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("there is no program in it")]
    Nothing,
    #[error("cannot scan {path}: {why}")]
    Program { path: String, why: String },
}

/// What to scan.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Programs, by their paths in the root; none: all that are there.
    pub entrypoints: Vec<String>,
    /// Libraries that are loaded while they run, or folders with such, besides those that can be expected.
    pub plugins: Vec<String>,
}

/// A function in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct At {
    pub file: String,
    /// Its name, or its address where it has none.
    pub function: String,
}

/// A system call that can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reached {
    pub name: &'static str,
    pub arch: Arch,
    pub number: u32,
    /// The program that reaches it first.
    pub program: String,
    /// How: from function to function; the last one makes the call.
    pub path: Vec<At>,
}

/// A place where the kernel is called by a number that could not be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    #[serde(flatten)]
    pub at: At,
    pub address: u64,
    pub why: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub programs: Vec<String>,
    /// The files that were looked at.
    pub files: Vec<String>,
    /// Functions that are reached, and all.
    pub functions: (usize, usize),
    /// By architecture and name.
    pub calls: Vec<Reached>,
    /// How many calls are anywhere in these files, reached or not: what a search without a graph would find.
    pub anywhere: usize,
    pub unresolved: Vec<Place>,
    pub notes: Vec<String>,
}

/// Calls that no code of the program makes: the kernel begins it by the first, and goes on with a call that a signal has
/// interrupted by the second (`restart_syscall(2)`). On arm64 its own code also comes back from a signal's handler.
pub fn by_the_kernel(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::Aarch64 => &["execve", "restart_syscall", "rt_sigreturn"],
        _ => &["execve", "restart_syscall"],
    }
}

/// Scans programs in a root.
pub fn scan(root: &Root, scope: &Scope) -> Result<Report, ScanError> {
    let mut library = Library::new(root);
    let mut all = Union::default();
    if scope.entrypoints.is_empty() {
        for path in root.files("/") {
            let Ok(found) = root.find(&path) else { continue };
            if found.executable && is_program(&found) {
                // What is no program after all is none.
                drop(all.program(&mut library, &found, scope, false, 0));
            }
        }
    }
    for path in &scope.entrypoints {
        let open = |source| ScanError::Open { path: path.into(), source };
        let found = root.find(path).map_err(open)?;
        all.program(&mut library, &found, scope, true, 0)?;
    }
    if all.programs.is_empty() {
        return Err(ScanError::Nothing);
    }
    Ok(all.report(&library))
}

/// By its first bytes: ELF, or a script.
fn is_program(found: &Found) -> bool {
    found.head(4).is_ok_and(|head| head == b"\x7fELF" || head.starts_with(b"#!"))
}

/// What several programs reach.
#[derive(Default)]
struct Union {
    programs: BTreeSet<String>,
    done: HashSet<root::Identity>,
    files: BTreeSet<String>,
    functions: (usize, usize),
    calls: BTreeMap<Call, Reached>,
    anywhere: BTreeSet<Call>,
    unresolved: BTreeSet<Place>,
    notes: BTreeSet<String>,
}

impl Union {
    /// Scans a program. `asked`: it is to be a program, and no library. `depth`: so many scripts lead to it.
    fn program(
        &mut self,
        library: &mut Library<'_>,
        found: &Found,
        scope: &Scope,
        asked: bool,
        depth: u8,
    ) -> Result<(), ScanError> {
        let failed = |why: String| ScanError::Program { path: found.path.clone(), why };
        if self.done.contains(&found.identity) {
            return Ok(());
        }
        let head = found.head(script::LINE).map_err(|error| failed(error.to_string()))?;
        if head.starts_with(b"#!") {
            let interpreters = script::interpreters(library.root, &head);
            if interpreters.is_empty() {
                return Err(failed("its interpreter is not there".to_owned()));
            }
            if depth >= script::DEEPEST {
                return Err(failed("its interpreter is a script, and so on".to_owned()));
            }
            for interpreter in &interpreters {
                self.program(library, interpreter, scope, true, depth + 1)?;
            }
            self.done.insert(found.identity);
            self.programs.insert(found.path.clone());
            return Ok(());
        }
        let before = library.unread.clone();
        let Some(loaded) = library.load(found) else {
            let why = library.unread.difference(&before).next();
            let why =
                why.or_else(|| library.unread.iter().find(|why| why.starts_with(&*found.path)));
            return Err(failed(why.cloned().unwrap_or_else(|| "it cannot be read".to_owned())));
        };
        if !loaded.module.program && !asked {
            return Ok(());
        }
        self.done.insert(found.identity);
        self.programs.insert(found.path.clone());
        let reach = reached(library, &loaded, scope);
        self.take(&found.path, &loaded, &reach);
        Ok(())
    }

    fn take(&mut self, path: &str, loaded: &Loaded, reach: &Reach) {
        let at = |(file, function): (std::sync::Arc<str>, String)| At {
            file: (*file).to_owned(),
            function,
        };
        self.files.extend(reach.files.iter().map(|file| (*file.path).to_owned()));
        let modules = reach.files.iter().map(|file| &file.module);
        self.anywhere.extend(modules.flat_map(|module| module.calls.values().flatten()));
        let (some, all) = reach.counts();
        self.functions = (self.functions.0 + some, self.functions.1 + all);
        for (call, place) in reach.calls() {
            let Some(name) = call.name() else { continue };
            self.calls.entry(call).or_insert_with(|| Reached {
                name,
                arch: call.arch,
                number: call.number,
                program: path.to_owned(),
                path: reach.way(place).into_iter().map(at).collect(),
            });
        }
        let arch = loaded.module.arch;
        for &name in by_the_kernel(arch) {
            let Some(number) = syscall::number(arch, name) else { continue };
            let program = path.to_owned();
            let by = Reached { name, arch, number, program, path: Vec::new() };
            self.calls.entry(Call { arch, number }).or_insert(by);
        }
        for (place, unresolved) in reach.unresolved() {
            let why = match unresolved.why {
                module::Why::Unknown => "the number cannot be told".to_owned(),
                module::Why::Passed => {
                    "the address of a function that makes any call is passed on".to_owned()
                }
                module::Why::NoCall(number) => format!("there is no call {number}"),
            };
            let (at, address) = (at(reach.shown(place)), unresolved.address);
            self.unresolved.insert(Place { at, address, why });
        }
        if loaded.module.needed.is_empty() && loaded.module.interpreter.is_none() {
            self.notes.insert(format!(
                "{path} is linked statically: what it loads with dlopen, if it does, is not known"
            ));
        }
        if loaded.module.arch == Arch::X86 {
            self.notes.insert(format!(
                "{path} is for i386: addresses are not followed there, so all functions count as reached"
            ));
        }
    }

    fn report(self, library: &Library<'_>) -> Report {
        let mut calls: Vec<_> = self.calls.into_values().collect();
        calls.sort_by_key(|call| (call.arch, call.name));
        let mut notes = self.notes;
        notes.extend(library.unread.iter().cloned());
        if calls.iter().any(|call| call.name == "execve" && !call.path.is_empty()) {
            notes.insert(
                "programs that these start are not looked at: name them as entry points, too"
                    .to_owned(),
            );
        }
        Report {
            programs: self.programs.into_iter().collect(),
            files: self.files.into_iter().collect(),
            functions: self.functions,
            calls,
            anywhere: self.anywhere.len(),
            unresolved: self.unresolved.into_iter().collect(),
            notes: notes.into_iter().collect(),
        }
    }
}

/// What one program reaches.
fn reached(library: &mut Library<'_>, loaded: &Loaded, scope: &Scope) -> Reach {
    let mut reach = Reach::default();
    reach.add(loaded, false);
    plugins::needed(library, &mut reach, loaded);
    if let Some(interpreter) = &loaded.module.interpreter {
        let found = library.root.find(interpreter).ok();
        if let Some(loaded) = found.and_then(|found| library.load(&found)) {
            reach.add(&loaded, false);
        } else {
            library.unread.insert(format!("{}: {interpreter} is not there", loaded.path));
        }
    }
    reach.starts();
    plugins::load(library, &mut reach, &scope.plugins);
    reach
}
