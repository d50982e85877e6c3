//! A folder as processes in it see it: no path, and no link in it, leads out of it.

use std::{
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat2};

/// Files beyond this are not read.
const LARGEST: u64 = 1 << 29;

/// How deep folders are looked into.
const DEEPEST: usize = 40;

/// How many files of one folder tree are looked at.
const MANY: usize = 4_000_000;

/// What tells a file from all others, whatever its path.
pub type Identity = (u64, u64);

/// Such a folder.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    /// Its own path, with no link in it.
    path: PathBuf,
    device: u64,
}

/// A regular file in it.
#[derive(Debug)]
pub struct Found {
    file: File,
    pub identity: Identity,
    pub size: u64,
    /// Whether anybody may execute it.
    pub executable: bool,
    /// Its path from the root on, with no link in it.
    pub path: String,
}

impl Root {
    /// Opens the folder; everything after is relative to it, also when it is renamed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let path = real_path(folder.as_raw_fd())?;
        let device = rustix::fs::fstat(&folder)?.st_dev;
        Ok(Self { folder, path, device })
    }

    /// Opens a regular file by its path inside.
    pub fn find(&self, path: &str) -> io::Result<Found> {
        // A pipe or device is opened without waiting, and then refused.
        let file = File::from(self.at(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?);
        let data = file.metadata()?;
        if !data.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let real = real_path(file.as_raw_fd())?;
        let inside = real.strip_prefix(&self.path).unwrap_or(&real);
        let path = format!("/{}", inside.display().to_string().trim_start_matches('/'));
        let executable = data.mode() & 0o111 != 0;
        Ok(Found { file, identity: (data.dev(), data.ino()), size: data.len(), executable, path })
    }

    fn at(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.folder, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }

    /// Names in a folder, sorted, with whether each is a folder itself.
    pub fn names(&self, folder: &str) -> io::Result<Vec<(String, bool)>> {
        let opened = self.at(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(opened.as_fd())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name != "." && name != ".." {
                names.push((name.to_owned(), entry.file_type() == FileType::Directory));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Paths of all files below a folder, links to files too; what is mounted there is left out.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let (mut files, mut left) = (Vec::new(), vec![(folder.to_owned(), 0)]);
        while let Some((folder, depth)) = left.pop() {
            if !self.is_own(&folder) {
                continue;
            }
            for (name, is_folder) in self.names(&folder).unwrap_or_default() {
                let path = format!("{}/{name}", folder.trim_end_matches('/'));
                if is_folder && depth < DEEPEST {
                    left.push((path, depth + 1));
                } else if !is_folder && files.len() < MANY {
                    files.push(path);
                }
            }
        }
        files.sort_unstable();
        files
    }

    /// Whether a folder is on the same file system as the root.
    fn is_own(&self, folder: &str) -> bool {
        let opened = self.at(folder, OFlags::PATH | OFlags::DIRECTORY);
        let device = opened.and_then(|folder| Ok(rustix::fs::fstat(folder)?.st_dev));
        device.is_ok_and(|device| device == self.device)
    }
}

impl Found {
    /// The first bytes.
    pub fn head(&self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let read = rustix::io::pread(&self.file, &mut bytes[..], 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// All bytes.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        if self.size > LARGEST {
            let size = self.size;
            let text = format!("it has {size} bytes; files beyond {LARGEST} are not read");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or(0));
        // It may have grown since.
        (&self.file).take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Where an open file is.
fn real_path(descriptor: i32) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{descriptor}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir_all(inside.join("etc")).unwrap();
        std::fs::write(folder.path().join("secret"), "outside").unwrap();
        std::fs::write(inside.join("secret"), "inside").unwrap();
        for (name, to) in
            [("up", "../secret"), ("over", "/secret"), ("etc/far", "../../../../secret")]
        {
            symlink(to, inside.join(name)).unwrap();
        }
        symlink("/proc/self/root", inside.join("magic")).unwrap();
        let root = Root::open(&inside).unwrap();
        for name in ["up", "over", "etc/far", "/etc/../../secret"] {
            let found = root.find(name).unwrap();
            assert_eq!(found.bytes().unwrap(), b"inside", "{name}");
            assert_eq!(found.path, "/secret");
        }
        assert!(root.find("magic/etc/passwd").is_err());
        assert_eq!(root.files("/"), ["/etc/far", "/magic", "/over", "/secret", "/up"]);
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let root = Root::open(folder.path()).unwrap();
        assert!(root.find("/pipe").is_err() && root.find("/").is_err());
        assert!(root.find("/nothing").is_err());
    }
}
