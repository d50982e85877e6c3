//! What outlives the process: a file for each subject, replaced whole.

use std::{fs, path::Path};

use daemon::{
    disk::{DiskError, Folder},
    error::chain,
};
use serde::{Deserialize, Serialize};

use crate::tracker::{Subject, SubjectKey};

/// What a file's name ends with.
const ENDING: &str = ".json";

/// A folder of our own.
#[derive(Debug)]
pub(crate) struct Disk(Folder);

#[derive(Debug, Deserialize, Serialize)]
struct File {
    key: SubjectKey,
    subject: Subject,
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
        let folder = Folder::make(folder)?;
        folder.sweep()?;
        Ok(Self(folder))
    }

    /// What an earlier process has left. What cannot be read is told and left alone.
    pub(crate) fn read(&self) -> Result<Vec<(SubjectKey, Subject)>, DiskError> {
        let mut left = Vec::new();
        for name in self.0.names()?.iter().filter(|name| name.ends_with(ENDING)) {
            let read = self.0.read(name).map_err(|error| chain(&error)).and_then(|text| {
                serde_json::from_slice::<File>(&text).map_err(|error| error.to_string())
            });
            match read {
                Ok(File { key, subject }) => left.push((key, subject)),
                Err(error) => {
                    let path = self.0.path().join(name);
                    tracing::error!(path = %path.display(), error, "what an earlier process has seen cannot be read");
                }
            }
        }
        Ok(left)
    }

    /// Writes subjects: what is written is on the disk itself, and outlives the machine as well. Gives those that could
    /// not be written.
    pub(crate) fn write(
        &self,
        changed: Vec<(SubjectKey, Subject)>,
    ) -> Vec<(SubjectKey, DiskError)> {
        let files = changed.into_iter().map(|(key, subject)| {
            let (name, file) = (name(&key), File { key, subject });
            let text = serde_json::to_vec(&file).unwrap_or_default();
            (file.key, name, text)
        });
        let files: Vec<_> = files.collect();
        let contents: Vec<_> = files.iter().map(|(_, name, text)| (&**name, &**text)).collect();
        let written = self.0.replace(&contents);
        let failed = files
            .into_iter()
            .zip(written)
            .filter_map(|((key, ..), written)| Some((key, written.err()?)));
        failed.collect()
    }

    /// Removes a subject.
    pub(crate) fn remove(&self, key: &SubjectKey) -> Result<(), DiskError> {
        self.0.remove(&name(key))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use profile::kinds::{MergeStrategy, Recorder, RecordingKind};
    use recorder::seen::Seen;

    use super::*;
    use crate::tracker::Key;

    fn subject(container: &str) -> (SubjectKey, Subject) {
        let key = SubjectKey {
            recording: Key { namespace: "shop".to_owned(), name: "r".to_owned() },
            recording_uid: "1-2".to_owned(),
            pod_uid: "3-4".to_owned(),
            container: container.to_owned(),
        };
        let mut seen = Seen::default();
        seen.call(profile::kinds::seccomp::Arch::X86_64, 1);
        let subject = Subject {
            kind: RecordingKind::SeccompProfile,
            recorder: Recorder::Bpf,
            merge: MergeStrategy::None,
            disable: false,
            pod: "shop/web".to_owned(),
            profile: "r-main".to_owned(),
            ids: vec!["5".to_owned()],
            seen,
            began: Duration::from_secs(7),
            newest: Duration::from_secs(8),
            newest_at: None,
            lost: 1,
            lost_before: 0,
            overflow: 0,
            ended: true,
        };
        (key, subject)
    }

    #[test]
    fn the_next_process_finds_what_was_written_and_not_what_was_removed() {
        let temp = tempfile::tempdir().unwrap();
        let disk = Disk::open(&temp.path().join("state")).unwrap();
        let (kept, removed) = (subject("main"), subject("side"));
        assert!(disk.write(vec![kept.clone(), removed.clone()]).is_empty());
        disk.remove(&removed.0).unwrap();
        assert_eq!(Disk::open(&temp.path().join("state")).unwrap().read().unwrap(), [kept]);
    }

    #[test]
    fn what_cannot_be_written_is_told_and_keeps_nothing_else_from_being_written() {
        let temp = tempfile::tempdir().unwrap();
        let disk = Disk::open(temp.path()).unwrap();
        let (stuck, fine) = (subject("main"), subject("side"));
        fs::create_dir_all(temp.path().join(name(&stuck.0)).join("theirs")).unwrap();
        let failed = disk.write(vec![stuck.clone(), fine.clone()]);
        assert_eq!(failed.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&stuck.0]);
        assert_eq!(disk.read().unwrap(), [fine]);
    }
}
