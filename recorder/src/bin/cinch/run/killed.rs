//! Calls that a filter answers with the end of a thread or a process, or with a trap, by the kernel's audit records.
//!
//! A filter that asked about such calls could not answer them so: nobody but the kernel can end a program as the kernel does.
//! Its records change nothing for the program, and need a privilege to be heard.

use std::{
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use filter::{Call, Program};
use profile::{kinds::seccomp::Action, render::seccomp::Filter};
use recorder::{
    audit::{Record, Seccomp, SeccompAction, parse_message},
    logs::netlink::{Netlink, NetlinkError, Told},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::AsFd as _,
};

use super::{
    denied::{Answer, Denied},
    forks::{Forks, Whose},
};

/// When no record has come for so long after the end, none will; and for how long one is waited for that must come.
const QUIET: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the records are read before calls are answered again.
const BATCHES: usize = 64;

/// The number of the first namespace of processes (`PROC_PID_INIT_INO` of the kernel's `linux/proc_ns.h`).
const FIRST: &str = "pid:[4026531836]";

/// Actions that the kernel logs for whoever wants it.
const LOGGED: &str = "/proc/sys/kernel/seccomp/actions_logged";

/// What is heard of calls that are answered so.
#[derive(Debug)]
pub(crate) struct Killed {
    records: Netlink,
    forks: Forks,
    /// Calls of processes that may be the command's, and may be another's.
    pub(crate) unsure: u64,
    /// The process that is the command, and whether a call of it was told of.
    command: Option<u32>,
    told: bool,
    lost: bool,
    failed: bool,
}

/// One such call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct One {
    pub(crate) call: Call,
    pub(crate) action: SeccompAction,
    pub(crate) process: u32,
    pub(crate) name: String,
    /// Whether it is the first of its sort.
    pub(crate) new: bool,
}

/// What a profile itself says of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadly {
    /// It ends threads or processes.
    pub(crate) kills: bool,
    /// It sends signals.
    pub(crate) traps: bool,
}

impl Deadly {
    pub(crate) fn of(filter: &Filter) -> Self {
        let mut actions: Vec<_> = filter.syscalls.iter().map(|rule| rule.action).collect();
        actions.push(filter.default_action);
        let kills = [Action::Kill, Action::KillProcess, Action::KillThread];
        Self {
            kills: actions.iter().any(|action| kills.contains(action)),
            traps: actions.contains(&Action::Trap),
        }
    }
}

/// What the command's end says of whether all was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) deadly: Deadly,
    /// The kernel logs what is trapped too.
    pub(crate) log: bool,
    /// The command was ended by SIGSYS.
    pub(crate) ended: bool,
}

impl Killed {
    /// Listens, before there is a command; or why that cannot be.
    pub(crate) fn listen() -> Result<Self, String> {
        let records = Netlink::listen().map_err(|error| match error {
            NetlinkError::Namespace => {
                "the kernel's audit records name them, and come in its first network namespace alone; this is another one"
                    .to_owned()
            }
            NetlinkError::Refused => {
                "the kernel's audit records name them, and hearing those needs CAP_AUDIT_READ: run cinch as root to know"
                    .to_owned()
            }
            NetlinkError::Listen(error) => {
                format!("the kernel's audit records name them, and cannot be heard: {error}")
            }
        })?;
        // Where it cannot be read, the kernel is older than such namespaces.
        let here = std::fs::read_link("/proc/self/ns/pid").ok();
        if here.is_some_and(|here| here.as_os_str() != FIRST) {
            return Err(
                "the kernel's audit records name them by the host's numbers of processes, \
                        and this is another namespace of those: run cinch on the host to know"
                    .to_owned(),
            );
        }
        Ok(Self {
            records,
            forks: Forks::follow(),
            unsure: 0,
            command: None,
            told: false,
            lost: false,
            failed: false,
        })
    }

    /// The command has begun.
    pub(crate) fn begun(&mut self, command: u32) {
        self.command = Some(command);
        self.forks.add(command);
    }

    /// What to wait for.
    pub(crate) fn waited(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let records = (!self.failed).then(|| self.records.as_fd());
        records.into_iter().chain(self.forks.waited())
    }

