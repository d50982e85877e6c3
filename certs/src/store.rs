//! Where the files are kept: a folder or a Secret, both with the same rule for changes.
//!
//! A change is saved only when what it was made from is still what is there. Of two that change
//! something at once, one wins and the other reads again.

use crate::{
    files::Files,
    folder::{Folder, FolderError},
    secret::{Secret, SecretError},
};

/// A place that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the certificate folder fails")]
    Folder(#[from] FolderError),
    #[error("the certificate Secret fails")]
    Secret(#[from] SecretError),
}

/// What is there, and by which name this state of it goes.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) files: Files,
    pub(crate) version: Version,
}

/// One state of the place: equal when nothing has changed. `None`: the place does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) Option<String>);

/// How saving went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    Done(Version),
    /// Someone else was faster.
    Conflict,
}

#[derive(Debug)]
pub(crate) enum Store {
    Folder(Folder),
    Secret(Box<Secret>),
}

impl Store {
    pub(crate) async fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(match self {
            Self::Folder(folder) => folder.load().await?,
            Self::Secret(secret) => secret.load().await?,
        })
    }

    pub(crate) async fn save(
        &mut self,
        files: Files,
        expected: Version,
    ) -> Result<Saved, StoreError> {
        Ok(match self {
            Self::Folder(folder) => folder.save(files, expected).await?,
            Self::Secret(secret) => secret.save(&files, &expected).await?,
        })
    }

    /// Returns when something may have changed. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        match self {
            Self::Folder(folder) => folder.changed().await,
            Self::Secret(secret) => secret.changed().await,
        }
    }
}
