//! Files that are replaced whole or not at all, and looked at without following links.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, Mode, OFlags, Stat},
    io::Errno,
};

/// What files are called while they are written; what a killed process leaves is taken away by this.
const TEMPORARY: &str = ".cinch-new-";

/// From so many files on, one flush of the whole file system is quicker than one a file.
const FLUSH_AT_ONCE: usize = 8;

/// What could not be done, to what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
pub struct DiskError {
    pub what: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

/// A folder, held open, so that nobody can put another one in its place between two steps.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens it; none when it is not there. A link in its place is an error.
    pub fn open(path: &Path) -> Result<Option<Self>, DiskError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::open(path, flags, Mode::empty()) {
            Ok(handle) => Ok(Some(Self { handle, path: path.to_owned() })),
            Err(Errno::NOENT) => Ok(None),
            Err(_) if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) => {
                let source = io::Error::other("it is a link, and links are not followed");
                Err(DiskError { what: "open the folder", path: path.to_owned(), source })
            }
            Err(error) => Err(Self::error("open the folder", path, error)),
        }
    }

    /// Opens it, and makes it first where it is missing.
    pub fn make(path: &Path) -> Result<Self, DiskError> {
        if let Some(folder) = Self::open(path)? {
            return Ok(folder);
        }
        std::fs::create_dir_all(path).map_err(|source| DiskError {
            what: "make the folder",
            path: path.to_owned(),
            source,
        })?;
        let missing = || Self::error("open the folder", path, Errno::NOENT);
        Self::open(path)?.ok_or_else(missing)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes away what a process that was killed has left.
    pub fn sweep(&self) -> Result<(), DiskError> {
        for name in self.names()? {
            if name.starts_with(TEMPORARY) {
                self.unlink(&name)?;
            }
        }
        Ok(())
    }

    /// The names of all that is in it.
    pub fn names(&self) -> Result<Vec<String>, DiskError> {
        let list = || -> Result<Vec<String>, Errno> {
            let mut names = Vec::new();
            for entry in fs::Dir::read_from(&self.handle)? {
                if let Ok(name) = entry?.file_name().to_str()
                    && name != "."
                    && name != ".."
                {
                    names.push(name.to_owned());
                }
            }
            Ok(names)
        };
        list().map_err(|error| Self::error("list", &self.path, error))
    }

    /// Replaces files, each whole or not at all. All are on the disk before the first takes its name; what failed does
    /// not stop the others. One result for each file.
    pub fn replace(&self, files: &[(&str, &[u8])]) -> Vec<Result<(), DiskError>> {
        let each = files.len() < FLUSH_AT_ONCE;
        let mut results: Vec<_> = files.iter().map(|file| self.write(file, each)).collect();
        if !each
            && results.iter().any(Result::is_ok)
            && let Err(error) = fs::syncfs(&self.handle)
        {
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(Self::error("flush", &self.path, error));
            }
        }
        let mut renamed = false;
        for ((name, _), result) in files.iter().zip(&mut results) {
            let temporary = temporary(name);
            if result.is_ok() {
                *result = self.rename(&temporary, name);
                renamed |= result.is_ok();
            }
            if result.is_err() {
                // Nothing is there when it could not even be made.
                let _left = fs::unlinkat(&self.handle, &temporary, AtFlags::empty());
            }
        }
        if renamed && let Err(error) = fs::fsync(&self.handle) {
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(Self::error("flush", &self.path, error));
            }
        }
        results
    }

    /// Removes a file, or a link in its place; one that is not there is gone as well.
    pub fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.unlink(name)?;
        fs::fsync(&self.handle).map_err(|error| Self::error("flush", &self.path, error))
    }

    /// What the kernel tells of a file, or of a link itself; none when it is not there.
    pub fn stat(&self, name: &str) -> Result<Option<Stat>, DiskError> {
        match fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.error_at("look at", name, error)),
        }
    }

    /// What a file holds; a link is not followed.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, DiskError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let handle = fs::openat(&self.handle, name, flags, Mode::empty())
            .map_err(|error| self.error_at("open", name, error))?;
        let mut content = Vec::new();
        io::Read::read_to_end(&mut std::fs::File::from(handle), &mut content)
            .map_err(|source| DiskError { what: "read", path: self.path.join(name), source })?;
        Ok(content)
    }

    fn write(&self, (name, content): &(&str, &[u8]), flush: bool) -> Result<(), DiskError> {
        let temporary = temporary(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || fs::openat(&self.handle, &temporary, flags, Mode::from_raw_mode(0o644));
        let handle = make().or_else(|error| {
            if error != Errno::EXIST {
                return Err(error);
            }
            fs::unlinkat(&self.handle, &temporary, AtFlags::empty())?;
            make()
        });
        let handle = handle.map_err(|error| self.error_at("make", name, error))?;
        let mut file = std::fs::File::from(handle);
        let written = io::Write::write_all(&mut file, content);
        let written = written.and_then(|()| if flush { file.sync_all() } else { Ok(()) });
        written.map_err(|source| DiskError { what: "write", path: self.path.join(name), source })
    }

    /// Gives a file its name. An empty folder in its place goes; one that somebody has put something into stays.
    fn rename(&self, temporary: &str, name: &str) -> Result<(), DiskError> {
        let rename = || fs::renameat(&self.handle, temporary, &self.handle, name);
        match rename() {
            Err(Errno::ISDIR) => {
                self.remove_folder(name)?;
                rename().map_err(|error| self.error_at("replace", name, error))
            }
            done => done.map_err(|error| self.error_at("replace", name, error)),
        }
    }

    fn unlink(&self, name: &str) -> Result<(), DiskError> {
        match fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => self.remove_folder(name),
            Err(error) => Err(self.error_at("remove", name, error)),
        }
    }

    fn remove_folder(&self, name: &str) -> Result<(), DiskError> {
        match fs::unlinkat(&self.handle, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => {
                let source = io::Error::other("a folder is in its place, and it is not empty");
                Err(DiskError { what: "replace", path: self.path.join(name), source })
            }
            done => done.map_err(|error| self.error_at("remove", name, error)),
        }
    }

    fn error_at(&self, what: &'static str, name: &str, error: Errno) -> DiskError {
        Self::error(what, &self.path.join(name), error)
    }

    fn error(what: &'static str, path: &Path, error: Errno) -> DiskError {
        DiskError { what, path: path.to_owned(), source: error.into() }
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Each file has one of its own, since several threads may write in one folder; and a short one, since a name can be as
/// long as a name may be.
fn temporary(name: &str) -> String {
    format!("{TEMPORARY}{:016x}", BuildHasherDefault::<DefaultHasher>::default().hash_one(name))
}

#[cfg(test)]
mod tests;
