//! Writes profiles as files of a folder, each replaced whole, and only those that are of the recording; and beside them what
//! there is to say of recordings, which is read again by the next process.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use daemon::{
    error::chain,
    manifests::{parse, typed},
};
use kube::ResourceExt as _;
use profile::kinds::{
    AppArmorProfile, ProfileRecordingStatus, RecordingKind, SeccompProfile, SelinuxProfile,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    profiles::{Deed, Making, Recorded, UID, deed},
    tracker::{Key, Moment, Outcome, Publication, Recording, Report},
};

/// So often is tried again when somebody else has written meanwhile.
const ATTEMPTS: usize = 5;

/// The longest name of a file, with what is appended while it is being written.
const LONGEST: usize = 240;

/// A folder for profiles.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    making: Making,
    /// Whether there is a file for each recording, too.
    statuses: bool,
}

/// What could not be done, to what.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot {what} {}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{0:?} is no name of a file: names are of a-z, 0-9, '-' and '.', and not too long")]
    Name(String),
    #[error("{} cannot be written as YAML", .0.display())]
    Yaml(PathBuf, #[source] serde_saphyr::SerializeError),
}

impl Files {
    /// Profiles in a folder, which is made where it is missing.
    pub(crate) fn open(folder: &Path, making: Making, statuses: bool) -> Result<Self, FileError> {
        let made = fs::create_dir_all(folder);
        made.map_err(|error| FileError::Io {
            what: "make the folder",
            path: folder.to_owned(),
            source: error,
        })?;
        Ok(Self { folder: folder.to_owned(), making, statuses })
    }

    /// Writes a profile.
    pub(crate) fn publish(&self, publication: &Publication) -> Outcome {
        let written = match publication.kind {
            RecordingKind::SeccompProfile => self.write::<SeccompProfile>(publication),
            RecordingKind::AppArmorProfile => self.write::<AppArmorProfile>(publication),
            RecordingKind::SelinuxProfile => self.write::<SelinuxProfile>(publication),
        };
        written.unwrap_or_else(|error| {
            let error = chain(&error);
            let profile = &publication.target.name;
            tracing::warn!(profile, error, "a profile was not written, and will be");
            Outcome::Failed
        })
    }

    fn write<K>(&self, publication: &Publication) -> Result<Outcome, FileError>
    where
        K: Recorded + DeserializeOwned + Serialize,
    {
        let kind = publication.target.kind;
        let name = format!("{}-{}.yaml", kind.to_ascii_lowercase(), publication.target.name);
        let path = self.path(&name)?;
        for _ in 0..ATTEMPTS {
            let there = match read(&path)? {
                None => None,
                // What is no profile is not ours.
                Some(text) => match sole::<K>(&text) {
                    None => return Ok(Outcome::Taken),
                    there => there,
                },
            };
            // Of another recording of that name it is as well.
            let of = |there: &K| there.annotations().get(UID) == Some(&publication.recording_uid);
            if !there.as_ref().is_none_or(of) {
                return Ok(Outcome::Taken);
            }
            let (profile, new) = match deed(publication, there.as_ref(), self.making) {
                Deed::Nothing => return Ok(Outcome::Written),
                Deed::Leave => return Ok(Outcome::Taken),
                Deed::Create(profile) => (profile, true),
                Deed::Replace(profile) => (profile, false),
            };
            let text = serde_saphyr::to_string(&profile);
            let text = text.map_err(|error| FileError::Yaml(path.clone(), error))?;
            if self.put(&path, &name, &text, new)? {
                let (partial, seen) = (publication.partial, publication.seen.len());
                tracing::info!(kind, file = %path.display(), partial, seen, "published");
                return Ok(Outcome::Written);
            }
            // Somebody was faster: look again.
        }
        Ok(Outcome::Failed)
    }

    /// Says what there is to say of a recording, and gives it as it is then.
    pub(crate) fn report(
        &self,
        recording: &Recording,
        report: &Report,
        now: Moment,
    ) -> Result<Option<Recording>, ()> {
        let status = report.merged(&recording.status, now);
        if status == recording.status {
            return Ok(Some(recording.clone()));
        }
        if status.phase != recording.status.phase {
            let phase = status.phase;
            tracing::info!(recording = %recording.key, ?phase, active = ?status.active_workloads, "recording");
        }
        if self.statuses {
            self.keep(&recording.key, &status).map_err(|error| {
                let error = chain(&error);
                tracing::warn!(recording = %recording.key, error, "the status was not written, and will be");
            })?;
        }
        Ok(Some(Recording { status, ..recording.clone() }))
    }

    fn keep(&self, key: &Key, status: &ProfileRecordingStatus) -> Result<(), FileError> {
        let name = status_name(key);
        let path = self.path(&name)?;
        let text = serde_saphyr::to_string(status);
        let text = text.map_err(|error| FileError::Yaml(path.clone(), error))?;
        self.put(&path, &name, &text, false).map(drop)
    }

    /// What an earlier process had to say of a recording.
    pub(crate) fn status(&self, key: &Key) -> Option<ProfileRecordingStatus> {
        let text = read(&self.path(&status_name(key)).ok()?).ok()??;
        let status = sole(&text);
        if status.is_none() {
            tracing::warn!(recording = %key, "its status cannot be read, and is written anew");
        }
        status
    }

    /// Forgets what there was to say of a recording.
    pub(crate) fn forget(&self, key: &Key) {
        if let Ok(path) = self.path(&status_name(key)) {
            // None is there of a recording of which nothing was said.
            drop(fs::remove_file(path));
        }
    }

    /// The path of a file with this name, which cannot lead out of the folder.
    fn path(&self, name: &str) -> Result<PathBuf, FileError> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        if name.starts_with('.') || name.len() > LONGEST || !name.chars().all(good) {
            return Err(FileError::Name(name.to_owned()));
        }
        Ok(self.folder.join(name))
    }

    /// Puts a file there whole; false where it is to be new, and is there.
    fn put(&self, path: &Path, name: &str, text: &str, new: bool) -> Result<bool, FileError> {
        let hidden = self.folder.join(format!(".{name}.new"));
        let failed = |error| FileError::Io { what: "write", path: path.to_owned(), source: error };
        // One that was left by a process which was killed; a link there must not be followed.
        if let Err(error) = fs::remove_file(&hidden)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(error));
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&hidden);
        let mut file = file.map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        if !new {
            return fs::rename(&hidden, path).map(|()| true).map_err(failed);
        }
        let linked = fs::hard_link(&hidden, path);
        fs::remove_file(&hidden).map_err(failed)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true).map_err(failed),
        }
    }
}

/// No manifests are looked for in such a file.
fn status_name(key: &Key) -> String {
    format!("profilerecording-{}_{}.status", key.namespace, key.name)
}

fn read(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::Io { what: "read", path: path.to_owned(), source: error }),
    }
}

/// The only document of a text, if it is of that type.
fn sole<T: DeserializeOwned>(text: &str) -> Option<T> {
    let documents = parse(text).ok()?;
    let [document] = <[_; 1]>::try_from(documents).ok()?;
    typed(document).ok()
}

#[cfg(test)]
mod tests;
