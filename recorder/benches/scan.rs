//! How long scanning takes, beside a floor in the same run: reading the same files, and decoding all of their code once
//! from its beginning to its end.
//!
//! Of the programs that `tests/prepare programs` unpacks, or of those of this machine. `BENCH=short` makes it quick and rough.

#![expect(clippy::print_stdout, reason = "a table is what this is for")]

use std::{
    env,
    error::Error,
    hint::black_box,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use goblin::elf::{Elf, section_header::SHF_EXECINSTR};
use iced_x86::{Decoder, DecoderOptions, Instruction};
use recorder::scan::{self, Report, Scope, root::Root};

const PROGRAMS: [(&str, &str); 4] = [
    ("nginx", "/usr/sbin/nginx"),
    ("redis-server", "/usr/bin/redis-server"),
    ("PostgreSQL", "/usr/lib/postgresql/15/bin/postgres"),
    ("python3", "/usr/bin/python3"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let short = env::var_os("BENCH").is_some_and(|how| how == "short");
    let rounds = if short { 1 } else { 5 };
    let folder = unpacked().unwrap_or_else(|| PathBuf::from("/"));
    let root = Root::open(&folder)?;
    println!("ms: scanning, and reading and decoding the same files; best of {rounds}");
    for (name, path) in PROGRAMS {
        if root.find(path).is_err() {
            println!("{name:13} is not there");
            continue;
        }
        let scope = Scope { entrypoints: vec![path.to_owned()], plugins: Vec::new() };
        let (mut best, mut floor) = (f64::MAX, f64::MAX);
        let mut report = scan::scan(&root, &scope)?;
        for _ in 0..rounds {
            let start = Instant::now();
            report = black_box(scan::scan(&root, &scope)?);
            best = best.min(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            black_box(decode(&root, &report)?);
            floor = floor.min(start.elapsed().as_secs_f64() * 1e3);
        }
        println!(
            "{name:13} {best:7.0} {floor:7.0}   ratio {:5.1}   {} files, {} of {} functions, {} of {} calls, {} unresolved",
            best / floor,
            report.files.len(),
            report.functions.0,
            report.functions.1,
            report.calls.len(),
            report.anywhere,
            report.unresolved.len(),
        );
    }
    Ok(())
}

/// How many instructions there are in all files.
fn decode(root: &Root, report: &Report) -> Result<usize, Box<dyn Error>> {
    let mut count = 0;
    for file in &report.files {
        let bytes = root.find(file)?.bytes()?;
        let elf = Elf::parse(&bytes)?;
        let code = |flags: u64| flags & u64::from(SHF_EXECINSTR) != 0;
        for section in elf.section_headers.iter().filter(|section| code(section.sh_flags)) {
            let code = section.file_range().and_then(|range| bytes.get(range));
            let mut decoder = Decoder::new(64, code.unwrap_or_default(), DecoderOptions::NONE);
            let mut instruction = Instruction::default();
            while decoder.can_decode() {
                decoder.decode_out(&mut instruction);
                count += 1;
            }
        }
    }
    Ok(count)
}

fn unpacked() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let recipe =
        Command::new(repository.join("tests/programs/build")).arg("--key").output().ok()?;
    let key = String::from_utf8(recipe.stdout).ok()?;
    let root = repository.join("build/programs").join(key.trim()).join("root");
    root.is_dir().then_some(root)
}
