//! Follows a log that somebody else writes, renames and cuts off.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::{
    file::lines::{Lines, Told},
    loss::Loss,
    netlink::wait,
};

pub mod lines;

/// So many bytes are read at once.
const BLOCK: usize = 64 * 1024;

/// So many bytes are read before whoever asked is heard again.
const BATCH: usize = 16 * BLOCK;

/// So many bytes before the place up to which it was read tell whether it is still the same text.
const KNOWN: usize = 64;

/// How often is looked when nothing tells that there is something: not every file system does.
const LOOK: Duration = Duration::from_millis(500);

/// The most files of earlier times that are looked at, `NAME.1` the latest.
const EARLIER: u32 = 64;

/// Why a log cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log {}", path.display())]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With what is written from now on.
    End,
    /// With what is there.
    Start,
}

/// A log, and how far it was read.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    open: Open,
    lines: Lines,
    watch: Option<OwnedFd>,
    block: Box<[u8]>,
}

#[derive(Debug)]
struct Open {
    file: File,
    device: u64,
    inode: u64,
    place: u64,
    /// What stands before the place.
    known: Vec<u8>,
}

impl LogFile {
    /// Opens a log. It need not be there for ever, but now.
    pub fn open(path: &Path, from: From) -> Result<Self, FileError> {
        let failed = |source| FileError { path: path.to_owned(), source };
        let open = Open::new(path, from).map_err(failed)?;
        let watch = watch(path).ok();
        Ok(Self {
            path: path.to_owned(),
            open,
            lines: Lines::default(),
            watch,
            block: vec![0; BLOCK].into(),
        })
    }

    /// Waits until there is something, and tells what is there. Whether there may be more.
    pub fn read(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Told<'_>),
    ) -> Result<bool, FileError> {
        if self.advance(each)? {
            return Ok(true);
        }
        self.rest(patience.min(LOOK));
        self.advance(each)
    }

    /// Reads on, and goes over to the next file when this one is done with.
    fn advance(&mut self, each: &mut dyn FnMut(Told<'_>)) -> Result<bool, FileError> {
        // Asked before the end is looked for: what is written until the name is another's is in this one.
        let moved = self.has_moved();
        if self.read_open(each)? {
            return Ok(true);
        }
        if !moved {
            return Ok(false);
        }
        let next = self.open.next(&self.path);
        match Open::new(next.as_deref().unwrap_or(&self.path), From::Start) {
            // Names went on meanwhile: it may be a later one.
            Ok(_) if self.open.next(&self.path) != next => Ok(true),
            Ok(open) => {
                if self.lines.forget() || next.is_none() {
                    each(Told::Lost(Loss::Cut));
                }
                self.open = open;
                Ok(true)
            }
            // It is between two names.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, source: io::Error) -> FileError {
        FileError { path: self.path.clone(), source }
    }

    /// Whether the name is another file's now, and that is written already: until then the writer may go on with this
    /// one, whatever its name is.
    fn has_moved(&self) -> bool {
        let named = std::fs::metadata(&self.path);
        named.is_ok_and(|named| !self.open.is(&named) && named.len() > 0)
    }

    /// Reads what is there. Whether there may be more.
    fn read_open(&mut self, each: &mut dyn FnMut(Told<'_>)) -> Result<bool, FileError> {
        let Self { open, lines, block, .. } = self;
        let mut read = || -> io::Result<bool> {
            if open.was_cut()? {
                lines.forget();
                each(Told::Lost(Loss::Cut));
                open.begin()?;
            }
            let mut left = BATCH;
            while left > 0 {
                let count = match open.file.read(block) {
                    Ok(0) => return Ok(false),
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                let bytes = &block[..count];
                open.passed(bytes);
                lines.take(bytes, each);
                left = left.saturating_sub(count);
            }
            Ok(true)
        };
        let more = read();
        more.map_err(|error| self.failed(error))
    }

    /// Waits for a change, or a while.
    fn rest(&self, patience: Duration) {
        match &self.watch {
            Some(watch) if wait(watch, patience).is_ok() => drain(watch),
            _ => std::thread::park_timeout(patience),
        }
    }
}

impl Open {
    fn new(path: &Path, from: From) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut place = 0;
        if from == From::End {
            place = file.seek(SeekFrom::End(0))?;
        }
        let mut open =
            Self { file, device: metadata.dev(), inode: metadata.ino(), place, known: Vec::new() };
        open.learn()?;
        Ok(open)
    }

    fn is(&self, other: &std::fs::Metadata) -> bool {
        (other.dev(), other.ino()) == (self.device, self.inode)
    }

    /// Reads again what stands before the place.
    fn learn(&mut self) -> io::Result<()> {
        self.known = vec![0; KNOWN.min(usize::try_from(self.place).unwrap_or(KNOWN))];
        let before = self.place - self.known.len() as u64;
        self.file.read_exact_at(&mut self.known, before)
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.place += bytes.len() as u64;
        self.known.extend_from_slice(&bytes[bytes.len().saturating_sub(KNOWN)..]);
        self.known.drain(..self.known.len().saturating_sub(KNOWN));
    }

    /// Whether the file is not any more what was read of it: it is shorter, or has grown again since.
    fn was_cut(&self) -> io::Result<bool> {
        if self.file.metadata()?.len() < self.place {
            return Ok(true);
        }
        let mut now = [0; KNOWN];
        let now = &mut now[..self.known.len()];
        match self.file.read_exact_at(now, self.place - self.known.len() as u64) {
            Ok(()) => Ok(*now != *self.known),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        self.place = self.file.seek(SeekFrom::Start(0))?;
        self.known.clear();
        Ok(())
    }

    /// The file that was begun after this one: its neighbour where logs are numbered, `NAME.1` the latest. None where this
    /// one was removed, and there are others of which nobody knows whether they came before or after.
    fn next(&self, path: &Path) -> Option<PathBuf> {
        let earlier = |number: u32| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let own = (1..=EARLIER)
            .find(|number| std::fs::metadata(earlier(*number)).is_ok_and(|it| self.is(&it)));
        match own {
            Some(number) if number > 1 => Some(earlier(number - 1)),
            Some(_) => Some(path.to_owned()),
            None => {
                let removed = self.file.metadata().is_ok_and(|own| own.nlink() == 0);
                (!removed || !earlier(1).exists()).then(|| path.to_owned())
            }
        }
    }
}

/// Is told of what happens in the folder: the log itself, and what becomes of its name.
fn watch(path: &Path) -> io::Result<OwnedFd> {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let of = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVE;
    inotify::add_watch(&watch, folder.unwrap_or_else(|| Path::new(".")), of)?;
    Ok(watch)
}

/// What was told does not matter, only that something was.
fn drain(watch: &OwnedFd) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    while matches!(rustix::io::read(watch, &mut buffer), Ok((told, _)) if !told.is_empty()) {}
}
