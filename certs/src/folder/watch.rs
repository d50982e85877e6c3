//! Tells when something in a folder changes. The folder is watched, not its files: a mounted
//! Secret changes by the rename of one entry, and the files keep their names.

use std::{path::PathBuf, sync::Arc, time::Duration};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use tokio::{sync::Notify, time::sleep};

/// Files that are copied one after the other are a pair only after the last.
const SETTLE: Duration = Duration::from_millis(100);

/// How often to look when nothing tells.
const POLL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    changed: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    pub(super) fn new(path: PathBuf) -> Self {
        let mut watch = Self { path, changed: Arc::default(), watcher: None };
        watch.start();
        watch
    }

    pub(super) async fn changed(&mut self) {
        self.start();
        if self.watcher.is_none() {
            sleep(POLL).await;
            return;
        }
        self.changed.notified().await;
        sleep(SETTLE).await;
    }

    /// Starts to watch, unless it does already.
    pub(super) fn start(&mut self) {
        if self.watcher.is_some() {
            return;
        }
        let changed = Arc::clone(&self.changed);
        let tell = move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, is_change) {
                changed.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(tell).and_then(|mut watcher| {
            watcher.watch(&self.path, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        match watcher {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(path = %self.path.display(), error, "cannot watch, will look now and then");
            }
        }
    }
}

/// Reading is no change, or our own reading would wake us for ever.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
