//! All that is below a folder.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// What each path is and holds.
pub(crate) type Listing = BTreeMap<PathBuf, String>;

/// Changes whenever a file does: its number and its times.
pub(crate) type Stamps = BTreeMap<PathBuf, (u64, i64, i64, i64, i64)>;

/// All paths below a folder, itself included, with what they are and hold.
pub(crate) fn listing(folder: &Path) -> Listing {
    let paths = walk(folder).into_iter();
    paths.map(|path| (path.strip_prefix(folder).unwrap().to_owned(), what(&path))).collect()
}

/// The stamps of all that is below a folder.
pub(crate) fn stamps(folder: &Path) -> Stamps {
    let stamp = |path: PathBuf| {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let stamp = (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
        (path, stamp)
    };
    walk(folder).into_iter().map(stamp).collect()
}

/// Makes a folder that has in it what another has.
pub(crate) fn copy(from: &Path, to: &Path) {
    for path in walk(from) {
        let to = to.join(path.strip_prefix(from).unwrap());
        let meta = std::fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            std::fs::create_dir(to).unwrap();
        } else if meta.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(path).unwrap(), to).unwrap();
        } else {
            std::fs::copy(path, to).unwrap();
        }
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut paths = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        if std::fs::symlink_metadata(&path).unwrap().is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    paths
}

fn what(path: &Path) -> String {
    let meta = std::fs::symlink_metadata(path).unwrap();
    let mode = meta.mode();
    if meta.is_symlink() {
        format!("link to {}", std::fs::read_link(path).unwrap().display())
    } else if meta.is_dir() {
        format!("{mode:o} folder")
    } else {
        format!("{mode:o} {}", String::from_utf8_lossy(&std::fs::read(path).unwrap()))
    }
}
