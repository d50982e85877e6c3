//! What is done while it is measured what that takes.

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::UdpSocket,
    process::{Command, Stdio},
    time::Instant,
};

/// Set: this process is to do this.
pub(crate) const WORK: &str = "CINCH_BENCH_WORK";
/// Set: it is to answer each byte with one.
const ANSWER: &str = "CINCH_BENCH_ANSWER";

/// Between two looks at the clock: so few that now and then nothing else comes between.
const CALLS: u32 = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Getppid,
    Read,
    PingPong,
    Build,
    Open,
    Exec,
    Connect,
}

impl Work {
    pub(crate) const CALLS: [Self; 4] = [Self::Getppid, Self::Read, Self::PingPong, Self::Build];
    pub(crate) const ACCESSES: [Self; 4] = [Self::Open, Self::Exec, Self::Connect, Self::Build];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Getppid => "getppid",
            Self::Read => "read of a byte of /dev/zero",
            Self::PingPong => "a byte there and back between two processes",
            Self::Build => "a build of a small C program",
            Self::Open => "a file opened and closed",
            Self::Exec => "a program run to its end",
            Self::Connect => "a UDP socket made and connected",
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        if self == Self::Build { "ms" } else { "ns each" }
    }

    /// How often each way is measured.
    pub(crate) fn rounds(self, short: bool) -> u32 {
        match (self, short) {
            (Self::Build | Self::Exec, false) => 8,
            (_, false) => 15,
            (_, true) => 2,
        }
    }

    /// Does it, and gives how long that took at the least.
    pub(crate) fn measured(self, short: bool) -> Result<f64, Box<dyn Error>> {
        let rounds = if short { 40 } else { 400 };
        match self {
            Self::Getppid => each(rounds, || {
                std::hint::black_box(rustix::process::getppid());
                Ok(())
            }),
            Self::Read => {
                let mut zero = File::open("/dev/zero")?;
                each(rounds, || zero.read_exact(&mut [0]))
            }
            Self::PingPong => ping_pong(rounds / 10),
            Self::Build => build(),
            Self::Open => each(rounds, || File::open("/etc/passwd").map(drop)),
            Self::Exec => run_to_its_end(rounds / 2),
            Self::Connect => {
                each(rounds / 4, || UdpSocket::bind(("127.0.0.1", 0))?.connect(("127.0.0.1", 9)))
            }
        }
    }
}

/// What a process of this program is for.
pub(crate) enum Role {
    Measure,
    Work(Work),
    Answer,
}

pub(crate) fn role() -> Result<Role, Box<dyn Error>> {
    if env::var_os(ANSWER).is_some() {
        return Ok(Role::Answer);
    }
    let Some(work) = env::var_os(WORK) else { return Ok(Role::Measure) };
    let mut known = Work::CALLS.into_iter().chain(Work::ACCESSES);
    let found = known.find(|known| *known.name() == *work);
    Ok(Role::Work(found.ok_or("this work is not known")?))
}

/// Nanoseconds of one, in the best of several rounds.
fn each(rounds: u32, mut one: impl FnMut() -> io::Result<()>) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..CALLS {
            one()?;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    Ok(best)
}

/// Nanoseconds of the quickest.
fn run_to_its_end(rounds: u32) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        Command::new("/bin/true").status()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e9);
    }
    Ok(best)
}

fn ping_pong(rounds: u32) -> Result<f64, Box<dyn Error>> {
    let mut other = Command::new(env::current_exe()?)
        .env(ANSWER, "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut to = other.stdin.take().ok_or("no pipe there")?;
    let mut back = other.stdout.take().ok_or("no pipe back")?;
    let best = each(rounds, || {
        to.write_all(&[1])?;
        back.read_exact(&mut [0])
    });
    drop(to);
    other.wait()?;
    best
}

/// Answers each byte until nobody asks any more.
pub(crate) fn answer() -> Result<(), Box<dyn Error>> {
    let (mut from, mut to) = (File::open("/dev/stdin")?, File::create("/dev/stdout")?);
    let mut byte = [0];
    while from.read(&mut byte)? != 0 {
        to.write_all(&byte)?;
    }
    Ok(())
}

/// Milliseconds.
fn build() -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("main.c");
    fs::write(
        &source,
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
         int main(int count, char **words) { return printf(\"%s\\n\", words[count - 1]) < 0; }\n",
    )?;
    let start = Instant::now();
    let status =
        Command::new("cc").arg("-o").arg(folder.path().join("main")).arg(&source).status()?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    if status.success() { Ok(took) } else { Err("the compiler fails".into()) }
}
