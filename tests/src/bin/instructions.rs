//! Tells what a system call takes while programs are attached to the kernel, by its clock: where a clock counts
//! instructions, that is how many are executed.

#![expect(clippy::print_stdout, reason = "it is asked for numbers")]

use std::{
    env,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use recorder::{
    apart,
    compared::Empty,
    kernel::{Recording, Watch},
};

/// Says to this program that it is the one that is measured.
const MEASURED: &str = "--measured";
/// Calls between two looks at the clock: few enough that some rounds see no interrupt.
const CALLS: u32 = 500;
const ROUNDS: u32 = 100;

const NOTHING: Watch = Watch { calls: false, denials: false, accesses: false, permissions: false };
const RECORDED: Watch = Watch { calls: true, ..NOTHING };
const DENIALS: Watch = Watch { denials: true, ..RECORDED };

/// Prints `WAY RECORDED HOST` for each way: nanoseconds of a call in a namespace of its own, and on the host, the fewest of
/// many rounds.
fn main() -> Result<()> {
    if env::args().any(|argument| argument == MEASURED) {
        println!("{}", measured());
        return Ok(());
    }
    let both = |way: &str| -> Result<()> {
        println!("{way} {} {}", run(true)?, run(false)?);
        Ok(())
    };
    both("nothing")?;
    let attached = Empty::start(&["sys_enter"])?;
    both("empty")?;
    drop(attached);
    let attached = Recording::start(RECORDED)?;
    both("calls")?;
    drop(attached);
    let attached = Empty::start(&["sys_enter", "sys_exit"])?;
    both("empty-twice")?;
    drop(attached);
    let attached = Recording::start(DENIALS)?;
    both("denials")?;
    drop(attached);
    Ok(())
}

fn run(recorded: bool) -> Result<u64> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(MEASURED).stdout(Stdio::piped());
    let child = if recorded { apart::start(&mut command)? } else { command.spawn()? };
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("the measured process ended with {}", output.status);
    }
    String::from_utf8(output.stdout)?.trim().parse().context("it printed no number")
}

fn measured() -> u128 {
    let round = |_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed().as_nanos()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default() / u128::from(CALLS)
}

#[expect(unsafe_code, reason = "the C library's own function might remember the answer")]
fn call() {
    // SAFETY: it takes nothing and changes nothing.
    unsafe { libc::syscall(libc::SYS_getppid) };
}
