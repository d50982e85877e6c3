//! A place in which programs of a root file system run, apart from the machine: mounts, network and System V memory of
//! their own, all of which is gone with them.

use std::{
    ffi::CString,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use recorder::apart;
use tempfile::TempDir;

use crate::built::built;

/// Nothing takes longer.
const LIMIT: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(50);
const PATH: &str = "/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin";

/// The place; the thread that makes it is in its network from then on.
pub(crate) struct Ground {
    root: PathBuf,
    /// The one that what is started is in, where that is another.
    started: PathBuf,
    work: TempDir,
    user: u32,
}

impl Ground {
    /// The root file system that `tests/prepare programs` makes, or why it is not there.
    pub(crate) fn root() -> Result<PathBuf, String> {
        Self::found("programs")
    }

    /// The same of arm64, with an emulator in it.
    pub(crate) fn root_of_arm64() -> Result<PathBuf, String> {
        Self::found("arm64")
    }

    fn found(recipe: &str) -> Result<PathBuf, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("needs root".to_owned());
        }
        Ok(built(recipe, "root/usr/sbin/nginx")?.join("root"))
    }

    /// What is started is in the one root, and what is run beside it in the other.
    pub(crate) fn new(started: &Path, root: &Path, user: u32) -> Result<Self, String> {
        unshare(libc::CLONE_NEWNET | libc::CLONE_NEWIPC).map_err(|error| error.to_string())?;
        let work = tempfile::tempdir().map_err(|error| error.to_string())?;
        std::os::unix::fs::chown(work.path(), Some(user), Some(user))
            .map_err(|error| error.to_string())?;
        let (root, started) = (root.to_owned(), started.to_owned());
        let ground = Self { root, started, work, user };
        ground.run(&["busybox", "ip", "link", "set", "lo", "up"])?;
        Ok(ground)
    }

    /// Where `/srv` is, seen from outside.
    pub(crate) fn work(&self) -> &Path {
        self.work.path()
    }

    /// Writes a file into `/srv`.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        fs::write(self.work().join(name), text).map_err(|error| format!("{name}: {error}"))
    }

    /// Starts what is recorded.
    pub(crate) fn start(&self, command: &[&str]) -> Result<Running, String> {
        let log = fs::File::create(self.work().join("log")).map_err(|error| error.to_string())?;
        let error = log.try_clone().map_err(|error| error.to_string())?;
        let mut started = self.command(&self.started, command, self.user)?;
        let child = started.stdout(log).stderr(error).spawn().map_err(|error| error.to_string())?;
        let held = fs::File::open(format!("/proc/{}/ns/mnt", child.id()));
        let held = held.map_err(|error| error.to_string())?;
        let namespace = held.metadata().map_err(|error| error.to_string())?.ino();
        Ok(Running { child, namespace, log: self.work().join("log"), _held: held })
    }

    /// Runs something beside it, in mounts of its own, so that it is not recorded.
    pub(crate) fn run(&self, command: &[&str]) -> Result<String, String> {
        let user = if command.starts_with(&["busybox", "ip"]) { 0 } else { self.user };
        let output =
            self.command(&self.root, command, user)?.output().map_err(|error| error.to_string())?;
        let Output { status, stdout, stderr } = output;
        if !status.success() {
            let what = command.first();
            return Err(format!("{what:?}: {status}: {}", String::from_utf8_lossy(&stderr)));
        }
        Ok(String::from_utf8_lossy(&stdout).trim().to_owned())
    }

    #[expect(unsafe_code, reason = "mounts must be made between fork and exec")]
    fn command(&self, root: &Path, command: &[&str], user: u32) -> Result<Command, String> {
        let [program, arguments @ ..] = command else { return Err("no command".to_owned()) };
        let enter = Enter::new(root, self.work.path(), user).map_err(|e| e.to_string())?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH).env("HOME", "/tmp");
        command.env("LANG", "C.UTF-8").stdin(Stdio::null());
        // SAFETY: the closure makes system calls alone, with texts that were made before.
        unsafe { command.pre_exec(move || enter.enter()) };
        Ok(command)
    }
}

