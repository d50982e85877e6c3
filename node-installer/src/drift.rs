//! Tells the lanes when somebody has been at their files.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use profile::mechanism::Mechanism;

use crate::source::Lanes;

/// How often it is checked that the folder is still the one that is watched.
const CHECK: Duration = Duration::from_secs(2);

/// Watches a folder for ever, also when it is taken away and comes back.
pub async fn watch(mechanism: Mechanism, folder: PathBuf, lanes: Lanes) {
    let mut watched: Option<(u64, RecommendedWatcher)> = None;
    loop {
        let inode = std::fs::symlink_metadata(&folder).ok().map(|meta| meta.ino());
        if inode != watched.as_ref().map(|(inode, _)| *inode) {
            let started = inode.and_then(|inode| Some((inode, start(mechanism, &folder, &lanes)?)));
            watched = started;
            lanes.look(mechanism);
        }
        tokio::time::sleep(CHECK).await;
    }
}

fn start(mechanism: Mechanism, folder: &Path, lanes: &Lanes) -> Option<RecommendedWatcher> {
    let lanes = lanes.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading is an access as well: it must not lead to the next reading.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            lanes.look(mechanism);
        }
    })
    .and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(|error| {
            let error = daemon::error::chain(error);
            tracing::warn!(error, folder = %folder.display(), "folder is not watched, only looked at now and then");
        })
        .ok()
}
