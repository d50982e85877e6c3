//! How many audit records are read, taken apart and told whose they are in a second, beside reading and splitting the same lines
//! alone, in the same run.
//!
//! `BENCH=short` makes it quick and rough.

#![expect(clippy::print_stdout, reason = "a table is what this is for")]

use std::{
    env,
    error::Error,
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use recorder::logs::{Choice, Event, Follower, From, Options, Origin, file::LogFile};

/// As auditd writes them: a call, an access, permissions, and what is none of ours.
const FORMS: [&str; 4] = [
    "type=SECCOMP msg=audit(STAMP): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=PID comm=\"x\" exe=\"/usr/bin/x\" sig=0 arch=c000003e syscall=39 compat=0 ip=0x7f30c7187829 code=0x7ffc0000",
    "type=AVC msg=audit(STAMP): apparmor=\"ALLOWED\" operation=\"open\" profile=\"p\" name=\"/etc/passwd\" pid=PID comm=\"x\" requested_mask=\"r\" denied_mask=\"r\" fsuid=0 ouid=0",
    "type=AVC msg=audit(STAMP): avc:  denied  { write open } for  pid=PID comm=\"sh\" path=\"/tmp/x/yes\" dev=\"vda\" ino=7991 scontext=u:r:a_t:s0 tcontext=u:object_r:b_t:s0 tclass=file permissive=1",
    "type=SYSCALL msg=audit(STAMP): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1=7ffd items=1 ppid=1 pid=PID auid=0 uid=0 gid=0 comm=\"x\" exe=\"/usr/bin/x\"",
];

fn main() -> Result<(), Box<dyn Error>> {
    let short = env::var_os("BENCH").is_some_and(|how| how == "short");
    let (lines, rounds) = if short { (20_000, 3) } else { (200_000, 9) };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("audit.log");
    write(&path, lines)?;
    let mut floors = Vec::new();
    let mut ours = Vec::new();
    // Turn by turn: what disturbs one disturbs the other.
    for _ in 0..rounds {
        floors.push(split(&path, lines)?);
        ours.push(follow(&path, lines)?);
    }
    let best = |times: Vec<Duration>| times.into_iter().min().unwrap_or_default().as_secs_f64();
    let (floor, own) = (best(floors), best(ours));
    let count = f64::from(u32::try_from(lines)?);
    println!("{lines} lines, best of {rounds}");
    println!("read and split           {:>10.0} lines/s", count / floor);
    println!(
        "parsed and attributed    {:>10.0} lines/s  {:.2}x the time",
        count / own,
        own / floor
    );
    Ok(())
}

/// Lines of this process, of now.
fn write(path: &Path, lines: usize) -> Result<(), Box<dyn Error>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let process = std::process::id().to_string();
    let mut text = String::new();
    for (number, form) in (0..lines).zip(FORMS.iter().cycle()) {
        let stamp = format!("{}.{:03}:{number}", now.as_secs() + 1, now.subsec_millis());
        writeln!(text, "{}", form.replace("STAMP", &stamp).replace("PID", &process))?;
    }
    Ok(std::fs::write(path, text)?)
}

fn split(path: &Path, lines: usize) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    let mut log = LogFile::open(path, From::Start)?;
    let mut count = 0;
    while count < lines {
        log.read(Duration::ZERO, &mut |_| count += 1)?;
    }
    Ok(begun.elapsed())
}

fn follow(path: &Path, lines: usize) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    let source = Choice::File(path.to_owned());
    let options = Options { source, from: From::Start, ..Options::default() };
    let mut follower = Follower::open(&options)?;
    // One form in four is no record of ours.
    let records = lines / FORMS.len() * (FORMS.len() - 1);
    let mut known = 0;
    while known < records {
        follower.read(Duration::ZERO, &mut |event| {
            if let Event::Record(_, Origin::Known(_), _) = event {
                known += 1;
            }
        })?;
    }
    Ok(begun.elapsed())
}
