//! Files, and the programs that are run.

use std::{
    collections::BTreeSet,
    env,
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    process::{Command, Stdio},
};

use libtest_mimic::Failed;
use recorder::{apart, seen::Ways};
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::told::{act, act_while, ensure, exactly, record, start, take};

pub(crate) fn reads(folder: &Path) -> io::Result<()> {
    for _ in 0..3 {
        fs::read(folder.join("a"))?;
        fs::read_dir(folder.join("b"))?.for_each(drop);
    }
    fs::metadata(folder.join("c"))?;
    assert!(File::open(folder.join("none")).is_err());
    Ok(())
}

pub(crate) fn files_that_are_read_are_told() -> Result<(), Failed> {
    let told = act("reads", |folder| {
        fs::create_dir(folder.join("b"))?;
        fs::write(folder.join("c"), "")?;
        fs::write(folder.join("a"), "")
    })?;
    exactly(&told, &[("a", Ways::READ), ("b/", Ways::READ)])
}

pub(crate) fn writes(folder: &Path) -> io::Result<()> {
    fs::write(folder.join("new"), "x")?;
    fs::write(folder.join("old"), "x")?;
    OpenOptions::new().append(true).open(folder.join("appended"))?.write_all(b"x")?;
    OpenOptions::new().read(true).write(true).open(folder.join("both"))?;
    OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(folder.join("only named"))?;
    File::open(folder.join("locked"))?.lock()?;
    // The same file again is nothing new, a new one of the same name is.
    fs::remove_file(folder.join("new"))?;
    fs::write(folder.join("new"), "x")
}

pub(crate) fn files_that_are_written_and_made_are_told() -> Result<(), Failed> {
    let told = act("writes", |folder| {
        for name in ["old", "appended", "both", "only named", "locked"] {
            fs::write(folder.join(name), "")?;
        }
        Ok(())
    })?;
    exactly(
        &told,
        &[
            ("new", Ways::WRITE | Ways::CREATE | Ways::REMOVE),
            ("old", Ways::WRITE),
            ("appended", Ways::WRITE),
            ("both", Ways::READ | Ways::WRITE),
            ("locked", Ways::READ | Ways::LOCK),
        ],
    )
}

pub(crate) fn changes_names(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder.join("made"))?;
    fs::remove_dir(folder.join("gone"))?;
    fs::rename(folder.join("a"), folder.join("b"))?;
    fs::rename(folder.join("folder"), folder.join("moved"))?;
    fs::hard_link(folder.join("c"), folder.join("d"))?;
    std::os::unix::fs::symlink("anything", folder.join("link"))?;
    fs::remove_file(folder.join("c"))?;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join("fifo"),
        rustix::fs::FileType::Fifo,
        Mode::RUSR,
        0,
    )?;
    // There is nothing: that it may be removed is nothing to be known.
    assert!(fs::remove_file(folder.join("none")).is_err());
    Ok(())
}

pub(crate) fn names_that_change_are_told() -> Result<(), Failed> {
    let told = act("changes_names", |folder| {
        fs::create_dir(folder.join("gone"))?;
        fs::create_dir(folder.join("folder"))?;
        fs::write(folder.join("a"), "")?;
        fs::write(folder.join("c"), "")
    })?;
    exactly(
        &told,
        &[
            ("made/", Ways::CREATE),
            ("gone/", Ways::REMOVE),
            ("a", Ways::RENAME),
            ("b", Ways::RENAME),
            ("folder/", Ways::RENAME),
            ("moved/", Ways::RENAME),
            ("c", Ways::LINK | Ways::REMOVE),
            ("d", Ways::LINK),
            ("link", Ways::CREATE),
            ("fifo", Ways::CREATE),
        ],
    )
}

