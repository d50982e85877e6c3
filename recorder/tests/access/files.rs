//! Files, and the programs that are run.

use std::{
    env,
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use libtest_mimic::Failed;
use recorder::{apart, seen::Ways};

use crate::told::{act, act_while, ensure, exactly, record};

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
        rustix::fs::Mode::RUSR,
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

pub(crate) fn changes_modes(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o600))?;
    std::os::unix::fs::chown(folder.join("b"), Some(0), None)?;
    File::open(folder.join("c"))?.set_permissions(fs::Permissions::from_mode(0o600))?;
    let name = CString::new(folder.join("d").into_os_string().into_encoded_bytes())?;
    #[expect(unsafe_code, reason = "opening it would be something else")]
    // SAFETY: the name is text that ends with NUL.
    let truncated = unsafe { libc::truncate(name.as_ptr(), 7) };
    assert_eq!(truncated, 0);
    std::os::unix::fs::lchown(folder.join("link"), Some(0), None)
}

pub(crate) fn changes_of_modes_are_writing() -> Result<(), Failed> {
    let told = act("changes_modes", |folder| {
        for name in ["a", "b", "c", "d"] {
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
    rustix::fs::unlinkat(&other, "new", rustix::fs::AtFlags::empty())?;
    rustix::fs::unlinkat(&other, "../in/sub/", rustix::fs::AtFlags::REMOVEDIR)?;
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

/// The files that are mapped into a program as code.
fn code(program: &Path) -> Result<(String, Vec<String>), Failed> {
    let output = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut libraries = Vec::new();
    for word in text.split_whitespace().filter(|word| word.starts_with('/')) {
        libraries.push(fs::canonicalize(word)?.display().to_string());
    }
    Ok((fs::canonicalize(program)?.display().to_string(), libraries))
}

pub(crate) fn programs_are_told() -> Result<(), Failed> {
    let (program, libraries) = code(Path::new("/bin/true"))?;
    let told = record(&mut Command::new("/bin/true"), Path::new("/none"))?;
    let ways = |path: &str| told.elsewhere.get(path).copied().unwrap_or_default();
    let mapped = Ways::READ | Ways::MAP_EXEC;
    ensure(ways(&program) == mapped | Ways::EXEC, format!("{program}: {:?}", ways(&program)))?;
    ensure(libraries.len() == 2, format!("the linker and the C library: {libraries:?}"))?;
    for library in &libraries {
        ensure(ways(library) == mapped, format!("{library}: {:?}", ways(library)))?;
    }
    let code = told.elsewhere.values().filter(|ways| ways.has(Ways::MAP_EXEC | Ways::EXEC)).count();
    ensure(code == 3, format!("{:#?}", told.elsewhere))
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
