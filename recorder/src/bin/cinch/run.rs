//! `cinch run`: runs a command under a seccomp profile, and tells what the profile denies it.
//!
//! Where the profile's filter would answer with an error number, the one that is installed asks here, and gets that answer:
//! for the command nothing is different, and no privilege is needed to see what it is denied. Should this process be
//! killed, the kernel itself answers with ENOSYS: nobody waits for ever. Calls that kill or trap are left to the kernel, and
//! known from its audit records where those may be heard.

use std::{
    io::{self, Write as _},
    os::fd::AsFd as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use filter::{Call, Program};
use profile::{kinds::seccomp::Flag, render::seccomp::Filter};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, WaitOptions, waitpid},
};

use self::{
    denied::{Answer, Denied},
    killed::{Deadly, Expected, Killed, One},
    listener::Listener,
    report::{Report, shown, signal_name},
    start::{Failed, Started, Under},
};
use crate::{
    args::{Output, RunFlags},
    executable::{self, NotRun},
    signals::{self, Signals},
};

mod choose;
mod denied;
mod forks;
mod killed;
mod listener;
mod report;
mod start;

/// How long is waited in silence for what the command has left.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why nobody can listen.
const BUSY: &str =
    "somebody else is asked about calls of this process already, and the kernel allows one alone";

/// Runs the command, and ends as it did.
pub(crate) fn run(flags: &RunFlags) -> anyhow::Result<ExitCode> {
    let RunFlags { profile, name, base_profile, .. } = flags;
    let named = choose::read(profile, name.as_deref(), base_profile)?;
    let program =
        filter::compile(&named.filter).with_context(|| format!("{}", profile.display()))?;
    // Where it cannot be written, the command need not run.
    let report_to = flags.report.as_ref().map(|path| {
        std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))
    });
    let report_to = report_to.transpose()?;
    let [first, ..] = &flags.command[..] else { bail!("a command is needed") };
    let file = match executable::find(first, std::env::var_os("PATH")) {
        Ok(file) => file,
        Err(error) => return error.tell(),
    };
    let signals = Signals::listen().context("cannot listen for signals")?;
    let under = Under {
        filter: &program,
        flags: kernel_flags(&named.filter, flags.log),
        privileges: flags.privileges,
    };
    // Before there is anything to hear.
    let killed = Killed::listen();
    let started = start::start(&file, &flags.command, &under, signals.before())
        .context("cannot start the command")?;
    let mut supervised = Supervised::new(started, &program, killed, flags)?;
    let over = supervised.follow(&signals)?;
    match supervised.started.failed() {
        Some(Failed::Program(error)) => return NotRun::new(first, &error).tell(),
        Some(Failed::Filter(error)) if error.raw_os_error() == Some(libc::EACCES) => bail!(
            "the kernel does not take a filter from a process that may gain privileges: leave --privileges out, or have \
             CAP_SYS_ADMIN"
        ),
        Some(Failed::Filter(error)) => {
            return Err(error).context("the kernel does not take the filter");
        }
        None => {}
    }
    let expected = Expected {
        deadly: Deadly::of(&named.filter),
        log: under.flags & libc::SECCOMP_FILTER_FLAG_LOG != 0,
        ended: over.signal == Some(libc::SIGSYS),
    };
    let untold = supervised.settle(expected);
    let mut report = Report {
        command: flags.command.iter().map(|part| part.to_string_lossy().into_owned()).collect(),
        profile: &named.name,
        exit_code: over.code(),
        signal: over.signal.map(signal_name),
        unknown: supervised.unknown.clone(),
        untold,
        denied: Vec::new(),
        others: 0,
        left: over.left,
    };
    report.denied(&supervised.denied);
    let text = match flags.output {
        Output::Text => report.text(),
        Output::Json => serde_json::to_string_pretty(&report).context("cannot write JSON")? + "\n",
    };
    match (report_to, &flags.report) {
        (Some(mut to), Some(path)) => to
            .write_all(text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?,
        // Nobody is left to tell when standard error is closed; the command's exit code still is to be told.
        _ => io::stderr().write_all(text.as_bytes()).unwrap_or_default(),
    }
    let code = over.code();
    if over.left {
        supervised.go_on_answering();
    }
    Ok(ExitCode::from(code))
}

/// The flags of a filter as the kernel takes them. `TSYNC` is for processes with more than one thread, and that of
/// `WAIT_KILLABLE_RECV` is set in any case.
fn kernel_flags(filter: &Filter, log: bool) -> libc::c_ulong {
    let own = filter.flags.iter().map(|flag| match flag {
        Flag::Log => libc::SECCOMP_FILTER_FLAG_LOG,
        Flag::SpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        Flag::Tsync | Flag::WaitKillableRecv => 0,
    });
    own.fold(if log { libc::SECCOMP_FILTER_FLAG_LOG } else { 0 }, |all, flag| all | flag)
}