pub(crate) fn renames_from_elsewhere(folder: &Path) -> io::Result<()> {
    let open = |path: &Path| rustix::fs::open(path, OFlags::PATH, Mode::empty());
    let [from, to] = [open(&folder.join("from"))?, open(&folder.join("to"))?];
    let top = open(Path::new("/"))?;
    env::set_current_dir(folder.join("here"))?;
    fs::rename(folder.join("a"), "a")?;
    fs::rename("b", folder.join("b"))?;
    rustix::fs::renameat(&from, "c", &to, "new c")?;
    rustix::fs::renameat(&from, folder.join("d"), &to, "d")?;
    rustix::fs::renameat(&from, "e", rustix::fs::CWD, "e")?;
    rustix::fs::renameat(&from, "f", &top, folder.join("f").strip_prefix("/").unwrap_or(folder))?;
    rustix::fs::renameat(&from, "file", &to, "folder")?;
    Ok(())
}

pub(crate) fn renamed_folders_are_folders() -> Result<(), Failed> {
    let told = act("renames_from_elsewhere", |folder| {
        for name in ["a", "d", "here/b", "from/c", "from/e", "from/f", "to"] {
            fs::create_dir_all(folder.join(name))?;
        }
        // It has the name that the file gets, but elsewhere.
        fs::create_dir(folder.join("from/folder"))?;
        fs::write(folder.join("from/file"), "")
    })?;
    let names = [
        ["a/", "here/a/"],
        ["here/b/", "b/"],
        ["from/c/", "to/new c/"],
        ["d/", "to/d/"],
        ["from/e/", "here/e/"],
        ["from/f/", "f/"],
        ["from/file", "to/folder"],
    ];
    exactly(
        &told,
        &names.as_flattened().iter().map(|name| (*name, Ways::RENAME)).collect::<Vec<_>>(),
    )
}

pub(crate) fn changes_modes(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o600))?;
    std::os::unix::fs::chown(folder.join("b"), Some(0), None)?;
    File::open(folder.join("c"))?.set_permissions(fs::Permissions::from_mode(0o600))?;
    let name = CString::new(folder.join("d").into_os_string().into_encoded_bytes())?;
    #[expect(unsafe_code, reason = "opening it would be something else")]
    // SAFETY: the name is text that ends with NUL.
    let truncated = unsafe { libc::truncate(name.as_ptr(), 7) };
    assert_eq!(truncated, 0);
    let (named, flags) = (OFlags::PATH | OFlags::CLOEXEC, AtFlags::EMPTY_PATH);
    let named = rustix::fs::open(folder.join("e"), named, Mode::empty())?;
    rustix::fs::chownat(named, "", Some(rustix::process::getuid()), None, flags)?;
    std::os::unix::fs::lchown(folder.join("link"), Some(0), None)
}

pub(crate) fn changes_of_modes_are_writing() -> Result<(), Failed> {
    let told = act("changes_modes", |folder| {
        for name in ["a", "b", "c", "d", "e"] {
            fs::write(folder.join(name), "")?;
        }
        std::os::unix::fs::symlink("a", folder.join("link"))
    })?;
    exactly(
        &told,
        &[
            ("a", Ways::WRITE),
            ("b", Ways::WRITE),
            ("c", Ways::READ | Ways::WRITE),
            ("d", Ways::WRITE),
            ("e", Ways::WRITE),
            ("link", Ways::WRITE),
        ],
    )
}

pub(crate) fn goes_through_links(folder: &Path) -> io::Result<()> {
    fs::read(folder.join("link/a"))?;
    fs::remove_file(folder.join("link/b"))?;
    fs::set_permissions(folder.join("to c"), fs::Permissions::from_mode(0o600))?;
    fs::remove_file(folder.join("to d"))
}

pub(crate) fn what_links_lead_to_is_told() -> Result<(), Failed> {
    let told = act("goes_through_links", |folder| {
        fs::create_dir(folder.join("real"))?;
        for name in ["a", "b", "c", "d"] {
            fs::write(folder.join("real").join(name), "")?;
        }
        std::os::unix::fs::symlink("real", folder.join("link"))?;
        std::os::unix::fs::symlink("real/c", folder.join("to c"))?;
        std::os::unix::fs::symlink("real/d", folder.join("to d"))
    })?;
    exactly(
        &told,
        &[
            ("real/a", Ways::READ),
            ("real/b", Ways::REMOVE),
            ("real/c", Ways::WRITE),
            ("to d", Ways::REMOVE),
        ],
    )
}

