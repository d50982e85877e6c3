//! How far a rule may go beyond what was seen. Pure.

use crate::seen::{
    fold::{MANY, may_be_whole},
    path::is_alike,
};

/// Why a path may be allowed, the closest reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Follows {
    /// It was seen.
    Seen,
    /// One was seen that differs only in what is random in its components.
    Alike,
    /// More than [`MANY`] files were seen in its folder.
    Sibling,
    /// Files were seen below a folder that it is below, too; only where a list would have had more paths than it can.
    Below,
}

/// The closest reason for which a path follows from those that were seen; none where a profile must not allow it.
pub fn follows<'s>(path: &str, seen: &(impl Iterator<Item = &'s str> + Clone)) -> Option<Follows> {
    if seen.clone().any(|known| known == path) {
        return Some(Follows::Seen);
    }
    if seen.clone().any(|known| is_alike(known, path)) {
        return Some(Follows::Alike);
    }
    let (folder, file) = path.rsplit_once('/')?;
    let in_folder = |known: &str| {
        known
            .rsplit_once('/')
            .is_some_and(|(of, file)| !file.is_empty() && (of == folder || is_alike(of, folder)))
    };
    let siblings = seen.clone().filter(|known| in_folder(known)).count();
    if !file.is_empty() && siblings > MANY && may_be_whole(folder) {
        return Some(Follows::Sibling);
    }
    let below =
        path.match_indices('/').map(|(at, _)| &path[..at]).filter(|above| may_be_whole(above));
    let mut below = below.map(|above| format!("{above}/"));
    below.any(|above| seen.clone().any(|known| known.starts_with(&above))).then_some(Follows::Below)
}
