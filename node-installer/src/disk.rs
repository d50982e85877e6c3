//! What a file on the disk holds, remembered, so that one that did not change is not read again.

use std::collections::HashMap;

pub use daemon::disk::{DiskError, Folder};
use rustix::fs::{FileType, Stat};

use crate::artifact::Digest;

/// A file that changed less long ago than this may change again without its time showing it.
const RACY_SECONDS: i64 = 2;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File {
    Absent,
    Content(Digest),
    /// Something that is no file of ours: a link, a folder.
    Other(&'static str),
}

/// Remembers what files held, so that one that did not change is not read again.
#[derive(Debug, Default)]
pub struct Seen(HashMap<Box<str>, (Stamp, Digest)>);

/// Changes whenever a file's content does, but for changes within one tick of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: i64,
    changed: (i64, i64),
}

impl Seen {
    /// What is at a name.
    pub fn look(&mut self, folder: &Folder, name: &str) -> Result<File, DiskError> {
        self.look_through(folder, name, |content| Digest::of(&content))
    }

    /// What is at a name, where the digest is not of the content as it stands.
    pub fn look_through(
        &mut self,
        folder: &Folder,
        name: &str,
        digest: impl FnOnce(Vec<u8>) -> Digest,
    ) -> Result<File, DiskError> {
        // Before the file is looked at: one that takes long to read must not seem to have been old.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
        let Some(stat) = folder.stat(name)? else {
            self.0.remove(name);
            return Ok(File::Absent);
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Symlink => return Ok(File::Other("a link")),
            FileType::Directory => return Ok(File::Other("a folder")),
            _ => return Ok(File::Other("a special file")),
        }
        let stamp = Stamp::of(&stat);
        if let Some((known, digest)) = self.0.get(name)
            && *known == stamp
        {
            return Ok(File::Content(*digest));
        }
        let digest = digest(folder.read(name)?);
        if !stamp.is_racy(now) {
            self.0.insert(name.into(), (stamp, digest));
        }
        Ok(File::Content(digest))
    }
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino,
            size: stat.st_size,
            changed: (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or_default()),
        }
    }

    /// Whether another change could have the same stamp, by the clock. A clock that was put back makes files look young, which costs
    /// only that they are read again.
    fn is_racy(&self, now: i64) -> bool {
        now - self.changed.0 < RACY_SECONDS
    }
}

#[cfg(test)]
mod tests;