/// What is recorded.
pub(crate) struct Running {
    child: Child,
    pub(crate) namespace: u64,
    log: PathBuf,
    /// The namespace itself: once it were gone, another one would have its number, and what is in that would be killed.
    _held: fs::File,
}

impl Running {
    pub(crate) fn pid(&self) -> u64 {
        self.child.id().into()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) -> Result<(), String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.ok_or("no process")?, signal)
            .map_err(|error| error.to_string())
    }

    /// Waits until something goes well.
    pub(crate) fn until<T>(&self, ask: impl Fn() -> Result<T, String>) -> Result<T, String> {
        let started = Instant::now();
        loop {
            match ask() {
                Ok(answer) => return Ok(answer),
                Err(error) if started.elapsed() > LIMIT => {
                    return Err(format!("{error}\n{}", self.said()));
                }
                Err(_) => std::thread::park_timeout(LOOK),
            }
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for its end, and gives what it has said.
    pub(crate) fn end(&mut self) -> Result<String, String> {
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                let said = self.said();
                return if status.success() { Ok(said) } else { Err(format!("{status}: {said}")) };
            }
            std::thread::park_timeout(LOOK);
        }
        Err(format!("it did not end: {}", self.said()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for process in apart::processes(self.namespace) {
            let pid = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
            // It has ended when it cannot be killed.
            let _ =
                pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
        }
        drop(self.child.wait());
    }
}

/// Texts for what is done between fork and exec.
struct Enter {
    root: CString,
    /// From where, to where.
    binds: [(CString, CString); 3],
    memory: [CString; 3],
    user: u32,
}

impl Enter {
    fn new(root: &Path, work: &Path, user: u32) -> Result<Self, std::ffi::NulError> {
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes());
        let bind = |from: &Path, to: &str| Ok((text(from)?, text(&root.join(to))?));
        Ok(Self {
            root: text(root)?,
            binds: [
                bind(Path::new("/dev"), "dev")?,
                bind(Path::new("/proc"), "proc")?,
                bind(work, "srv")?,
            ],
            memory: [
                text(&root.join("tmp"))?,
                text(&root.join("run"))?,
                text(&root.join("dev/shm"))?,
            ],
            user,
        })
    }

    #[expect(unsafe_code, reason = "the standard library has no mount and no chroot by text")]
    fn enter(&self) -> io::Result<()> {
        unshare(libc::CLONE_NEWNS)?;
        // SAFETY: the texts are valid, and the calls concern this process alone, which is about to execute another program.
        let done = |result: libc::c_int| match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        };
        let none = std::ptr::null();
        let private = libc::MS_REC | libc::MS_PRIVATE;
        // SAFETY: as above.
        done(unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) })?;
        for (from, to) in &self.binds {
            let flags = libc::MS_BIND | libc::MS_REC;
            // SAFETY: as above.
            done(unsafe { libc::mount(from.as_ptr(), to.as_ptr(), none, flags, none.cast()) })?;
        }
        for folder in &self.memory {
            let (kind, mode) = (c"tmpfs".as_ptr(), c"mode=1777".as_ptr().cast());
            // SAFETY: as above.
            done(unsafe { libc::mount(kind, folder.as_ptr(), kind, 0, mode) })?;
        }
        // SAFETY: as above.
        done(unsafe { libc::chroot(self.root.as_ptr()) })?;
        // SAFETY: as above.
        done(unsafe { libc::chdir(c"/srv".as_ptr()) })?;
        // SAFETY: the calls take numbers.
        done(unsafe { libc::setgid(self.user) })?;
        // SAFETY: as above.
        done(unsafe { libc::setuid(self.user) })
    }
}

#[expect(unsafe_code, reason = "the standard library does not unshare")]
fn unshare(what: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes a number and concerns the calling thread alone.
    match unsafe { libc::unshare(what) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
