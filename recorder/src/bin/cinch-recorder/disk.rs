//! What outlives the process: a file for each subject, replaced whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::tracker::{Subject, SubjectKey};

/// What a file's name ends with.
const ENDING: &str = ".json";

/// A folder of our own.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
}

#[derive(Debug, Deserialize, Serialize)]
struct File {
    key: SubjectKey,
    subject: Subject,
}

/// What could not be done, to what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
pub(crate) struct DiskError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Disk {
    /// Opens the folder, and makes it first where it is missing; nobody else may look into it.
    pub(crate) fn open(folder: &Path) -> Result<Self, DiskError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| DiskError {
            what: "make the folder",
            path: folder.to_owned(),
            source,
        })?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// What an earlier process has left. What cannot be read is told and left alone.
    pub(crate) fn read(&self) -> Result<Vec<(SubjectKey, Subject)>, DiskError> {
        let failed = |source| DiskError { what: "list", path: self.folder.clone(), source };
        let mut left = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !path.to_string_lossy().ends_with(ENDING) {
                continue;
            }
            let read = fs::read(&path).map_err(|error| error.to_string()).and_then(|text| {
                serde_json::from_slice::<File>(&text).map_err(|error| error.to_string())
            });
            match read {
                Ok(File { key, subject }) => left.push((key, subject)),
                Err(error) => {
                    let path = path.display();
                    tracing::error!(%path, error, "what an earlier process has seen cannot be read");
                }
            }
        }
        Ok(left)
    }

    /// Writes a subject.
    pub(crate) fn write(&self, key: SubjectKey, subject: Subject) -> Result<(), DiskError> {
        let name = name(&key);
        let text = serde_json::to_vec(&File { key, subject }).unwrap_or_default();
        let (path, new) = (self.folder.join(&name), self.folder.join(format!("{name}.new")));
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        written.map_err(|source| DiskError { what: "write", path, source })
    }

    /// Removes a subject.
    pub(crate) fn remove(&self, key: &SubjectKey) -> Result<(), DiskError> {
        let path = self.folder.join(name(key));
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(DiskError { what: "remove", path, source })
            }
            _ => Ok(()),
        }
    }
}

/// A name that no other subject has, of what could be in a path.
fn name(key: &SubjectKey) -> String {
    let safe = |text: &str| -> String {
        text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(80).collect()
    };
    let SubjectKey { recording: _, recording_uid, pod_uid, container } = key;
    format!("{}_{}_{}{ENDING}", safe(recording_uid), safe(pod_uid), safe(container))
}
