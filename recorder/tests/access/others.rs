//! What is no file: capabilities, sockets, signals, processes that are traced, mounts.

use std::{
    collections::BTreeSet,
    env,
    ffi::{CStr, CString},
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

use libtest_mimic::Failed;
use recorder::{
    kernel::{Group, Tier},
    seen::{Access, MountOperation, Ways},
};

use crate::told::{Told, act, ensure, exactly, start};

/// Whether exactly this was told that is no file.
pub(crate) fn only(told: &Told, expected: impl IntoIterator<Item = Access>) -> Result<(), Failed> {
    let expected: BTreeSet<_> = expected.into_iter().collect();
    ensure(told.others == expected, format!("{:#?}\nexpected {expected:#?}", told.others))
}

/// The result of a call.
pub(crate) fn done(result: impl Into<i64>) -> io::Result<()> {
    if result.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[expect(unsafe_code, reason = "there is no other way to make these calls")]
pub(crate) fn uses_capabilities(folder: &Path) -> io::Result<()> {
    // A large part of memory first: nobody needs a capability for that.
    drop(std::hint::black_box(vec![1_u8; 64 << 20]));
    std::os::unix::fs::chroot("/")?;
    std::os::unix::fs::chown(folder.join("a"), Some(12), None)?;
    // SAFETY: numbers only.
    done(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -1) })
}

pub(crate) fn capabilities_are_told() -> Result<(), Failed> {
    let told = act("uses_capabilities", |folder| fs::write(folder.join("a"), ""))?;
    let expected = ["chown", "sys_chroot", "sys_nice"];
    only(&told, expected.map(|name| Access::Capability(name.to_owned())))
}

#[expect(unsafe_code, reason = "there is no other way to make these calls")]
pub(crate) fn opens_sockets(_: &Path) -> io::Result<()> {
    for (family, kind, protocol) in [
        (libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0),
        (libc::AF_INET, libc::SOCK_STREAM, 0),
        (libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        (libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
        (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        (libc::AF_PACKET, libc::SOCK_DGRAM, 0),
    ] {
        // SAFETY: numbers only.
        done(unsafe { libc::socket(family, kind, protocol) })?;
    }
    let mut pair = [0; 2];
    // SAFETY: two numbers are written where there is room for two.
    done(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair.as_mut_ptr()) })?;
    // SAFETY: numbers only.
    assert!(done(unsafe { libc::socket(77, 1, 0) }).is_err());
    Ok(())
}

pub(crate) fn sockets_are_told() -> Result<(), Failed> {
    let told = act("opens_sockets", |_| Ok(()))?;
    let socket = |(family, kind, protocol): (&str, &str, u32)| Access::Socket {
        family: family.to_owned(),
        kind: kind.to_owned(),
        protocol,
    };
    let expected = [
        ("inet", "stream", 0),
        ("inet6", "dgram", 17),
        ("unix", "seqpacket", 0),
        ("netlink", "raw", 0),
        ("packet", "dgram", 0),
        ("unix", "dgram", 0),
    ];
    // A packet socket is only for whoever may have raw ones.
    let expected = expected.map(socket).into_iter();
    only(&told, expected.chain([Access::Capability("net_raw".to_owned())]))
}

#[expect(unsafe_code, reason = "there is no other way to make these calls")]
fn send(process: i32, signal: i32) -> io::Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::kill(process, signal) })
}

#[expect(unsafe_code, reason = "there is no other way to make these calls")]
pub(crate) fn sends_signals(_: &Path) -> io::Result<()> {
    let mut child = Command::new("/bin/sleep").arg("1000").spawn()?;
    let process = i32::try_from(child.id()).map_err(io::Error::other)?;
    let own = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    // SAFETY: the signal is ignored, not handled.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
    send(own, libc::SIGUSR1)?;
    send(process, libc::SIGRTMIN() + 2)?;
    child.wait()?;
    let mut child = Command::new("/bin/sleep").arg("1000").spawn()?;
    child.kill()?;
    let parent = rustix::process::getppid().ok_or(io::ErrorKind::NotFound)?;
    send(parent.as_raw_pid(), libc::SIGCONT)?;
    // What comes of that, that a child has ended, nobody has sent.
    child.wait().map(drop)
}

pub(crate) fn signals_are_told() -> Result<(), Failed> {
    let told = act("sends_signals", |_| Ok(()))?;
    // The C library keeps two of those that have no name.
    let expected = [("usr1", true), ("rtmin+4", true), ("kill", true), ("cont", false)];
    let signals = expected.map(|(name, inside)| Access::Signal { signal: name.to_owned(), inside });
    only(&told, signals)
}

