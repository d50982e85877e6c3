//! The certificates in a folder: read, written whole or not at all, and watched.
//!
//! Ours are laid out as the kubelet lays out a Secret that it mounts: the files are links through
//! `..data`, which names a folder with one complete state. One rename of `..data` changes all four
//! files at once, and readers, who resolve it once, never see half of a change.

use std::{io, path::PathBuf, sync::Arc};

use tokio::task::spawn_blocking;

use crate::{
    files::Files,
    store::{Loaded, Saved, Version},
};

mod layout;
mod watch;

use layout::Layout;
use watch::Watch;

/// A folder that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot make the folder {path}")]
    MakeFolder { path: PathBuf, source: io::Error },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot rename {path} into place")]
    Rename { path: PathBuf, source: io::Error },
    #[error("cannot lock {path}")]
    Lock { path: PathBuf, source: io::Error },
    #[error("{path} changed again and again while it was read")]
    Unsteady { path: PathBuf },
    #[error("the work on {path} was stopped")]
    Stopped { path: PathBuf },
}

#[derive(Debug)]
pub(crate) struct Folder {
    layout: Arc<Layout>,
    watch: Watch,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { watch: Watch::new(path.clone()), layout: Arc::new(Layout::new(path)) }
    }

    pub(crate) async fn load(&mut self) -> Result<Loaded, FolderError> {
        self.blocking(Layout::load).await
    }

    pub(crate) async fn save(
        &mut self,
        files: Files,
        expected: Version,
    ) -> Result<Saved, FolderError> {
        let saved = self.blocking(move |layout| layout.save(&files, &expected)).await;
        // The folder may have been made just now.
        self.watch.start();
        saved
    }

    /// Returns when something in the folder has changed.
    pub(crate) async fn changed(&mut self) {
        self.watch.changed().await;
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Layout) -> Result<T, FolderError> + Send + 'static,
    ) -> Result<T, FolderError> {
        let layout = Arc::clone(&self.layout);
        let stopped = || FolderError::Stopped { path: self.layout.path().to_owned() };
        spawn_blocking(move || work(&layout)).await.unwrap_or_else(|_| Err(stopped()))
    }
}
