//! Tells the lanes when somebody has been at their files.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::ModifyKind};
use profile::mechanism::Mechanism;
use tokio::{sync::Notify, time::timeout};

use crate::source::Lanes;

/// How often it is checked that the folder is still the one that is watched.
const CHECK: Duration = Duration::from_secs(2);

/// Watches a folder for ever, also when it is taken away and comes back.
pub async fn watch(mechanism: Mechanism, folder: PathBuf, lanes: Lanes) {
    let mut watched: Option<(u64, RecommendedWatcher)> = None;
    // A folder that is made right after another was deleted can have that one's number.
    let mut warned = false;
    let (lost, mut is_lost) = (Arc::new(Notify::new()), false);
    loop {
        let inode = std::fs::symlink_metadata(&folder).ok().map(|meta| meta.ino());
        // As long as nothing is watched, nothing tells that there is something to look at.
        if is_lost || watched.is_none() || inode != watched.as_ref().map(|(inode, _)| *inode) {
            watched = inode.and_then(|inode| match start(mechanism, &folder, &lanes, &lost) {
                Ok(watcher) => Some((inode, watcher)),
                Err(error) => {
                    if !std::mem::replace(&mut warned, true) {
                        let error = daemon::error::chain(&error);
                        tracing::warn!(error, folder = %folder.display(), "folder is not watched, only looked at every 2 s");
                    }
                    None
                }
            });
            lanes.look(mechanism);
        }
        is_lost = timeout(CHECK, lost.notified()).await.is_ok();
    }
}

fn start(
    mechanism: Mechanism,
    folder: &Path,
    lanes: &Lanes,
    lost: &Arc<Notify>,
) -> notify::Result<RecommendedWatcher> {
    let (lanes, lost, own) = (lanes.clone(), Arc::clone(lost), folder.to_owned());
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_own = |event: &notify::Event| {
            let gone = event.kind.is_remove()
                || matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)));
            gone && event.paths.contains(&own)
        };
        if event.as_ref().is_ok_and(is_own) {
            lost.notify_one();
        }
        // Reading is an access as well: it must not lead to the next reading.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            lanes.look(mechanism);
        }
    })
    .and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    })
}
