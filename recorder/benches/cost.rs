//! What recording adds to what programs do, beside nothing, a program that does nothing, and one that sends an event for
//! each system call, in the same run: for a process that is recorded, for one of the host, and while nothing is selected;
//! the same of accesses; and how long it takes until programs run.
//!
//! Needs `CAP_BPF` and `CAP_PERFMON`. `BENCH=short` makes it quick and rough.

#![expect(clippy::print_stdout, reason = "a table is what this is for")]

use std::{
    env,
    error::Error,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use recorder::{
    apart,
    compared::{Empty, Ring},
    kernel::{Recording, Watch},
};

#[path = "cost/work.rs"]
mod work;

use work::{Role, Work};

const CALLS: Watch = Watch { calls: true, denials: false, accesses: false, permissions: false };
const DENIALS: Watch = Watch { denials: true, ..CALLS };
const ACCESSES: Watch = Watch { calls: false, accesses: true, ..CALLS };
const BOTH: Watch = Watch { accesses: true, ..CALLS };

/// How often a ring is read, as its readers do.
const LOOK: Duration = Duration::from_millis(10);

type Failed = Box<dyn Error>;

/// What is attached to the kernel while it is measured; it goes when this is dropped.
#[expect(dead_code, reason = "they are held, and looked at by nobody")]
enum Attached {
    Nothing,
    Empty(Empty),
    Ours(Box<Recording>),
    Ring(Reader),
}

/// Attaches something.
type Attach = fn() -> Result<Attached, Failed>;

/// A way to record.
struct Way {
    name: &'static str,
    attach: Attach,
    /// What it is compared with, by its place: empty programs at as many tracepoints.
    floor: usize,
}

const fn way(name: &'static str, floor: usize, attach: Attach) -> Way {
    Way { name, attach, floor }
}

/// Of calls. While nothing is selected nothing is attached: the first.
const CALL_WAYS: &[Way] = &[
    way("nothing attached", 0, || Ok(Attached::Nothing)),
    way("an empty program", 1, || Ok(Attached::Empty(Empty::start(&["sys_enter"])?))),
    way("recording", 1, || Ok(Attached::Ours(Box::new(Recording::start(CALLS)?)))),
    way("two empty programs", 3, || Ok(Attached::Empty(Empty::start(&["sys_enter", "sys_exit"])?))),
    way("recording, and denials", 3, || Ok(Attached::Ours(Box::new(Recording::start(DENIALS)?)))),
    way("an event for each call", 1, || Ok(Attached::Ring(Reader::start()?))),
];

/// Of accesses: those that are told already, as nearly all are after a while.
const ACCESS_WAYS: &[Way] = &[
    way("nothing attached", 0, || Ok(Attached::Nothing)),
    way("an empty program", 1, || Ok(Attached::Empty(Empty::start(&["sys_exit"])?))),
    way("accesses", 1, || Ok(Attached::Ours(Box::new(Recording::start(ACCESSES)?)))),
    way("two empty programs", 3, || Ok(Attached::Empty(Empty::start(&["sys_enter", "sys_exit"])?))),
    way("accesses, and calls", 3, || Ok(Attached::Ours(Box::new(Recording::start(BOTH)?)))),
];

/// Reads a ring as fast as it may until it is dropped.
struct Reader {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn start() -> Result<Self, Failed> {
        let mut ring = Ring::start(apart::namespace(std::process::id())?)?;
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                if ring.read().is_err() {
                    return;
                }
                std::thread::park_timeout(LOOK);
            }
        });
        Ok(Self { ended, thread: Some(thread) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _nobody_to_tell = self.thread.take().map(JoinHandle::join);
    }
}

fn main() -> Result<(), Failed> {
    let short = env::var_os("BENCH").is_some_and(|how| how == "short");
    match work::role()? {
        Role::Measure => {}
        Role::Work(work) => {
            println!("{}", work.measured(short)?);
            return Ok(());
        }
        Role::Answer => return work::answer(),
    }
    if let Err(refused) = Recording::start(CALLS) {
        println!("the cost of recording is not measured: {refused}");
        return Ok(());
    }
    until_attached(short)?;
    for (works, ways) in [(&Work::CALLS[..], CALL_WAYS), (&Work::ACCESSES[..], ACCESS_WAYS)] {
        for work in works {
            measure(*work, ways, work.rounds(short))?;
        }
    }
    Ok(())
}

/// How long it takes to load programs, which is done before they are needed, and from then until they run: what a container
/// does before that is not recorded.
fn until_attached(short: bool) -> Result<(), Failed> {
    println!("programs, at the least and mostly: ms{:>15}{:>24}", "loaded", "run");
    for (name, watch) in [("calls", CALLS), ("accesses", ACCESSES), ("both", BOTH)] {
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..if short { 3 } else { 15 } {
            let start = Instant::now();
            let mut recording = Recording::ready(watch)?;
            let loaded = start.elapsed();
            let start = Instant::now();
            recording.run(watch)?;
            for (took, this) in took.iter_mut().zip([loaded, start.elapsed()]) {
                took.push(this.as_secs_f64() * 1e3);
            }
        }
        print!("{name:26}");
        for took in &mut took {
            took.sort_by(f64::total_cmp);
            print!("{:14.1} {:9.1}", took[0], took[took.len() / 2]);
        }
        println!();
    }
    println!();
    Ok(())
}

/// Best of several rounds, each way in each round: what else the machine does comes and goes.
fn measure(work: Work, ways: &[Way], rounds: u32) -> Result<(), Failed> {
    let mut best = vec![[f64::MAX; 2]; ways.len()];
    for _ in 0..rounds {
        for (way, best) in ways.iter().zip(&mut best) {
            let attached = (way.attach)()?;
            for (apart, best) in [true, false].into_iter().zip(best) {
                *best = best.min(run(work, apart)?);
            }
            drop(attached);
        }
    }
    println!("{}: {}, and what is added, and that beside the floor", work.name(), work.unit());
    println!("{:26}{:>30}{:>34}", "", "recorded", "on the host, not recorded");
    for (Way { name, floor, .. }, of) in ways.iter().zip(&best) {
        print!("{name:26}");
        for side in 0..2 {
            let added = of[side] - best[0][side];
            let floor = best[*floor][side] - best[0][side];
            // Where the floor is not above nothing, all of it is noise.
            let beside = if floor > 0.0 && added > 0.0 {
                format!("{:.2}", added / floor)
            } else {
                "-".to_owned()
            };
            print!("{:14.1} {added:9.1} {beside:>8}", of[side]);
        }
        println!();
    }
    println!();
    Ok(())
}

/// The work in a process of its own.
fn run(work: Work, recorded: bool) -> Result<f64, Failed> {
    let mut command = Command::new(env::current_exe()?);
    command.env(work::WORK, work.name()).stdout(Stdio::piped());
    let child = if recorded { apart::start(&mut command)? } else { command.spawn()? };
    let output = child.wait_with_output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