#[expect(unsafe_code, reason = "there is no other way to make these calls")]
pub(crate) fn traces(_: &Path) -> io::Result<()> {
    let mut child = Command::new("/bin/sleep").arg("1000").stdin(Stdio::null()).spawn()?;
    let process = i32::try_from(child.id()).map_err(io::Error::other)?;
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: nothing is written; the child is this process's own.
    done(unsafe { libc::ptrace(libc::PTRACE_SEIZE, process, none, none) })?;
    child.kill()?;
    child.wait().map(drop)
}

pub(crate) fn what_is_traced_is_told() -> Result<(), Failed> {
    let told = act("traces", |_| Ok(()))?;
    let traced: Vec<_> =
        told.others.iter().filter(|access| matches!(access, Access::Ptrace { .. })).collect();
    // By tracepoints it is not known of whom a number is, where processes of others can be seen.
    ensure(matches!(*traced, [Access::Ptrace { read: false, .. }]), format!("{:#?}", told.others))
}

#[expect(unsafe_code, reason = "there is no other way to make these calls")]
fn mount(source: Option<&Path>, at: &Path, kind: Option<&CStr>, flags: u64) -> io::Result<()> {
    let text = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes());
    let (source, at) = (source.map(text).transpose()?, text(at)?);
    let source = source.as_ref().map_or(std::ptr::null(), |source| source.as_ptr());
    let kind = kind.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: all are texts that end with NUL, or nothing.
    done(unsafe { libc::mount(source, at.as_ptr(), kind, flags, std::ptr::null()) })
}

pub(crate) fn mounts(folder: &Path) -> io::Result<()> {
    use libc::{MS_BIND, MS_NODEV, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT};
    env::set_current_dir(folder)?;
    let (at, other) = (Path::new("at"), folder.join("other"));
    // What is mounted here shall not be mounted elsewhere.
    mount(None, Path::new("/"), None, MS_REC | MS_PRIVATE)?;
    mount(Some(Path::new("none")), at, Some(c"tmpfs"), MS_NOSUID | MS_NODEV)?;
    fs::write("at/file", "")?;
    mount(None, at, None, MS_REMOUNT | MS_RDONLY)?;
    mount(Some(at), &other, None, MS_BIND)?;
    fs::read("other/file")?;
    unmount(&other)
}

#[expect(unsafe_code, reason = "there is no other way to make these calls")]
fn unmount(at: &Path) -> io::Result<()> {
    let at = CString::new(at.as_os_str().as_encoded_bytes())?;
    // SAFETY: a text that ends with NUL.
    done(unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) })
}

pub(crate) fn mounts_are_told() -> Result<(), Failed> {
    let told = act("mounts", |folder| {
        fs::create_dir(folder.join("at"))?;
        fs::create_dir(folder.join("other"))
    })?;
    exactly(&told, &[("at/file", Ways::CREATE | Ways::WRITE), ("other/file", Ways::READ)])?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut found = Vec::new();
    for access in &told.others {
        if let Access::Mount { operation, source, target, fstype, options } = access {
            found.push((
                *operation,
                source.clone(),
                target.clone(),
                fstype.clone(),
                options.clone(),
            ));
        }
    }
    let at = |name: &str| {
        let at =
            found.iter().map(|(_, _, target, ..)| target).find(|target| target.ends_with("/at/"));
        at.map(|at| at.replace("/at/", name)).unwrap_or_default()
    };
    let mut expected = vec![
        (MountOperation::Mount, None, "/".to_owned(), None, words(&["rprivate"])),
        (
            MountOperation::Mount,
            Some("none".to_owned()),
            at("/at/"),
            Some("tmpfs".to_owned()),
            words(&["nodev", "nosuid"]),
        ),
        (MountOperation::Remount, None, at("/at/"), None, words(&["ro"])),
        (MountOperation::Mount, Some(at("/at/")), at("/other/"), None, words(&["bind"])),
        (MountOperation::Umount, None, at("/other/"), None, words(&[])),
    ];
    expected.sort();
    ensure(found == expected, format!("{found:#?}\nexpected {expected:#?}"))
}

/// By what it is told depends on the kernel: whoever knows what it should be says so.
pub(crate) fn what_tells_of_what_is_said() -> Result<(), Failed> {
    let recording = start()?;
    let tiers = recording.tier().ok_or("nothing is told")?;
    for group in Group::ALL {
        let by = tiers.of(group);
        ensure(by != Tier::Nothing || group == Group::Capabilities, format!("{group}: {by:?}"))?;
        let why = tiers.why(group);
        ensure((by == Tier::Hooks) == why.is_none(), format!("{group}: {by:?} but {why:?}"))?;
    }
    if let Ok(expected) = env::var("CINCH_TIER") {
        let why: Vec<_> = Group::ALL.iter().map(|group| (group, tiers.why(*group))).collect();
        ensure(tiers.to_string() == expected, format!("{tiers}: {why:#?}"))?;
    }
    Ok(())
}
