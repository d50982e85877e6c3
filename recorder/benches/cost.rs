//! What recording adds to a system call, beside a program that does nothing and beside nothing at all, in the same run.
//!
//! Needs `CAP_BPF` and `CAP_PERFMON`. `BENCH=short` makes it quick and rough.

#![expect(clippy::print_stdout, reason = "a table is what this is for")]

use std::{
    env,
    error::Error,
    process::{Command, Stdio},
    time::Instant,
};

use recorder::{
    apart,
    compared::Empty,
    kernel::{Recording, Watch},
};

/// Says to this program that it is the one that is measured.
const MEASURED: &str = "--measured";

/// Calls between two looks at the clock.
const CALLS: u32 = 100_000;

/// What is attached to the kernel while it is measured; it goes when this is dropped.
enum Attached {
    Nothing,
    Empty(#[expect(dead_code, reason = "held")] Empty),
    Ours(#[expect(dead_code, reason = "held")] Recording),
}

type Attach = fn() -> Result<Attached, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let short = env::var_os("BENCH").is_some_and(|how| how == "short");
    let rounds = if short { 3 } else { 15 };
    if env::args().any(|argument| argument == MEASURED) {
        println!("{}", measured(rounds));
        return Ok(());
    }
    let ways: [(&str, Attach); 4] = [
        ("nothing attached", || Ok(Attached::Nothing)),
        ("an empty program", || Ok(Attached::Empty(Empty::start(&["sys_enter"])?))),
        ("recording", || {
            Ok(Attached::Ours(Recording::start(Watch { calls: true, ..Watch::default() })?))
        }),
        ("recording, and denials", || {
            Ok(Attached::Ours(Recording::start(Watch {
                calls: true,
                denials: true,
                ..Watch::default()
            })?))
        }),
    ];
    // The best of several, each way in each round: what else the machine does comes and goes.
    let mut best = [[f64::MAX; 2]; 4];
    for _ in 0..rounds {
        for ((_, attach), best) in ways.iter().zip(&mut best) {
            let _attached = attach()?;
            for (apart, best) in [true, false].into_iter().zip(best) {
                *best = best.min(run(apart)?);
            }
        }
    }
    println!("getppid, ns a call: in a namespace that is recorded, and on the host");
    let floor = [best[1][0] - best[0][0], best[1][1] - best[0][1]];
    for ((name, _), [recorded, host]) in ways.iter().zip(best) {
        let added = [recorded - best[0][0], host - best[0][1]];
        println!(
            "{name:24} {recorded:7.1} {host:7.1}   added {:6.1} {:6.1}   of the empty one's {:5.2} {:5.2}",
            added[0],
            added[1],
            added[0] / floor[0],
            added[1] / floor[1],
        );
    }
    Ok(())
}

/// Nanoseconds of a call in a process of its own.
fn run(recorded: bool) -> Result<f64, Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(MEASURED).stdout(Stdio::piped());
    let child = if recorded { apart::start(&mut command)? } else { command.spawn()? };
    let output = child.wait_with_output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn measured(rounds: u32) -> f64 {
    let round = |_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            std::hint::black_box(rustix::process::getppid());
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    (0..rounds).map(round).fold(f64::MAX, f64::min)
}
