//! A folder of a BPF file system: what is pinned there lives on without a process.
//!
//! Maps are `map_NAME`, the links of attached programs `link_NAME`. Names with a dot are refused by the kernel. What an
//! earlier recorder of another form has left is in folders `former_NUMBER`, until all that it has seen is kept elsewhere.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use aya::{
    maps::{MapData, MapError},
    programs::links::FdLink,
};
use rustix::fs::{FlockOperation, flock, statfs};

use super::KernelError;

/// `BPF_FS_MAGIC` of linux/magic.h.
const MAGIC: u64 = 0xcafe_4a11;

const MAP: &str = "map_";
const LINK: &str = "link_";
/// A link that is not at its place yet.
const NEW: &str = "new_link";
const FORMER: &str = "former_";

/// The map that is put aside last: as long as it is not there, the others have not all been.
const LAST: &str = "control";

/// The program that ends last: what others remember holds only as long as it runs.
pub(super) const LAST_PROGRAM: &str = "stack_given";

/// It is there.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// One that is there; none where there is nothing.
    pub(super) fn found(path: &Path) -> Result<Option<Self>, KernelError> {
        let found = match statfs(path) {
            Ok(found) => found,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(path, error.into())),
        };
        // The member has another type on other machines.
        if u64::try_from(found.f_type).is_ok_and(|magic| magic == MAGIC) {
            Ok(Some(Self(path.to_owned())))
        } else {
            Err(KernelError::NotBpffs(path.to_owned()))
        }
    }

    /// One that is made where there is none.
    pub(super) fn made(path: &Path) -> Result<Self, KernelError> {
        if let Some(parent) = path.parent()
            && Self::found(parent)?.is_some()
        {
            match DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed(path, error));
                }
                _ => {}
            }
        }
        Self::found(path)?.ok_or_else(|| KernelError::NotBpffs(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Waits until nobody else changes what is pinned here.
    pub(super) fn lock(&self) -> Result<File, KernelError> {
        let lock = File::open(&self.0).map_err(|error| failed(&self.0, error))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| failed(&self.0, error.into()))?;
        Ok(lock)
    }

    /// Where a map is.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.0.join(format!("{MAP}{name}"))
    }

    /// A map that is pinned already.
    pub(super) fn pinned(&self, name: &str) -> Result<Option<MapData>, KernelError> {
        let path = self.map(name);
        match path.try_exists() {
            Ok(true) => {
                MapData::from_pin(path).map(Some).map_err(|error| self.unreadable(name, error))
            }
            Ok(false) => Ok(None),
            Err(error) => Err(failed(&path, error)),
        }
    }

    pub(super) fn unreadable(&self, name: &str, error: MapError) -> KernelError {
        KernelError::Map { path: self.map(name), source: Box::new(error) }
    }

    /// Puts all that is pinned here aside, where it goes on as before. Whoever is killed meanwhile leaves it to the next.
    pub(super) fn put_aside(&self) -> Result<(), KernelError> {
        let (whole, begun): (Vec<_>, Vec<_>) =
            self.formers()?.into_iter().partition(|(_, former)| former.map(LAST).exists());
        let number = match begun.first() {
            Some((number, _)) => *number,
            None => whole.last().map_or(0, |(number, _)| number + 1),
        };
        let aside = self.0.join(format!("{FORMER}{number}"));
        let aside = Self::made(&aside)?;
        let last = format!("{MAP}{LAST}");
        let names = self.names()?;
        let others = names.iter().filter(|name| !name.starts_with(FORMER) && **name != last);
        for name in others.chain(names.iter().filter(|name| **name == last)) {
            let (from, to) = (self.0.join(name), aside.0.join(name));
            fs::rename(&from, &to).map_err(|error| failed(&from, error))?;
        }
        Ok(())
    }

    /// Whether somebody was killed while putting aside what is here.
    pub(super) fn is_half_aside(&self) -> Result<bool, KernelError> {
        Ok(self.formers()?.iter().any(|(_, former)| !former.map(LAST).exists()))
    }

    /// What was put aside, by number.
    pub(super) fn formers(&self) -> Result<Vec<(u32, Self)>, KernelError> {
        let names = self.names()?;
        let formers = names.iter().filter_map(|name| {
            let number = name.strip_prefix(FORMER)?.parse().ok()?;
            Some((number, Self(self.0.join(name))))
        });
        let mut formers: Vec<_> = formers.collect();
        formers.sort_unstable_by_key(|(number, _)| *number);
        Ok(formers)
    }

    /// A map that is made anew next time.
    pub(super) fn forget(&self, name: &str) -> Result<(), KernelError> {
        unlink(&self.map(name))
    }

    /// Pins the link of a program, in place of the one that was there: that one ends when this one runs.
    pub(super) fn pin(&self, program: &str, link: FdLink) -> Result<(), KernelError> {
        let new = self.0.join(NEW);
        // What a process that was killed here has left.
        unlink(&new)?;
        let path = self.0.join(format!("{LINK}{program}"));
        link.pin(&new)
            .map_err(|error| KernelError::Pin { path: path.clone(), source: Box::new(error) })?;
        fs::rename(&new, &path).map_err(|error| failed(&path, error))
    }

    /// Ends programs, but not these.
    pub(super) fn end_others(&self, but: &[&str]) -> Result<(), KernelError> {
        let mut names = self.names()?;
        names.sort_by_key(|name| name.strip_prefix(LINK) == Some(LAST_PROGRAM));
        for name in names {
            let is_other = name.strip_prefix(LINK).is_some_and(|program| !but.contains(&program));
            if is_other || name == NEW {
                unlink(&self.0.join(name))?;
            }
        }
        Ok(())
    }

    /// Removes it with all that is pinned in it, programs first.
    pub(super) fn remove(&self) -> Result<(), KernelError> {
        for (_, former) in self.formers()? {
            former.remove()?;
        }
        self.end_others(&[])?;
        for name in self.names()?.iter().filter(|name| name.starts_with(MAP)) {
            unlink(&self.0.join(name))?;
        }
        fs::remove_dir(&self.0).map_err(|error| failed(&self.0, error))
    }

    fn names(&self) -> Result<Vec<String>, KernelError> {
        let names = || -> io::Result<Vec<String>> {
            let entries = fs::read_dir(&self.0)?;
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        names().map_err(|error| failed(&self.0, error))
    }
}

/// Removes what may be there.
fn unlink(path: &Path) -> Result<(), KernelError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, source: io::Error) -> KernelError {
    KernelError::Folder { path: path.to_owned(), source }
}
