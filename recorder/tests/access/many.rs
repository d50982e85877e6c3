//! More than there is room for.

use std::{
    collections::HashSet,
    fs::File,
    io,
    path::Path,
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

use libtest_mimic::Failed;
use recorder::seen::Access;

use crate::told::{begin, ensure, start};

const FILES: usize = 100_000;

/// Makes that many files, with names of so many letters.
fn make(folder: &Path, letters: usize) -> io::Result<()> {
    (0..FILES)
        .try_for_each(|file| File::create(folder.join(format!("{file:0>letters$}"))).map(drop))
}

pub(crate) fn makes_many(folder: &Path) -> io::Result<()> {
    make(folder, 6)
}

pub(crate) fn makes_many_with_long_names(folder: &Path) -> io::Result<()> {
    make(folder, 240)
}

/// How many of them were told, and how many times something was lost.
fn told(act: &str, while_they_are_made: bool) -> Result<(usize, u64), Failed> {
    let folder = tempfile::tempdir()?;
    let mut recording = start()?;
    let (mut child, mut lines) = begin(act, folder.path())?;
    let (say, hear) = channel();
    std::thread::spawn(move || say.send(lines.next()));
    let mut files = HashSet::new();
    let mut look = || {
        recording.accesses(&mut |_, access| {
            if let Access::File { path, .. } = access
                && Path::new(&path).parent() == Some(folder.path())
            {
                files.insert(path);
            }
        });
    };
    while matches!(hear.recv_timeout(Duration::from_millis(5)), Err(RecvTimeoutError::Timeout)) {
        if while_they_are_made {
            look();
        }
    }
    look();
    drop(child.stdin.take());
    let status = child.wait()?;
    ensure(status.success(), format!("{act}: {status}"))?;
    Ok((files.len(), recording.lost().accesses))
}

pub(crate) fn many_files_are_told_or_counted() -> Result<(), Failed> {
    // What is counted as lost is that of all containers of the machine.
    let (files, lost) = told("makes_many", true)?;
    ensure(files == FILES, format!("{files} told, {lost} lost"))?;
    // These do not fit while nobody looks. What others do meanwhile has no room either.
    let (files, lost) = told("makes_many_with_long_names", false)?;
    let missing = u64::try_from(FILES - files)?;
    ensure(missing > 0, "all were told: the ring is larger than this test thinks")?;
    ensure((missing..missing + 10_000).contains(&lost), format!("{missing} missing, {lost} lost"))
}