/// A command that runs under a filter.
struct Supervised<'a> {
    started: Started,
    program: &'a Program,
    listener: Option<Listener>,
    /// Why nobody listens.
    unknown: Option<String>,
    /// Calls that kill or trap, or why they are not heard of.
    killed: Result<Killed, String>,
    denied: Denied,
    /// Whether each new denied call is told at once.
    live: bool,
    /// Whether what the command leaves behind is not waited for.
    leave: bool,
}

/// How a command has ended.
#[derive(Clone, Copy, Debug)]
struct Over {
    code: i32,
    signal: Option<i32>,
    /// Whether something still runs under its filter.
    left: bool,
}

impl Over {
    /// The code that a shell would give.
    fn code(self) -> u8 {
        let code = self.signal.map_or(self.code, |signal| 128 + signal);
        u8::try_from(code & 0xff).unwrap_or(u8::MAX)
    }
}

/// What there is to do.
struct Ready {
    any: bool,
    /// A call waits.
    asked: bool,
    /// Nothing runs under the filter any more, as far as is known.
    gone: bool,
}

impl<'a> Supervised<'a> {
    fn new(
        mut started: Started,
        program: &'a Program,
        mut killed: Result<Killed, String>,
        flags: &RunFlags,
    ) -> anyhow::Result<Self> {
        if let Ok(killed) = &mut killed {
            killed.begun(started.process);
        }
        let (listener, unknown) = match started.listener.take() {
            Some(Ok(from)) => {
                (Some(Listener::new(from).context("cannot answer the command's calls")?), None)
            }
            Some(Err(error)) if error.raw_os_error() == Some(libc::EBUSY) => {
                (None, Some(BUSY.to_owned()))
            }
            Some(Err(error)) => (None, Some(format!("the kernel asks nobody: {error}"))),
            None => (None, None),
        };
        let quiet = flags.quiet || (flags.output == Output::Json && flags.report.is_none());
        let denied = Denied::default();
        let (live, leave) = (!quiet, flags.leave);
        Ok(Self { started, program, listener, unknown, killed, denied, live, leave })
    }

    /// Answers until the command has ended, and all that it has started.
    fn follow(&mut self, signals: &Signals) -> anyhow::Result<Over> {
        let mut ended: Option<(i32, Option<i32>)> = None;
        let (mut stop, mut said) = (false, false);
        loop {
            let patience = (ended.is_some() && !said).then_some(PATIENCE);
            let Ready { any, asked, gone } = self.ready(signals, patience)?;
            if asked {
                self.answer()?;
            }
            while let Some(signal) = signals.next() {
                let child = self.started.process;
                match ended {
                    None if signal.number == libc::SIGCHLD => ended = self.wait()?,
                    None if signal.is_for(child) => signals::send(signal.number, child),
                    None => {}
                    Some(_) => stop |= signal.number != libc::SIGCHLD,
                }
            }
            let Some((code, signal)) = ended else { continue };
            if gone || stop || self.leave {
                // What ended just now may not have been gone then.
                let left = !self.ready(signals, Some(Duration::ZERO))?.gone;
                return Ok(Over { code, signal, left });
            }
            if !any && !said {
                said = true;
                self.say("the command has ended; waiting for what it has left (Ctrl-C ends that)");
            }
        }
    }

    /// Waits for a call or a signal, as long as this; what is told meanwhile of calls that kill is taken in.
    fn ready(&mut self, signals: &Signals, patience: Option<Duration>) -> anyhow::Result<Ready> {
        let end = patience.map(|patience| Instant::now() + patience);
        loop {
            let mut files = vec![PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
            files.extend(
                self.listener.iter().map(|it| PollFd::from_borrowed_fd(it.as_fd(), PollFlags::IN)),
            );
            let asked = files.len();
            let heard = self.killed.iter().flat_map(Killed::waited);
            files.extend(heard.map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN)));
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let left = left.map(|left| Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let interrupted = match poll(&mut files, left.as_ref()) {
                Ok(_) => false,
                Err(rustix::io::Errno::INTR) => true,
                Err(error) => return Err(error).context("cannot wait for the command"),
            };
            let events: Vec<_> = files.iter().map(PollFd::revents).collect();
            let (ours, told) = events.split_at(asked);
            if told.iter().any(|events| !events.is_empty()) {
                self.hear();
            }
            let any = interrupted || ours.iter().any(|events| !events.is_empty());
            // Records of others are no news.
            if !any && end.is_none_or(|end| Instant::now() < end) {
                continue;
            }
            let listener = ours.get(1);
            let asked = listener.is_some_and(|events| events.contains(PollFlags::IN));
            let gone = listener.is_none_or(|events| events.contains(PollFlags::HUP));
            return Ok(Ready { any, asked, gone });
        }
    }

