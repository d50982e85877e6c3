//! Do real programs work under exactly what was recorded of them, and can they do nothing else? And does what was recorded
//! of them for AppArmor compile?

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    bundle::{Bundle, files::Files},
    until::until,
};
use tokio::{runtime::Handle, time::timeout};

use crate::{
    Ask, Filter, Ground, LIMIT, Lazy, Question, WAYS, cache, database, elf, failed, languages,
    node, web_server,
};

/// After its container has ended, how long a recorder may take to write.
const WRITE: Duration = Duration::from_secs(30);

/// The recorders of a question's containers.
pub(crate) struct Recorders {
    program: PathBuf,
    folder: TempDir,
    /// Kinds of profiles: each has a recorder of its own.
    kinds: &'static [&'static str],
    running: Mutex<Vec<Running>>,
}

struct Running {
    child: Child,
    /// What it has yet to say.
    error: BufReader<ChildStderr>,
    kind: &'static str,
    /// Where it writes the profile.
    file: PathBuf,
}

impl Recorders {
    pub(crate) fn new() -> Result<Self> {
        Self::of(&["seccomp"])
    }

    fn of(kinds: &'static [&'static str]) -> Result<Self> {
        let test = std::env::current_exe()?;
        let folder = test.ancestors().nth(2).context("a test lives in target/debug/deps")?;
        let program = folder.join("cinch");
        ensure!(program.is_file(), "no {}: cargo build -p recorder makes it", program.display());
        Ok(Self { program, folder: tempfile::tempdir()?, kinds, running: Mutex::default() })
    }

    /// Records a container that does not run yet.
    pub(crate) fn begin(&self, container: &str) -> Result<()> {
        for kind in self.kinds {
            let file = self.folder.path().join(format!("{container}.{kind}"));
            let mut child = Command::new(&self.program)
                .args(["record", "--kind", kind, "--container", container, "--format", "raw", "-o"])
                .arg(&file)
                .stderr(Stdio::piped())
                .spawn()?;
            let mut said = String::new();
            let error = child.stderr.take().context("standard error is a pipe")?;
            let mut error = BufReader::new(error);
            error.read_line(&mut said)?;
            let running = Running { child, error, kind, file };
            self.running.lock().unwrap_or_else(PoisonError::into_inner).push(running);
            ensure!(said.starts_with("recording"), "it does not record: {said}");
        }
        Ok(())
    }

    /// What was recorded of the only container: its filter. What AppArmor needs compiles.
    async fn filter(&self) -> Result<Value> {
        let [filter, rules] = &self.written().await?[..] else { bail!("not one container") };
        compiles(rules)?;
        Ok(serde_json::from_slice(&std::fs::read(filter)?)?)
    }

    /// Waits until all recorders have ended, and gives the files that they have written, in the order in which they
    /// began.
    pub(crate) async fn written(&self) -> Result<Vec<PathBuf>> {
        let running =
            std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let mut files = Vec::new();
        for Running { mut child, mut error, kind, file } in running {
            let ended = until("the recorder has ended", WRITE, async || Ok(child.try_wait()?));
            let status = ended.await;
            if status.is_err() {
                child.kill()?;
                child.wait()?;
            }
            let mut said = String::new();
            error.read_to_string(&mut said)?;
            // No call is ever lost. Of files and the like some may be, where many containers are recorded on a busy
            // machine, and then that is told.
            let told =
                said.contains("nothing lost") || (kind == "apparmor" && said.contains("lost: "));
            ensure!(status?.success() && told, "the recorder: {said}");
            files.push(file);
        }
        Ok(files)
    }

    /// The command line, to work on what was written.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}

impl Drop for Recorders {
    fn drop(&mut self) {
        for Running { child, .. } in self.running.get_mut().unwrap_or_else(PoisonError::into_inner)
        {
            // It has ended when it cannot be killed.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Whether AppArmor's own compiler takes a profile with rules; where that is not there, only that it has some.
fn compiles(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    ensure!(text.contains("/lib/"), "no library was used: {text}");
    // Not in everybody's path, where it is.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    // It only compiles: nothing is loaded or kept.
    let parser = ["-c", "exec apparmor_parser -Q -K -S \"$0\" >/dev/null"];
    let output = Command::new("sh").args(parser).arg(file).env("PATH", path).output()?;
    let missing = output.status.code() == Some(127);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(missing || output.status.success(), "{said}\n{text}");
    Ok(())
}

/// The questions of other modules, asked of a recorded container and then under what was recorded.
pub(crate) fn trials(lazy: &Arc<Lazy>, handle: &Handle) -> Vec<Trial> {
    let of_python = languages::QUESTIONS.iter().filter(|question| question.name.contains("python"));
    let questions = [web_server::QUESTIONS, cache::QUESTIONS, database::QUESTIONS];
    let questions = questions.into_iter().flatten().chain(of_python);
    questions.filter_map(|question| trial(*question, lazy, handle)).collect()
}

fn trial(question: Question, lazy: &Arc<Lazy>, handle: &Handle) -> Option<Trial> {
    let Ask::Container(ask) = question.ask else { return None };
    let name = question.name.rsplit("::").next()?;
    let (lazy, handle) = (Arc::clone(lazy), handle.clone());
    Some(Trial::ignorable_test(format!("recorded::{name}"), move || {
        let files = match Files::find() {
            Ok(files) => files,
            Err(missing) => return Ok(Completion::ignored_with(missing)),
        };
        let node = node(&lazy)?;
        let all = async {
            let recorders = Recorders::of(&["seccomp", "apparmor"])?;
            let ground = |filter| Ground { files: &files, node, way: WAYS[0], filter };
            ask(&ground(Filter::Recording(&recorders))).await.context("while it was recorded")?;
            let filter = recorders.filter().await?;
            let under = ground(Filter::Recorded(&filter));
            ask(&under).await.with_context(|| format!("under what was recorded: {filter}"))?;
            refuses(&under).await
        };
        let answer: Result<()> = handle.block_on(async { timeout(LIMIT, all).await? });
        answer.map(|()| Completion::Completed).map_err(|error| -> Failed { failed(&error) })
    }))
}

/// Calls that none of the programs makes are refused to a program that has every capability, and needs nothing itself.
async fn refuses(ground: &Ground<'_>) -> Result<()> {
    for number in [libc::SYS_mount, libc::SYS_ptrace, libc::SYS_keyctl, libc::SYS_bpf] {
        let program = elf::program(&elf::end_with_error_of(number.try_into()?));
        let free = Bundle::new(ground.files, ground.way.runtime, None)?;
        for (bundle, refused) in [(free, false), (ground.under("")?, true)] {
            let mut container =
                bundle.powers().program("program", &program)?.start(&["/srv/program"])?;
            let code = container.ended(WRITE).await?.code();
            ensure!(
                (code == Some(libc::EPERM)) == refused,
                "call {number} is answered with {code:?}"
            );
        }
    }
    Ok(())
}
