//! The lists of paths of a profile. Pure.

use std::collections::BTreeSet;

use profile::kinds::apparmor::{Abstract, ExecutableRules, FilesystemRules};

use crate::seen::{
    Files, Ways,
    fold::{self, Use},
};

/// No list can have more (the schema of the kind says so).
const PATHS_MAX: usize = 1024;

/// No path can be longer.
const PATH_MAX: usize = 1024;

/// Each path in as few lists as give it all its rights.
#[derive(Debug, Default)]
pub(super) struct Lists {
    run: BTreeSet<String>,
    loaded: BTreeSet<String>,
    read: BTreeSet<String>,
    written: BTreeSet<String>,
    both: BTreeSet<String>,
}

impl Lists {
    pub(super) fn new(
        files: &Files,
        general: impl Fn(&str) -> String,
        left: &mut BTreeSet<String>,
    ) -> Self {
        let mut lists = Self::default();
        for (pattern, ways) in files.iter() {
            let pattern = general(pattern);
            if pattern.len() > PATH_MAX || !pattern.starts_with('/') {
                let start: String = pattern.chars().take(64).collect();
                left.insert(format!("{start}…: no path that a rule can have"));
                continue;
            }
            lists.take(&pattern, ways);
        }
        lists.fold(left);
        lists
    }

    fn take(&mut self, pattern: &str, ways: Ways) {
        let into = |set: &mut BTreeSet<String>| {
            set.insert(pattern.to_owned());
        };
        // To lock a file is to write it, as far as fields say. The kernel asks for the right to read what is renamed, and
        // a link must have no rights that the file has not: both ends get both.
        let changes = Ways::WRITE | Ways::CREATE | Ways::REMOVE | Ways::LOCK;
        let moves = Ways::RENAME | Ways::LINK;
        let (writes, reads) = (ways.has(changes | moves), ways.has(Ways::READ | moves));
        if ways.has(Ways::EXEC) {
            into(&mut self.run);
        } else if ways.has(Ways::MAP_EXEC) {
            into(&mut self.loaded);
        }
        match (reads, writes) {
            (true, true) => into(&mut self.both),
            (false, true) => into(&mut self.written),
            // What may be run or loaded may be read.
            (true, false) if !ways.has(Ways::EXEC | Ways::MAP_EXEC) => into(&mut self.read),
            _ => {}
        }
    }

    /// Puts paths together where they are many, and as far as needed where they are more than a list can have.
    fn fold(&mut self, left: &mut BTreeSet<String>) {
        // Each program that is run is a rule of its own, as long as there is room.
        if self.run.len() > PATHS_MAX {
            self.run = fold::folded(std::mem::take(&mut self.run), Use::Changed, PATHS_MAX);
        }
        for (list, used) in [
            (&mut self.loaded, Use::Read),
            (&mut self.read, Use::Read),
            (&mut self.written, Use::Changed),
            (&mut self.both, Use::Changed),
        ] {
            *list = fold::folded(std::mem::take(list), used, PATHS_MAX);
        }
        // What was read and written one file at a time is neither alone.
        let together: Vec<_> = self.read.intersection(&self.written).cloned().collect();
        for pattern in together {
            self.read.remove(&pattern);
            self.written.remove(&pattern);
            self.both.insert(pattern);
        }
        self.read.retain(|pattern| !self.both.contains(pattern));
        self.written.retain(|pattern| !self.both.contains(pattern));
        for (list, what) in [
            (&mut self.run, "run"),
            (&mut self.loaded, "loaded"),
            (&mut self.read, "read"),
            (&mut self.written, "written"),
            (&mut self.both, "read and written"),
        ] {
            let beyond = list.len().saturating_sub(PATHS_MAX);
            if beyond > 0 {
                left.insert(format!(
                    "{beyond} paths that were {what}: a profile has at most {PATHS_MAX}, and these have no folder that \
                     could be one rule"
                ));
                *list = std::mem::take(list).into_iter().take(PATHS_MAX).collect();
            }
        }
    }

    pub(super) fn executable(&self) -> Option<ExecutableRules> {
        (!self.run.is_empty() || !self.loaded.is_empty()).then(|| ExecutableRules {
            allowed_executables: list(&self.run),
            allowed_libraries: list(&self.loaded),
        })
    }

    pub(super) fn filesystem(&self) -> Option<FilesystemRules> {
        let Self { read, written, both, .. } = self;
        let any = [read, written, both].iter().any(|list| !list.is_empty());
        any.then(|| FilesystemRules {
            read_only_paths: list(read),
            write_only_paths: list(written),
            read_write_paths: list(both),
            denied_paths: Vec::new(),
        })
    }
}

/// Puts paths together where a list has more than it can, and leaves out what even so has no place; says both.
pub(super) fn fit(rules: &mut Abstract) -> Vec<String> {
    let mut told = Vec::new();
    let mut fit = |field: &str, paths: &mut Vec<String>, used| {
        let before = paths.len();
        if before <= PATHS_MAX {
            return;
        }
        *paths = fold::folded(paths.drain(..).collect(), used, PATHS_MAX).into_iter().collect();
        told.push(format!(
            "{field}: {before} paths are more than the {PATHS_MAX} that a list can have; those of folders with many are one now"
        ));
        let beyond = paths.len().saturating_sub(PATHS_MAX);
        if beyond > 0 {
            paths.truncate(PATHS_MAX);
            told.push(format!("{field}: {beyond} paths had no place even so, and are not allowed"));
        }
    };
    if let Some(programs) = &mut rules.executable {
        fit("executable.allowedExecutables", &mut programs.allowed_executables, Use::Changed);
        fit("executable.allowedLibraries", &mut programs.allowed_libraries, Use::Read);
    }
    if let Some(files) = &mut rules.filesystem {
        fit("filesystem.readOnlyPaths", &mut files.read_only_paths, Use::Read);
        fit("filesystem.writeOnlyPaths", &mut files.write_only_paths, Use::Changed);
        fit("filesystem.readWritePaths", &mut files.read_write_paths, Use::Changed);
    }
    told
}

fn list(paths: &BTreeSet<String>) -> Vec<String> {
    paths.iter().cloned().collect()
}
