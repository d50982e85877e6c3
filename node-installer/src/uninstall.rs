//! Takes away all that is ours, so that a node is as it was before.

use std::collections::BTreeSet;

use profile::mechanism::Mechanism;

use crate::{
    backend::{Backend, Change},
    disk::{DiskError, Folder},
    folders,
    layout::Layout,
    ledger::{Ledger, LedgerError},
};

/// What could not be taken away, each with its reason.
pub type Left = Vec<String>;

/// Takes away the profiles of a mechanism. What processes run under stays, unless `force`.
pub fn profiles(
    backend: &mut dyn Backend,
    layout: &Layout,
    force: bool,
) -> Result<Left, LedgerError> {
    for folder in backend.needed() {
        // What cannot be opened has nothing of ours in it, and is said where it matters.
        if let Ok(Some(folder)) = Folder::open(&folder) {
            folder.sweep()?;
        }
    }
    let mut ledger = Ledger::open(&layout.ledger(backend.mechanism()))?;
    if ledger.entries.is_empty() {
        return Ok(Left::new());
    }
    if let Some(why) = backend.unavailable() {
        return Ok(vec![format!("{} profiles: {why}", ledger.entries.len())]);
    }
    let running = if force { BTreeSet::new() } else { backend.running() };
    let (stay, remove): (BTreeSet<_>, _) =
        ledger.entries.keys().cloned().partition(|name| running.contains(name));
    let mut left: Left = stay
        .iter()
        .map(|name| {
            format!("{}: processes run under it; end them, or use --force", backend.place(name))
        })
        .collect();
    let changed = backend.change(&Change { remove, ..Change::default() });
    for (name, result) in changed.removed {
        match result {
            Ok(()) => drop(ledger.entries.remove(&name)),
            Err(failure) => left.push(format!("{}: {failure}", backend.place(&name))),
        }
    }
    ledger.save()?;
    Ok(left)
}

/// Whether no mechanism has a profile on the node any more.
pub fn is_all_gone(layout: &Layout) -> Result<bool, LedgerError> {
    for mechanism in Mechanism::ALL {
        if !Ledger::open(&layout.ledger(mechanism))?.entries.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes away what is left when no profile is: copies, ledgers and the folders that were made for them.
pub fn state(layout: &Layout) -> Result<(), DiskError> {
    folders::take_away(layout)
}
