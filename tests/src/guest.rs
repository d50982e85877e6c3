//! A small machine of its own, emulated, with the kernel of the distribution and AppArmor or SELinux on.
//!
//! It takes in a tar of files on one disk, runs a script as root, and hands back a tar on another.

pub mod images;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{daemon::Daemon, guest::images::Images};

/// Emulated, and beside others: a script of a second can take many.
const LIMIT: Duration = Duration::from_mins(2);
/// Of the disk that takes the files to keep; it is sparse.
const OUTPUT: u64 = 256 << 20;
/// What the script of a test begins with.
const PRELUDE: &str = ". /usr/lib/guest/functions\n";

/// Which of the two modules is on; the kernel has room for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lsm {
    AppArmor,
    /// Enforcing; only the script itself is held to nothing.
    Selinux,
}

/// A machine that is not switched on yet.
#[derive(Debug)]
pub struct Guest {
    images: Images,
    lsm: Lsm,
    folder: TempDir,
    keep: String,
    limit: Duration,
    counts: bool,
    hooks: bool,
}

/// What came of a script.
#[derive(Debug)]
pub struct Outcome {
    /// The script's exit code.
    pub code: i32,
    /// What the script printed, on either output.
    pub output: String,
    /// The kernel's log, with its audit lines.
    pub kernel: String,
    /// From power to end.
    pub took: Duration,
    files: TempDir,
}