pub(crate) fn is_relative(folder: &Path) -> io::Result<()> {
    env::set_current_dir(folder.join("in"))?;
    fs::write("../x/./new", "")?;
    fs::create_dir("made")?;
    fs::rename("made", "../made")?;
    let other = File::open(folder.join("x"))?;
    rustix::fs::unlinkat(&other, "new", AtFlags::empty())?;
    rustix::fs::unlinkat(&other, "../in/sub/", AtFlags::REMOVEDIR)?;
    Ok(())
}

pub(crate) fn names_are_relative() -> Result<(), Failed> {
    let told = act("is_relative", |folder| {
        fs::create_dir_all(folder.join("in/sub"))?;
        fs::create_dir(folder.join("x"))
    })?;
    exactly(
        &told,
        &[
            ("x/", Ways::READ),
            ("x/new", Ways::WRITE | Ways::CREATE | Ways::REMOVE),
            ("in/made/", Ways::CREATE | Ways::RENAME),
            ("made/", Ways::RENAME),
            ("in/sub/", Ways::REMOVE),
        ],
    )
}

/// What of a process's memory is code of files.
fn code(process: u32) -> io::Result<BTreeSet<String>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let code = maps.lines().filter(|line| line.contains("r-xp")).filter_map(|line| {
        let (_, path) = line.split_at_checked(line.find(" /")?)?;
        Some(path.trim_start().to_owned())
    });
    Ok(code.collect())
}

pub(crate) fn programs_are_told() -> Result<(), Failed> {
    let mut recording = start()?;
    let mut command = Command::new("/bin/cat");
    let mut child = apart::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    // What it answers it does when all of it is there.
    child.stdin.as_mut().ok_or("no standard input")?.write_all(b"x")?;
    child.stdout.as_mut().ok_or("no standard output")?.read_exact(&mut [0])?;
    let (code, program) = (code(child.id()), fs::canonicalize("/bin/cat")?);
    let told = take(&mut recording, child.id(), Path::new("/none"));
    drop(child.stdin.take());
    child.wait()?;
    let (code, told, program) = (code?, told?, program.display().to_string());
    let mapped = Ways::READ | Ways::MAP_EXEC;
    ensure(code.len() >= 3, format!("the program, its linker and a library: {code:?}"))?;
    for path in &code {
        let ways = told.elsewhere.get(path).copied().unwrap_or_default();
        let right = if *path == program { mapped | Ways::EXEC } else { mapped };
        ensure(ways == right, format!("{path}: {ways:?}"))?;
    }
    let told: BTreeSet<_> = told
        .elsewhere
        .into_iter()
        .filter(|(_, ways)| ways.has(Ways::MAP_EXEC | Ways::EXEC))
        .map(|(path, _)| path)
        .collect();
    ensure(told == code, format!("{told:?}"))
}

pub(crate) fn a_script_is_told() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\nexit 0\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700))?;
    let told = record(&mut Command::new(&script), folder.path())?;
    exactly(&told, &[("script", Ways::EXEC | Ways::READ)])?;
    let shell = fs::canonicalize("/bin/sh")?.display().to_string();
    let ways = told.elsewhere.get(&shell).copied();
    ensure(ways == Some(Ways::READ | Ways::MAP_EXEC), format!("{shell}: {ways:?}"))
}

pub(crate) fn what_others_do_is_not_told() -> Result<(), Failed> {
    let meanwhile = |folder: &Path| {
        // On the host, and in another namespace.
        fs::write(folder.join("of the host"), "")?;
        let mut command = Command::new("/bin/sh");
        let mut other = apart::start(command.args(["-c", "echo > \"$0\""]).arg(folder.join("b")))?;
        other.wait().map(drop)
    };
    let told = act_while("nothing", |_| Ok(()), meanwhile)?;
    exactly(&told, &[])?;
    ensure(!told.elsewhere.is_empty(), "its own is told")
}