    /// Takes in what has come until now; what is new of it is given.
    pub(crate) fn read(&mut self, program: &Program, denied: &mut Denied) -> Vec<One> {
        let mut records = Vec::new();
        // What comes faster than it is read waits for the next time.
        for _ in 0..BATCHES {
            if self.failed {
                break;
            }
            let read = self.records.read(Duration::ZERO, &mut |told| match told {
                Told::Message(message) => {
                    if let Some(Record::Seccomp(record)) =
                        parse_message(message.kind, &message.text)
                    {
                        records.extend(one(&record).filter(|one| may_be(program, one)));
                    }
                }
                Told::Lost(_) => self.lost = true,
            });
            self.failed = read.is_err();
            if !read.unwrap_or_default() {
                break;
            }
        }
        // After the records: of each process that they tell of, it was told before that it begins.
        self.forks.read();
        records.retain_mut(|one| {
            match self.forks.whose(one.process) {
                Whose::Ours => {}
                Whose::Others => return false,
                Whose::Unknown => {
                    self.unsure += 1;
                    return false;
                }
            }
            self.told |= self.command == Some(one.process);
            let answer = Answer::Action(one.action);
            one.new = denied.add(&one.call, answer, one.process, &one.name);
            true
        });
        records
    }

    /// Waits for records that are still on their way, once the command has ended.
    pub(crate) fn settle(
        &mut self,
        expected: Expected,
        program: &Program,
        denied: &mut Denied,
    ) -> Vec<One> {
        let begun = Instant::now();
        let mut all = self.read(program, denied);
        let Expected { deadly, log, ended } = expected;
        while begun.elapsed() < PATIENCE {
            // That of the command itself comes for certain, where it is written at all.
            let missing = ended && !self.told && (deadly.kills || !deadly.traps || log);
            // Nothing of that sort can still come.
            if !(ended || deadly.kills || (deadly.traps && log)) {
                break;
            }
            let patience = if missing { PATIENCE.saturating_sub(begun.elapsed()) } else { QUIET };
            let came = self.wait(patience);
            all.extend(self.read(program, denied));
            if !came {
                break;
            }
        }
        all
    }

    /// Whether a record came in this time.
    fn wait(&self, patience: Duration) -> bool {
        let patience = Timespec {
            tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        let mut file = [PollFd::from_borrowed_fd(self.records.as_fd(), PollFlags::IN)];
        !self.failed && poll(&mut file, Some(&patience)).is_ok_and(|ready| ready > 0)
    }

    /// Why some such calls are not told of; none where all are.
    pub(crate) fn untold(&self, Expected { deadly, log, ended }: Expected) -> Option<String> {
        let logged = std::fs::read_to_string(LOGGED).unwrap_or_default();
        let is_logged = |action: &str| logged.split_whitespace().any(|logged| logged == action);
        if self.failed || self.lost {
            return Some("audit records were lost".to_owned());
        }
        if self.unsure > 0 {
            return Some(format!(
                "{} were made by processes that were gone before it was known whose they were",
                self.unsure
            ));
        }
        let missing = ended && !self.told;
        if deadly.traps && !log && (missing || !deadly.kills) {
            return Some(
                "the kernel's audit records tell of calls that are trapped with --log alone"
                    .to_owned(),
            );
        }
        let wanted = [
            (deadly.kills || missing, "kill_process"),
            (deadly.kills || missing, "kill_thread"),
            (deadly.traps && log, "trap"),
        ];
        if let Some((_, action)) =
            wanted.into_iter().find(|(wanted, action)| *wanted && !is_logged(action))
        {
            return Some(format!("the kernel does not log {action}: add it to {LOGGED}"));
        }
        missing.then(|| {
            "no audit record of it has come, so maybe somebody has sent the signal".to_owned()
        })
    }
}

/// Whether the filter is one that answers so, whatever the arguments are; a program may have others of its own.
fn may_be(program: &Program, one: &One) -> bool {
    let answer = match one.action {
        SeccompAction::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
        SeccompAction::KillThread => libc::SECCOMP_RET_KILL_THREAD,
        SeccompAction::Trap => libc::SECCOMP_RET_TRAP,
        _ => return false,
    };
    program.may_answer(one.call.arch, one.call.number, answer)
}

fn one(record: &Seccomp<'_>) -> Option<One> {
    let Seccomp { subject, action, audit_arch, number, .. } = record;
    let name = subject.comm.as_deref().unwrap_or_default();
    Some(One {
        call: Call { number: *number, arch: *audit_arch, ..Call::default() },
        action: *action,
        process: subject.pid?,
        // It is the program's own choice, and printed on a terminal.
        name: name.chars().map(|c| if c.is_control() { '?' } else { c }).collect(),
        new: false,
    })
}
