//! How the files lie in the folder, and how all of them change at once.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::digest;

use super::FolderError;
use crate::{
    files::{CA_KEY, Files, NAMES, TLS_KEY},
    store::{Loaded, Saved, Version},
};

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_new";
const STATE: &str = "..state-";
const LOCK: &str = "..lock";

/// Times to read again what is changed while it is read.
const ATTEMPTS: usize = 10;

#[derive(Debug)]
pub(super) struct Layout {
    path: PathBuf,
}

impl Layout {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all files in one state.
    pub(super) fn load(&self) -> Result<Loaded, FolderError> {
        for _ in 0..ATTEMPTS {
            let before = self.state();
            let files = Files::try_of(|name| self.read(name, before.as_deref()))?;
            if self.state() == before {
                let version = version(&files);
                return Ok(Loaded { files, version });
            }
        }
        Err(FolderError::Unsteady { path: self.path.clone() })
    }

    /// Replaces all files when they still are `expected`.
    pub(super) fn save(&self, files: &Files, expected: &Version) -> Result<Saved, FolderError> {
        fs::create_dir_all(&self.path)
            .map_err(|source| FolderError::MakeFolder { path: self.path.clone(), source })?;
        // Held until the end of the function, and let go by the kernel when the process dies.
        let _lock = self.lock()?;
        let current = self.load()?;
        if current.version != *expected {
            return Ok(Saved::Conflict);
        }
        let saved = version(files);
        let before = self.state();
        let state = self.write_state(files)?;
        self.link(DATA_NEW, DATA, &state)?;
        for name in NAMES {
            self.link_through_data(name)?;
        }
        sync(&self.path)?;
        self.tidy(&state, before.as_deref());
        Ok(Saved::Done(saved))
    }

    /// Where `..data` leads, when the files lie behind it.
    fn state(&self) -> Option<PathBuf> {
        fs::read_link(self.path.join(DATA)).ok()
    }

    fn read(&self, name: &str, state: Option<&Path>) -> Result<Vec<u8>, FolderError> {
        let path = self.path.join(name);
        let path = match state {
            Some(state) if self.is_linked(name) => self.path.join(state).join(name),
            _ => path,
        };
        match fs::read(&path) {
            Ok(content) => Ok(content),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(FolderError::Read { path, source }),
        }
    }

    fn is_linked(&self, name: &str) -> bool {
        fs::read_link(self.path.join(name)).is_ok_and(|to| to == Path::new(DATA).join(name))
    }

    fn lock(&self) -> Result<File, FolderError> {
        let path = self.path.join(LOCK);
        let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        open.and_then(|file| file.lock().map(|()| file))
            .map_err(|source| FolderError::Lock { path, source })
    }

    /// Writes a folder with all files and returns its name.
    fn write_state(&self, files: &Files) -> Result<PathBuf, FolderError> {
        let name = unused_name(&self.path);
        let folder = self.path.join(&name);
        fs::create_dir(&folder)
            .map_err(|source| FolderError::MakeFolder { path: folder.clone(), source })?;
        let written = fill(&folder, files);
        if written.is_err() {
            remove(&folder);
        }
        written.map(|()| name)
    }

    fn link_through_data(&self, name: &str) -> Result<(), FolderError> {
        if self.is_linked(name) {
            return Ok(());
        }
        self.link(&format!("..{name}_new"), name, &Path::new(DATA).join(name))
    }

    /// Puts a link to `to` into place under `name`.
    fn link(&self, temporary: &str, name: &str, to: &Path) -> Result<(), FolderError> {
        let (new, path) = (self.path.join(temporary), self.path.join(name));
        remove_leftover(&new).map_err(|source| FolderError::Write { path: new.clone(), source })?;
        symlink(to, &new).map_err(|source| FolderError::Write { path: new.clone(), source })?;
        fs::rename(&new, &path).map_err(|source| FolderError::Rename { path, source })
    }

    /// Removes the states of processes that died. The one before stays until the next change: a
    /// reader may be in it.
    fn tidy(&self, state: &Path, before: Option<&Path>) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            let name = PathBuf::from(entry.file_name());
            let ours = name.to_str().is_some_and(|name| name.starts_with(STATE));
            if ours && name != state && Some(&*name) != before {
                remove(&entry.path());
            }
        }
    }
}

fn fill(folder: &Path, files: &Files) -> Result<(), FolderError> {
    for (file, content) in files.iter() {
        let path = folder.join(file);
        write(&path, content, mode(file)).map_err(|source| FolderError::Write { path, source })?;
    }
    sync(folder)
}

fn remove(state: &Path) {
    if let Err(error) = fs::remove_dir_all(state) {
        let error = &error as &dyn Error;
        tracing::warn!(path = %state.display(), error, "cannot remove an old state");
    }
}

fn version(files: &Files) -> Version {
    if files.is_empty() {
        return Version(None);
    }
    let mut context = digest::Context::new(&digest::SHA256);
    for (_, content) in files.iter() {
        context.update(&content.len().to_le_bytes());
        context.update(content);
    }
    Version(Some(BASE64_STANDARD.encode(context.finish())))
}

fn mode(name: &str) -> u32 {
    if name == CA_KEY || name == TLS_KEY { 0o600 } else { 0o644 }
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync(folder: &Path) -> Result<(), FolderError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| FolderError::Write { path: folder.to_owned(), source })
}

fn remove_leftover(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Only the holder of the lock asks, so what is free now stays free.
fn unused_name(folder: &Path) -> PathBuf {
    let names = (1_u64..).map(|number| PathBuf::from(format!("{STATE}{number}")));
    names.into_iter().find(|name| !folder.join(name).exists()).expect("some number is free")
}
