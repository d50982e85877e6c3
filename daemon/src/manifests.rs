//! A folder of manifests, read again when it changes; what is wrong is named, and the last good state stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Debug, Display},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use notify::{RecursiveMode, Watcher as _};
use serde_json::Value;
use tokio::sync::mpsc;

pub use document::{Header, Problem, checked, drop_nulls, parse, typed};

use crate::{contact::Health, error::chain};

mod document;

/// A folder is looked at this often also when nothing tells of a change.
const RECHECK: Duration = Duration::from_secs(30);

/// Editors write a file in several steps.
const SETTLE: Duration = Duration::from_millis(50);

/// A file that changed less long ago than this is read again.
const RACY_SECONDS: i64 = 2;

/// A file is not read when it is larger than any set of manifests would be.
const FILE_MAX: u64 = 64 << 20;

/// What a document of a kind that matters comes down to.
pub trait Manifest: Clone {
    /// What no two documents may have in common.
    type Key: Ord + Display;

    /// Reads a document; none when it is of a kind that does not matter. The error names field and fault.
    fn read(value: Value) -> Result<Option<Self>, String>;

    /// Its key, which prints as `ProfileBinding NAME`.
    fn key(&self) -> Self::Key;
}

/// One folder.
#[derive(Debug)]
pub struct Manifests<T> {
    path: PathBuf,
    /// What each file was last known to hold.
    good: BTreeMap<PathBuf, Known<T>>,
    health: Arc<FolderHealth>,
}

/// What a file was last known to hold.
#[derive(Clone, Debug)]
struct Known<T> {
    /// None when the file has to be read again.
    stamp: Option<Stamp>,
    /// Each document with its place in the file, from 1.
    documents: Vec<(usize, T)>,
}

/// Changes whenever a file's content does, but for changes within one tick of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Since when the folder has had a fault.
#[derive(Debug, Default)]
struct FolderHealth(AtomicU64);

impl<T: Manifest> Manifests<T> {
    /// A folder, not yet read.
    pub fn new(path: PathBuf) -> Self {
        Self { path, good: BTreeMap::new(), health: Arc::default() }
    }

    /// Reads it once: the objects of all good documents, and what is wrong with the others.
    pub fn read(&mut self) -> (Vec<T>, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut files = BTreeMap::new();
        for path in list(&self.path, &mut problems) {
            let known = self.good.remove(&path);
            let stamp = Stamp::of(&path);
            let before = problems.len();
            let unchanged = |known: &Known<T>| stamp.is_some() && known.stamp == stamp;
            let known = match known {
                Some(known) if unchanged(&known) => {
                    files.insert(path, known);
                    continue;
                }
                known => known,
            };
            let documents = document::read_file(&path, FILE_MAX, &mut problems);
            let file = match known {
                Some(good) if problems.len() > before => Known { stamp: None, ..good },
                _ if problems.len() > before => Known { stamp: None, documents },
                _ => Known { stamp, documents },
            };
            files.insert(path, file);
        }
        if !problems.is_empty() && files.is_empty() {
            // The folder itself cannot be read.
            files = std::mem::take(&mut self.good);
        }
        let (mut keys, mut objects) = (BTreeSet::new(), Vec::new());
        for (path, Known { documents, .. }) in &files {
            for (number, object) in documents {
                let key = object.key();
                if keys.contains(&key) {
                    let message = format!("{key} is defined a second time here");
                    problems.push(Problem::new(path, Some(*number), message));
                } else {
                    keys.insert(key);
                    objects.push(object.clone());
                }
            }
        }
        self.good = files;
        (objects, problems)
    }

    /// Reads it for ever, at once and after each change, and hands on what it holds, and whether all of it is good.
    pub async fn follow<F: Future<Output = ()>>(mut self, mut to: impl FnMut(Vec<T>, bool) -> F) {
        let (changed, mut changes) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading the folder is an access as well: it must not lead to the next reading.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // A full channel holds a change that is not looked at yet: one is enough.
                changed.try_send(()).unwrap_or_default();
            }
        })
        .and_then(|mut watcher| {
            watcher.watch(&self.path, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            let error = chain(error);
            tracing::warn!(error, "folder is not watched, only looked at every 30 s");
        }
        let mut reported = Vec::new();
        loop {
            let (objects, problems) = self.read();
            for problem in problems.iter().filter(|problem| !reported.contains(*problem)) {
                tracing::error!(
                    file = %problem.file.display(),
                    document = problem.document,
                    problem = problem.message,
                    "manifest not used, the last good state stays"
                );
            }
            self.health.set(!problems.is_empty());
            reported = problems;
            to(objects, reported.is_empty()).await;
            drop(tokio::time::timeout(RECHECK, changes.recv()).await);
            tokio::time::sleep(SETTLE).await;
            changes.try_recv().unwrap_or_default();
        }
    }

    /// How it is doing.
    pub fn health(&self) -> Arc<dyn Health> {
        Arc::clone(&self.health) as Arc<dyn Health>
    }
}

impl Stamp {
    /// Of a file; none when it has changed so lately that it may change again without the stamp showing it.
    fn of(path: &Path) -> Option<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let meta = std::fs::metadata(path).ok()?;
        let old = meta.ctime() + RACY_SECONDS <= i64::try_from(now).ok()?;
        let changed = (meta.ctime(), meta.ctime_nsec());
        old.then(|| Self { inode: meta.ino(), size: meta.size(), changed })
    }
}

/// The files with manifests, in the order of their names; those whose names begin with a dot are not looked at.
fn list(folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(Problem::new(folder, None, format!("cannot list the folder: {error}")));
            return Vec::new();
        }
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            let ending = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
            ending && !name.starts_with('.') && path.is_file()
        })
        .collect();
    files.sort();
    files
}

impl FolderHealth {
    fn set(&self, faulty: bool) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if !faulty {
            self.0.store(0, Ordering::Relaxed);
        } else if self.0.load(Ordering::Relaxed) == 0 {
            self.0.store(now, Ordering::Relaxed);
        }
    }
}

impl Health for FolderHealth {
    fn ages(&self) -> Vec<(&'static str, u64)> {
        let since = self.0.load(Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        vec![("folder", if since == 0 { 0 } else { now.saturating_sub(since).max(1) })]
    }
}

#[cfg(test)]
mod tests;