    /// Takes in what has been told of calls that kill.
    fn hear(&mut self) {
        if let Ok(killed) = &mut self.killed {
            let new = killed.read(self.program, &mut self.denied);
            self.tell(&new);
        }
    }

    /// Waits for what is still to be told of calls that kill, and gives why not all of them are known; none when they are.
    fn settle(&mut self, expected: Expected) -> Option<String> {
        let Expected { deadly, ended, .. } = expected;
        let (new, untold) = match &mut self.killed {
            Ok(killed) => {
                let new = killed.settle(expected, self.program, &mut self.denied);
                (new, killed.untold(expected))
            }
            Err(why) => (Vec::new(), Some(why.clone())),
        };
        self.tell(&new);
        untold.filter(|_| deadly.kills || deadly.traps || ended)
    }

    fn tell(&self, calls: &[One]) {
        for One { call, action, process, name, .. } in calls.iter().filter(|one| one.new) {
            self.say_denied(call, Answer::Action(*action), *process, name);
        }
    }

    fn say_denied(&self, call: &Call, answer: Answer, thread: u32, name: &str) {
        let (call, architecture) = denied::name(call.arch, call.number);
        let (call, answer) = (shown(&call, &architecture), answer.shown());
        self.say(&format!("denied {call} ({answer}) to {name}[{thread}]"));
    }

    /// Answers some of the calls that wait.
    fn answer(&mut self) -> anyhow::Result<()> {
        let Some(listener) = &mut self.listener else { return Ok(()) };
        let failed = "cannot answer the command's calls";
        let Some(waiting) = listener.next().context(failed)? else { return Ok(()) };
        let errno = self.program.errno(&waiting.call);
        // While it waits, the number is its own.
        let name = thread_name(waiting.thread);
        let answered = listener.answer(&waiting, errno).context(failed)?;
        let Some(errno) = errno.filter(|_| answered) else { return Ok(()) };
        let (call, thread, answer) = (&waiting.call, waiting.thread, Answer::Errno(errno));
        if self.denied.add(call, answer, thread, &name) {
            self.say_denied(call, answer, thread, &name);
        }
        Ok(())
    }

    /// How the command has ended, if it has.
    fn wait(&self) -> anyhow::Result<Option<(i32, Option<i32>)>> {
        let process = i32::try_from(self.started.process).ok().and_then(Pid::from_raw);
        let status =
            waitpid(process, WaitOptions::NOHANG).context("cannot wait for the command")?;
        Ok(status
            .map(|(_, status)| (status.exit_status().unwrap_or(1), status.terminating_signal())))
    }

    /// Says something at once, where that is wanted.
    fn say(&self, what: &str) {
        if self.live {
            // In one piece, so that it stays a line among those of the command; which goes on, whether anybody hears or not.
            let line = format!("cinch: {what}\n");
            io::stderr().write_all(line.as_bytes()).unwrap_or_default();
        }
    }

    /// Leaves a process behind that answers what the command has left, as long as that runs: without one, the kernel
    /// would answer with ENOSYS from now on.
    #[expect(unsafe_code, reason = "this process ends, and another one like it goes on")]
    fn go_on_answering(&mut self) {
        // Nobody reads any more what it hears.
        self.killed = Err(String::new());
        let Some(listener) = &mut self.listener else { return };
        // SAFETY: this process has a single thread, so no lock is held in the copy.
        if unsafe { libc::fork() } != 0 {
            return;
        }
        // Nobody waits for it, and what waits for the end of our output must not wait for it.
        rustix::process::setsid().ok();
        if let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
            rustix::stdio::dup2_stdin(&null).unwrap_or_default();
            rustix::stdio::dup2_stdout(&null).unwrap_or_default();
            rustix::stdio::dup2_stderr(&null).unwrap_or_default();
        }
        loop {
            let mut files = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
            if poll(&mut files, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
                return;
            }
            let [file] = files.map(|file| file.revents());
            if file.contains(PollFlags::IN) {
                match listener.next() {
                    Ok(Some(waiting)) => {
                        drop(listener.answer(&waiting, self.program.errno(&waiting.call)));
                    }
                    Ok(None) => {}
                    Err(_) => return,
                }
            } else if !file.is_empty() {
                return;
            }
        }
    }
}

/// What a thread is called; nothing where that cannot be read.
fn thread_name(thread: u32) -> String {
    let name = std::fs::read(format!("/proc/{thread}/comm")).unwrap_or_default();
    // It is the program's own choice, and printed on a terminal.
    let shown = String::from_utf8_lossy(&name);
    shown.trim_end().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
