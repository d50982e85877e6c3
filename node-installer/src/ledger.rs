//! What we have put on the node, so that what others have put there is never touched.
//!
//! A profile is written here before its first file is, and taken out after its last one is gone: whatever is left after
//! a kill is known to be ours.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    artifact::Digest,
    disk::{DiskError, Folder},
    key::Key,
};

/// What is known of one profile on the node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    pub key: Key,
    /// Of the text that was put there, or was about to be.
    pub digest: Digest,
    /// The generation of the object that the text was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// What the kernel calls the policy that it made of the text, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// By the name that the profile has on the node: that of its file, module or kernel profile.
pub type Entries = BTreeMap<Box<str>, Entry>;

/// The entries of one mechanism, kept in a file.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    file: String,
    saved: Entries,
    /// What holds now; the same as what is saved, but within a batch.
    pub entries: Entries,
}

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{} is no ledger: move it away, and profiles that are there are looked at anew", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
}

#[derive(Deserialize, Serialize)]
struct Written {
    version: u32,
    entries: Entries,
}

impl Ledger {
    /// Reads the ledger; an empty one where there is none.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let folder = path.parent().unwrap_or(path).to_owned();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut entries = Entries::new();
        if let Some(open) = Folder::open(&folder)?
            && open.names()?.contains(&file)
        {
            let text = open.read(&file)?;
            let written: Written = serde_json::from_slice(&text)
                .map_err(|source| LedgerError::Parse { path: path.to_owned(), source })?;
            entries = written.entries;
        }
        Ok(Self { folder, file, saved: entries.clone(), entries })
    }

    /// Reads the ledger. One that does not parse is moved away: profiles that are as they should be are taken over again,
    /// others are left alone and said to be somebody else's.
    pub fn open_or_set_aside(path: &Path) -> Result<Self, LedgerError> {
        match Self::open(path) {
            Err(LedgerError::Parse { path, source }) => {
                let aside = path.with_extension("unreadable");
                let (error, aside_shown) = (source.to_string(), aside.display());
                tracing::error!(error, aside = %aside_shown, "ledger moved away, beginning a new one");
                std::fs::rename(&path, &aside).map_err(|source| DiskError {
                    what: "move away",
                    path: path.clone(),
                    source,
                })?;
                Self::open(&path)
            }
            opened => opened,
        }
    }

    /// Writes the entries to the disk, if they have changed since they were written.
    #[expect(clippy::missing_panics_doc, reason = "names and digests always serialize")]
    pub fn save(&mut self) -> Result<(), DiskError> {
        if self.entries == self.saved {
            return Ok(());
        }
        let written = Written { version: 1, entries: self.entries.clone() };
        let text = serde_json::to_vec(&written).expect("names and digests alone");
        let folder = Folder::make(&self.folder)?;
        folder.replace(&[(&self.file, &text)]).into_iter().collect::<Result<(), _>>()?;
        self.saved = written.entries;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use profile::kinds::ProfileKind;

    use super::*;

    fn entry() -> Entry {
        Entry {
            key: Key::new(ProfileKind::SeccompProfile, "a").unwrap(),
            digest: Digest::of(b"text"),
            generation: Some(3),
            fingerprint: None,
        }
    }

    #[test]
    fn what_was_saved_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/installed/seccomp");
        let mut ledger = Ledger::open(&path).unwrap();
        assert!(ledger.entries.is_empty());
        ledger.entries.insert("a".into(), entry());
        ledger.save().unwrap();
        assert_eq!(Ledger::open(&path).unwrap().entries, [("a".into(), entry())].into());
    }

    #[test]
    fn nothing_is_written_when_nothing_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("installed/seccomp");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.save().unwrap();
        assert!(!path.exists());
        ledger.entries.insert("a".into(), entry());
        ledger.save().unwrap();
        let before = std::fs::metadata(&path).unwrap();
        ledger.save().unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!(
            std::os::unix::fs::MetadataExt::ino(&before),
            std::os::unix::fs::MetadataExt::ino(&after)
        );
    }

    #[test]
    fn a_ledger_that_does_not_parse_is_named_and_can_be_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seccomp");
        std::fs::write(&path, "{").unwrap();
        let error = Ledger::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("is no ledger") && error.contains(&*path.to_string_lossy()),
            "{error}"
        );
        assert!(Ledger::open_or_set_aside(&path).unwrap().entries.is_empty());
        assert_eq!(std::fs::read_to_string(folder.path().join("seccomp.unreadable")).unwrap(), "{");
    }
}
