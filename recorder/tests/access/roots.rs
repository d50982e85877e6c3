//! Files below roots of other kinds: those of containers, of processes that have changed theirs, and very deep ones.

use std::{
    env,
    ffi::CString,
    fs,
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::fs::chroot},
    path::Path,
};

use libtest_mimic::Failed;
use recorder::seen::{Access, Ways};
use rustix::fs::{Mode, OFlags, mkdirat, openat};

use crate::{
    others::done,
    told::{act, begin, ensure, exactly, start},
};

/// With that of a folder, more of them are no path any more: 4,096 bytes are the longest.
const LEVELS: usize = 17;

/// So many are one.
const FEWER: usize = 10;

#[expect(unsafe_code, reason = "there is no other way to make this call")]
fn mount(source: &str, target: &Path, kind: &str, flags: u64, options: &str) -> io::Result<()> {
    let target = CString::new(target.as_os_str().as_encoded_bytes())?;
    let [source, kind, options] = [source, kind, options].map(CString::new);
    let (source, kind, options) = (source?, kind?, options?);
    let data = options.as_ptr().cast();
    // SAFETY: all of them are texts that end with NUL.
    done(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data) })
}

/// What is mounted from now on is mounted here alone.
fn mount_apart() -> io::Result<()> {
    mount("none", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "")
}

pub(crate) fn is_on_layers(folder: &Path) -> io::Result<()> {
    mount_apart()?;
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| folder.join(name));
    let layers = [("lowerdir", lower), ("upperdir", upper), ("workdir", work)];
    let options = layers.map(|(name, folder)| format!("{name}={}", folder.display())).join(",");
    mount("overlay", &folder.join("root"), "overlay", 0, &options)?;
    let root = folder.join("root");
    fs::read(root.join("a"))?;
    fs::OpenOptions::new().append(true).open(root.join("b"))?.write_all(b"x")?;
    fs::write(root.join("new"), "x")?;
    fs::remove_file(root.join("c"))?;
    fs::rename(root.join("d"), root.join("e"))?;
    fs::create_dir(root.join("made"))?;
    fs::read(root.join("to a")).map(drop)
}

pub(crate) fn layers_are_told_as_they_are_seen() -> Result<(), Failed> {
    let mut told = act("is_on_layers", |folder| {
        for name in ["lower", "upper", "work", "root"] {
            fs::create_dir(folder.join(name))?;
        }
        std::os::unix::fs::symlink("a", folder.join("lower/to a"))?;
        ["a", "b", "c", "d"]
            .iter()
            .try_for_each(|name| fs::write(folder.join("lower").join(name), "x"))
    })?;
    // Who mounts layers has the kernel look into this folder, which hooks tell and tracepoints do not.
    told.files.remove("work/");
    exactly(
        &told,
        &[
            ("root/a", Ways::READ),
            ("root/b", Ways::WRITE),
            ("root/new", Ways::WRITE | Ways::CREATE),
            ("root/c", Ways::REMOVE),
            ("root/d", Ways::RENAME),
            ("root/e", Ways::RENAME),
            ("root/made/", Ways::CREATE),
        ],
    )
}

pub(crate) fn changes_its_root(folder: &Path) -> io::Result<()> {
    chroot(folder.join("root"))?;
    env::set_current_dir("/in")?;
    fs::read("/a")?;
    fs::read("/to b")?;
    fs::write("new", "x")?;
    fs::create_dir("/made")?;
    fs::rename("/made", "/in/moved")?;
    fs::rename("/folder", "folder")?;
    fs::remove_file("/../c")
}

pub(crate) fn a_changed_root_is_below_that_of_all() -> Result<(), Failed> {
    let told = act("changes_its_root", |folder| {
        fs::create_dir_all(folder.join("root/in"))?;
        fs::create_dir(folder.join("root/folder"))?;
        // Of the root that it has then.
        std::os::unix::fs::symlink("/in/b", folder.join("root/to b"))?;
        ["a", "in/b", "c"]
            .iter()
            .try_for_each(|name| fs::write(folder.join("root").join(name), "x"))
    })?;
    exactly(
        &told,
        &[
            ("root/a", Ways::READ),
            ("root/in/b", Ways::READ),
            ("root/in/new", Ways::WRITE | Ways::CREATE),
            ("root/made/", Ways::CREATE | Ways::RENAME),
            ("root/in/moved/", Ways::RENAME),
            ("root/folder/", Ways::RENAME),
            ("root/in/folder/", Ways::RENAME),
            ("root/c", Ways::REMOVE),
        ],
    )
}