impl Guest {
    pub fn new(images: &Images, lsm: Lsm) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cinch-guest-").tempdir()?;
        let (images, keep) = (images.clone(), String::new());
        let guest = Self { images, lsm, folder, keep, limit: LIMIT, counts: false, hooks: true };
        fs::create_dir(guest.input())?;
        Ok(guest)
    }

    /// Gives it a copy of a file of this machine, with its mode.
    pub fn file(self, path: &str, source: &Path) -> Result<Self> {
        let target = self.place(path)?;
        fs::copy(source, target).with_context(|| format!("cannot copy {}", source.display()))?;
        Ok(self)
    }

    /// Gives it a program of this machine without what is for debuggers only, most of it: copying is slow there.
    pub fn program(self, path: &str, source: &Path) -> Result<Self> {
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(self.place(path)?).arg(source);
        match run(strip) {
            Ok(()) => Ok(self),
            Err(_no_such_tool) => self.file(path, source),
        }
    }

    /// Gives it a file with this content.
    pub fn text(self, path: &str, content: &str) -> Result<Self> {
        fs::write(self.place(path)?, content)?;
        Ok(self)
    }

    /// Has it hand back a file or a folder when the script has ended, if it is there then.
    #[must_use]
    pub fn keep(mut self, path: &str) -> Self {
        self.keep.push_str(path);
        self.keep.push('\n');
        self
    }

    /// How long it may run, boot included, by this machine's clock.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Has its clock count instructions: a nanosecond each.
    #[must_use]
    pub fn counting(self) -> Self {
        Self { counts: true, ..self }
    }

    /// Has the kernel call no programs at hooks of its security modules, as on many machines.
    #[must_use]
    pub fn without_hooks(self) -> Self {
        Self { hooks: false, ..self }
    }

    /// Switches it on, has `sh` run the script as root, and waits until it has switched itself off.
    ///
    /// The script has what `tests/guest/functions` defines.
    pub async fn run(self, script: &str) -> Result<Outcome> {
        let this = self.text("/guest/script", &format!("{PRELUDE}{script}"))?;
        let keep = this.keep.clone();
        let this = this.text("/guest/keep", &keep)?;
        let begin = Instant::now();
        this.pack()?;
        let mut machine = Daemon::start("qemu", this.command(), this.folder.path())?;
        let status = match machine.ended(this.limit).await {
            Ok(status) => status,
            Err(error) => {
                machine.kill()?;
                return Err(error.context(format!(
                    "the guest was ended, as its script had not:\n{}\n{}",
                    this.log("output"),
                    this.log("kernel")
                )));
            }
        };
        ensure!(status.success(), "qemu ended with {status}:\n{}", machine.log_tail());
        this.outcome(begin.elapsed())
    }

    fn input(&self) -> PathBuf {
        self.folder.path().join("in")
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out.tar")
    }

    /// Where a file of the guest is put together.
    fn place(&self, path: &str) -> Result<PathBuf> {
        let target = self.input().join(path.trim_start_matches('/'));
        fs::create_dir_all(target.parent().context("a file is in a folder")?)?;
        Ok(target)
    }

    fn pack(&self) -> Result<()> {
        let mut tar = Command::new("tar");
        tar.args(["--create", "--owner=0", "--group=0", "--file"])
            .arg(self.folder.path().join("in.tar"))
            .arg("--directory")
            .arg(self.input())
            .arg(".");
        run(tar)?;
        fs::File::create(self.output())?.set_len(OUTPUT)?;
        Ok(())
    }

    fn command(&self) -> Command {
        let lsm = match self.lsm {
            Lsm::AppArmor => "apparmor",
            Lsm::Selinux => "selinux",
        };
        let programs = if self.hooks { ",bpf" } else { "" };
        let folder = self.folder.path().display();
        let mut command = Command::new(&self.images.qemu);
        command
            // cmpxchg16b is emulated wrongly, and several threads race with the kernel patching itself.
            .args(["-machine", "q35", "-accel", "tcg,thread=single", "-cpu", "max,-cx16"])
            .args(["-smp", "1", "-m", "1024", "-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-nic", "none"])
            .arg("-kernel")
            .arg(&self.images.kernel)
            // SELinux boots permissive: else the first process could not leave its domain.
            .arg("-append")
            .arg(format!(
                "root=PARTUUID={} rootwait rw init=/usr/sbin/guest-init panic=-1 quiet \
                 console=ttyS0 log_buf_len=4M mitigations=off tsc=reliable no_timer_check \
                 lsm=landlock,lockdown,yama,integrity,{lsm}{programs} enforcing=0",
                images::ROOT
            ))
            .args(["-device", "nvme,id=disks,serial=guest"])
            .args(disk(1, &format!("{},snapshot=on", self.images.root.display())))
            .args(disk(2, &format!("{folder}/in.tar,readonly=on")))
            .args(disk(3, &format!("{folder}/out.tar")))
            .arg("-serial")
            .arg(format!("file:{folder}/kernel.log"))
            .arg("-serial")
            .arg(format!("file:{folder}/output.log"))
            // Where the overlay of the root file system is.
            .env("TMPDIR", self.folder.path());
        if self.counts {
            // It does not sleep while the guest waits: what it waits for is then.
            command.args(["-icount", "shift=0,sleep=off"]);
        }
        command
    }

    /// What has come over a serial line.
    fn log(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.path().join(format!("{name}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn outcome(&self, took: Duration) -> Result<Outcome> {
        let files = tempfile::Builder::new().prefix("cinch-guest-").tempdir()?;
        let mut tar = Command::new("tar");
        tar.arg("--extract")
            .arg("--file")
            .arg(self.output())
            .arg("--directory")
            .arg(files.path())
            .arg("--no-same-owner");
        run(tar)?;
        let read = |name: &str| -> Result<String> {
            let bytes = fs::read(files.path().join("guest").join(name))
                .with_context(|| format!("the guest handed back no {name}"))
                .with_context(|| self.log("kernel"))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let code = read("code")?.trim().parse().context("an exit code is a number")?;
        Ok(Outcome { code, output: read("output")?, kernel: read("kernel")?, took, files })
    }
}

impl Outcome {
    /// Fails, with all that the script printed, when it did.
    pub fn success(self) -> Result<Self> {
        ensure!(self.code == 0, "the script ended with {}:\n{}", self.code, self.output);
        Ok(self)
    }

    /// The copy of a file of the guest that was to be kept.
    pub fn file(&self, path: &str) -> PathBuf {
        self.files.path().join(path.trim_start_matches('/'))
    }
}

/// A disk, the `number`th name space of the one controller.
fn disk(number: u8, file: &str) -> [String; 4] {
    [
        "-drive".to_owned(),
        format!("file={file},if=none,id=disk{number},format=raw"),
        "-device".to_owned(),
        format!("nvme-ns,drive=disk{number},bus=disks,nsid={number}"),
    ]
}

fn run(mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
