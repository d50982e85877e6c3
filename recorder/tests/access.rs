//! What the programs tell of what real processes do, in the kernel at hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Lines, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
};

use libtest_mimic::{Arguments, Failed, Trial};
use recorder::{
    apart,
    kernel::{Recording, Watch},
    seen::{Access, Ways},
};

/// Says to this program that it is the one that is recorded; what it does and where follow.
const ACT: &str = "--act";

const ACCESSES: Watch = Watch { calls: false, denials: false, accesses: true, permissions: false };

type Test = fn() -> Result<(), Failed>;
type Act = fn(&Path) -> io::Result<()>;

/// What a recorded process does in a folder of its own.
const ACTS: &[(&str, Act)] = &[
    ("reads", reads),
    ("writes", writes),
    ("changes_names", changes_names),
    ("changes_modes", changes_modes),
    ("goes_through_links", goes_through_links),
    ("is_relative", is_relative),
    ("nothing", |_| Ok(())),
];

fn main() -> ExitCode {
    let given: Vec<_> = env::args().collect();
    if let [_, flag, name, folder] = &*given
        && flag == ACT
    {
        let act = ACTS.iter().find(|(known, _)| known == name);
        let done = act.map_or(Ok(()), |(_, act)| act(Path::new(folder))).and_then(|()| {
            // Done, and still there until somebody has looked.
            writeln!(io::stdout(), "done")?;
            io::stdin().read_line(&mut String::new())
        });
        let done = done.map_err(|error| writeln!(io::stderr(), "{name}: {error}"));
        return if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let arguments = Arguments::from_args();
    // Whoever may not even make the maps is told so by name.
    let refused = Recording::start(Watch::default()).err().map(|error| error.to_string());
    let tests: &[(&str, Test)] = &[
        ("files_that_are_read_are_told", files_that_are_read_are_told),
        ("files_that_are_written_and_made_are_told", files_that_are_written_and_made_are_told),
        ("names_that_change_are_told", names_that_change_are_told),
        ("changes_of_modes_are_writing", changes_of_modes_are_writing),
        ("what_links_lead_to_is_told", what_links_lead_to_is_told),
        ("names_are_relative_to_where_they_begin", names_are_relative),
        ("the_program_its_linker_and_its_libraries_are_told", programs_are_told),
        ("a_script_is_told_with_what_runs_it", a_script_is_told),
        ("what_others_do_is_not_told", what_others_do_is_not_told),
    ];
    let trials = tests.iter().map(|(name, test)| {
        let test = *test;
        let name = match &refused {
            None => (*name).to_owned(),
            Some(why) => format!("{name} ({why})"),
        };
        Trial::test(name, test).with_ignored_flag(refused.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn ensure(condition: bool, what: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into().into()) }
}

/// Begins to record; why not is told to its end, which is where the kernel says what it does not take.
fn start() -> Result<Recording, Failed> {
    Recording::start(ACCESSES).map_err(|error| {
        let mut text = String::new();
        let mut next: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = next {
            text = format!("{text}: {error}");
            next = error.source();
        }
        let end = text.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
        Failed::from(&text[end..])
    })
}

/// What was told of a folder and what is in it, by name in it, and of everything else.
#[derive(Debug, Default)]
struct Told {
    files: BTreeMap<String, Ways>,
    elsewhere: BTreeMap<String, Ways>,
    others: BTreeSet<Access>,
}

/// What is told of the namespace whose first process this is; nothing may be told twice.
fn take(recording: &mut Recording, first: u32, folder: &Path) -> Result<Told, Failed> {
    let place = recording.find(|slot| slot.first == u64::from(first))?.ok_or("no slot")?;
    let own = recording.slot(place)?.ok_or("an empty slot")?.namespace;
    let (mut told, mut twice) = (Told::default(), Vec::new());
    recording.accesses(&mut |namespace, access| {
        if namespace != own {
            return;
        }
        let Access::File { path, ways } = access else {
            if !told.others.insert(access.clone()) {
                twice.push(access);
            }
            return;
        };
        let known = match Path::new(&path).strip_prefix(folder) {
            Ok(name) => {
                let slash = if path.ends_with('/') { "/" } else { "" };
                told.files.entry(format!("{}{slash}", name.display()))
            }
            Err(_) => told.elsewhere.entry(path.clone()),
        }
        .or_default();
        if known.has(ways) {
            twice.push(Access::File { path, ways });
        }
        *known = *known | ways;
    });
    ensure(twice.is_empty(), format!("told twice: {twice:?}"))?;
    let lost = recording.lost();
    ensure(lost.accesses == 0, format!("{lost:?}"))?;
    Ok(told)
}

/// Records a command in a mount namespace of its own, which is gone when it is asked what was told.
fn record(command: &mut Command, folder: &Path) -> Result<Told, Failed> {
    let mut recording = start()?;
    let mut child = apart::start(command.stdout(Stdio::null()))?;
    let status = child.wait()?;
    ensure(status.success(), format!("{command:?}: {status}"))?;
    take(&mut recording, child.id(), folder)
}

/// Records this program doing something in a folder that `prepare` fills.
fn act(name: &str, prepare: impl Fn(&Path) -> io::Result<()>) -> Result<Told, Failed> {
    act_while(name, prepare, |_| Ok(()))
}

/// The same while something else happens.
fn act_while(
    name: &str,
    prepare: impl Fn(&Path) -> io::Result<()>,
    meanwhile: impl Fn(&Path) -> io::Result<()>,
) -> Result<Told, Failed> {
    let folder = tempfile::tempdir()?;
    prepare(folder.path())?;
    let mut recording = start()?;
    let (mut child, mut lines) = begin(name, folder.path())?;
    meanwhile(folder.path())?;
    let done = lines.next().is_some_and(|line| line.is_ok_and(|line| line == "done"));
    let told = take(&mut recording, child.id(), folder.path());
    drop(child.stdin.take());
    let status = child.wait()?;
    ensure(done && status.success(), format!("{name}: {status}"))?;
    told
}

/// Starts this program in a mount namespace of its own.
fn begin(name: &str, folder: &Path) -> Result<(Child, Lines<BufReader<ChildStdout>>), Failed> {
    let mut command = Command::new(env::current_exe()?);
    command.args([ACT, name]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = apart::start(&mut command)?;
    let lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
    Ok((child, lines))
}

/// Whether exactly this was told of the folder.
fn exactly(told: &Told, expected: &[(&str, Ways)]) -> Result<(), Failed> {
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(name, ways)| ((*name).to_owned(), *ways)).collect();
    ensure(told.files == expected, format!("{:#?}\nexpected {expected:#?}", told.files))
}

fn reads(folder: &Path) -> io::Result<()> {
    for _ in 0..3 {
        fs::read(folder.join("a"))?;
        fs::read_dir(folder.join("b"))?.for_each(drop);
    }
    fs::metadata(folder.join("c"))?;
    assert!(File::open(folder.join("none")).is_err());
    Ok(())
}

fn files_that_are_read_are_told() -> Result<(), Failed> {
    let told = act("reads", |folder| {
        fs::create_dir(folder.join("b"))?;
        fs::write(folder.join("c"), "")?;
        fs::write(folder.join("a"), "")
    })?;
    exactly(&told, &[("a", Ways::READ), ("b/", Ways::READ)])
}

fn writes(folder: &Path) -> io::Result<()> {
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

fn files_that_are_written_and_made_are_told() -> Result<(), Failed> {
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

fn changes_names(folder: &Path) -> io::Result<()> {
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

fn names_that_change_are_told() -> Result<(), Failed> {
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

fn changes_modes(folder: &Path) -> io::Result<()> {
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

fn changes_of_modes_are_writing() -> Result<(), Failed> {
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

fn goes_through_links(folder: &Path) -> io::Result<()> {
    fs::read(folder.join("link/a"))?;
    fs::remove_file(folder.join("link/b"))?;
    fs::set_permissions(folder.join("to c"), fs::Permissions::from_mode(0o600))?;
    fs::remove_file(folder.join("to d"))
}

fn what_links_lead_to_is_told() -> Result<(), Failed> {
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

fn is_relative(folder: &Path) -> io::Result<()> {
    env::set_current_dir(folder.join("in"))?;
    fs::write("../x/./new", "")?;
    fs::create_dir("made")?;
    fs::rename("made", "../made")?;
    let other = File::open(folder.join("x"))?;
    rustix::fs::unlinkat(&other, "new", rustix::fs::AtFlags::empty())?;
    rustix::fs::unlinkat(&other, "../in/sub/", rustix::fs::AtFlags::REMOVEDIR)?;
    Ok(())
}

fn names_are_relative() -> Result<(), Failed> {
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

fn programs_are_told() -> Result<(), Failed> {
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

fn a_script_is_told() -> Result<(), Failed> {
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

fn what_others_do_is_not_told() -> Result<(), Failed> {
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
