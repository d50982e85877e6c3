//! The folders that are made on a node, remembered so that they can be taken away again.

use std::{
    io,
    path::{Path, PathBuf},
};

use profile::{kinds::ProfileKind, mechanism::Mechanism};

use crate::{
    disk::{DiskError, Folder},
    layout::Layout,
};

/// Where the list is, one path a line, as the node calls it.
const LIST: &str = "folders";

/// Makes the folders that are missing, each written down before it is made.
pub fn make(layout: &Layout, folders: &[PathBuf]) -> Result<(), DiskError> {
    let mut missing = Vec::new();
    for folder in std::iter::once(&layout.state()).chain(folders) {
        let above = folder.ancestors().take_while(|path| std::fs::symlink_metadata(path).is_err());
        let above: Vec<_> = above.map(|path| layout.on_node(path)).collect();
        missing.extend(above.into_iter().rev());
    }
    // The list itself needs a place.
    let state = Folder::make(&layout.state())?;
    let before = list(&state);
    let own = layout.on_node(&layout.state());
    state.sweep()?;
    if before.is_empty() && state.names()?.is_empty() && !missing.contains(&own) {
        // It was made right before a kill; and nobody misses an empty one.
        missing.insert(0, own);
    }
    let mut made = before.clone();
    for path in missing {
        if !made.contains(&path) {
            made.push(path);
        }
    }
    if made != before {
        let lines: Vec<_> = made.iter().map(|path| path.display().to_string()).collect();
        let text = lines.join("\n") + "\n";
        state.replace(&[(LIST, text.as_bytes())]).into_iter().collect::<Result<(), _>>()?;
    }
    folders.iter().try_for_each(|folder| Folder::make(folder)?.sweep())?;
    sweep_state(&state, layout)
}

/// Takes away what a process that was killed has left half-written in the state.
fn sweep_state(state: &Folder, layout: &Layout) -> Result<(), DiskError> {
    state.sweep()?;
    let kinds = ProfileKind::ALL.iter().map(|kind| layout.objects().join(kind.as_str()));
    let ledgers = layout.ledger(Mechanism::Seccomp).parent().map(PathBuf::from);
    for path in kinds.chain(ledgers).chain([layout.state().join("modules")]) {
        if let Some(folder) = Folder::open(&path)? {
            folder.sweep()?;
        }
    }
    Ok(())
}

/// Takes away the folders that were made, as far as they are empty, and our state.
pub fn take_away(layout: &Layout) -> Result<(), DiskError> {
    let Some(state) = Folder::open(&layout.state())? else { return Ok(()) };
    let made = list(&state);
    for folder in ["objects", "installed", "modules"] {
        let path = layout.state().join(folder);
        match std::fs::remove_dir_all(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(DiskError { what: "remove", path, source }),
        }
    }
    // As long as the list is there, what is elsewhere can be found.
    let own = layout.on_node(&layout.state());
    let (around, elsewhere): (Vec<_>, Vec<_>) =
        made.iter().rev().partition(|path| own.starts_with(path));
    elsewhere.iter().try_for_each(|path| remove_empty(&layout.at(path)))?;
    state.sweep()?;
    state.remove(LIST)?;
    // Also when a kill has left nothing but itself.
    remove_empty(&layout.state())?;
    around.iter().try_for_each(|path| remove_empty(&layout.at(path)))
}

fn list(state: &Folder) -> Vec<PathBuf> {
    let text = state.read(LIST).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(PathBuf::from).collect()
}

fn remove_empty(path: &Path) -> Result<(), DiskError> {
    match std::fs::remove_dir(path) {
        Ok(()) => Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Ok(())
        }
        Err(source) => Err(DiskError { what: "remove", path: path.to_owned(), source }),
    }
}