/// The old one stays: a program that comes from no mount of its namespace's any more is taken for a runtime's.
pub(crate) fn moves_its_root(folder: &Path) -> io::Result<()> {
    mount_apart()?;
    let root = folder.join("root");
    mount(&root.to_string_lossy(), &root, "", libc::MS_BIND, "")?;
    rustix::process::pivot_root(&root, root.join("old"))?;
    env::set_current_dir("/")?;
    fs::read("/cinch-a")?;
    fs::write("cinch-new", "x")?;
    fs::create_dir("/cinch-made")?;
    fs::read(Path::new("/old").join(folder.strip_prefix("/").unwrap_or(folder)).join("b"))?;
    fs::rename("/cinch-made", "/cinch-moved")
}

pub(crate) fn a_moved_root_is_that_of_all() -> Result<(), Failed> {
    let told = act("moves_its_root", |folder| {
        fs::create_dir_all(folder.join("root/old"))?;
        fs::write(folder.join("b"), "")?;
        fs::write(folder.join("root/cinch-a"), "")
    })?;
    let now = told.elsewhere.iter().filter(|(path, _)| path.contains("/cinch-"));
    let now: Vec<_> = now.map(|(path, ways)| (&**path, *ways)).collect();
    let expected = [
        ("/cinch-a", Ways::READ),
        ("/cinch-made/", Ways::CREATE | Ways::RENAME),
        ("/cinch-moved/", Ways::RENAME),
        ("/cinch-new", Ways::WRITE | Ways::CREATE),
    ];
    ensure(now == expected, format!("{:?} {:?}", told.elsewhere, told.files))?;
    let old = told.elsewhere.iter().find(|(path, _)| path.starts_with("/old/"));
    let is_it = |(path, ways): (&String, &Ways)| path.ends_with("/b") && *ways == Ways::READ;
    ensure(old.is_some_and(is_it), format!("{:#?}", told.elsewhere))
}

/// The folder that is so many levels down.
fn level(folder: &Path, down: usize) -> io::Result<OwnedFd> {
    let name = "n".repeat(255);
    let mut at = openat(rustix::fs::CWD, folder, OFlags::PATH, Mode::empty())?;
    for _ in 0..down {
        at = openat(&at, &name, OFlags::PATH, Mode::empty())?;
    }
    Ok(at)
}

pub(crate) fn goes_deep(folder: &Path) -> io::Result<()> {
    for down in [LEVELS, FEWER] {
        openat(level(folder, down)?, "file", OFlags::RDONLY, Mode::empty())?;
    }
    Ok(())
}

pub(crate) fn what_is_too_deep_is_counted_and_nothing_wrong_is_told() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for down in 0..LEVELS {
        mkdirat(level(folder.path(), down)?, "n".repeat(255), Mode::RWXU)?;
    }
    for down in [LEVELS, FEWER] {
        let flags = OFlags::WRONLY | OFlags::CREATE;
        openat(level(folder.path(), down)?, "file", flags, Mode::RUSR)?;
    }
    let mut recording = start()?;
    let (mut child, mut lines) = begin("goes_deep", folder.path())?;
    let said = lines.next().is_some_and(|line| line.is_ok_and(|line| line == "done"));
    let mut told = Vec::new();
    recording.accesses(&mut |_, access| match access {
        Access::File { path, ways } if Path::new(&path).starts_with(folder.path()) => {
            told.push((path, ways));
        }
        Access::File { path, .. } if path.contains("nnn") => told.push((path, Ways::default())),
        _ => {}
    });
    drop(child.stdin.take());
    ensure(child.wait()?.success() && said, "it has done so")?;
    let whole = format!(
        "{}{}/file",
        folder.path().display(),
        format!("/{}", "n".repeat(255)).repeat(FEWER)
    );
    ensure(told == [(whole, Ways::READ)], format!("{told:?}"))?;
    ensure(recording.lost().accesses > 0, "the other one is counted")
}
