//! How long scanning takes, beside a floor in the same run: reading the same files, and decoding all of their code once
//! from its beginning to its end.
//!
//! Of the programs that `tests/prepare programs` unpacks, or of those of this machine. `BENCH=short` makes it quick and rough.

#![expect(clippy::print_stdout, reason = "a table is what this is for")]

use std::{env, error::Error, hint::black_box, path::PathBuf, time::Instant};

use goblin::elf::{Elf, header::EM_AARCH64, section_header::SHF_EXECINSTR};
use iced_x86::{Decoder, DecoderOptions, Instruction};
use recorder::scan::{self, Report, Scope, root::Root};
use yaxpeax_arch::{Decoder as _, U8Reader};
use yaxpeax_arm::armv8::a64::InstDecoder;

use built::built;

#[path = "../tests/shared/built.rs"]
mod built;

const PROGRAMS: [(&str, &str); 4] = [
    ("nginx", "/usr/sbin/nginx"),
    ("redis-server", "/usr/bin/redis-server"),
    ("PostgreSQL", "/usr/lib/postgresql/15/bin/postgres"),
    ("python3", "/usr/bin/python3"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let short = env::var_os("BENCH").is_some_and(|how| how == "short");
    let rounds = if short { 1 } else { 5 };
    println!("ms: scanning, and reading and decoding the same files; best of {rounds}");
    let unpacked = |recipe: &str| Some(built(recipe, "root/usr/sbin/nginx").ok()?.join("root"));
    let own = unpacked("programs").unwrap_or_else(|| PathBuf::from("/"));
    for (machine, folder) in [("", Some(own)), ("arm64", unpacked("arm64"))] {
        match folder {
            Some(folder) => all(machine, &Root::open(&folder)?, rounds)?,
            None => println!("{machine}: no programs are there"),
        }
    }
    Ok(())
}

fn all(machine: &str, root: &Root, rounds: u32) -> Result<(), Box<dyn Error>> {
    for (name, path) in PROGRAMS {
        let shown = format!("{name} {machine}");
        if root.find(path).is_err() {
            println!("{shown:19} is not there");
            continue;
        }
        let scope = Scope { entrypoints: vec![path.to_owned()], plugins: Vec::new() };
        let (mut best, mut floor) = (f64::MAX, f64::MAX);
        let mut report = scan::scan(root, &scope)?;
        for _ in 0..rounds {
            let start = Instant::now();
            report = black_box(scan::scan(root, &scope)?);
            best = best.min(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            black_box(decode(root, &report)?);
            floor = floor.min(start.elapsed().as_secs_f64() * 1e3);
        }
        println!(
            "{shown:19} {best:7.0} {floor:7.0}   ratio {:5.1}   {} files, {} of {} functions, {} of {} calls, {} unresolved",
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
            let code = code.unwrap_or_default();
            count += if elf.header.e_machine == EM_AARCH64 { words(code) } else { x86(code) };
        }
    }
    Ok(count)
}

fn x86(code: &[u8]) -> usize {
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut count = 0;
    while decoder.can_decode() {
        decoder.decode_out(black_box(&mut instruction));
        count += 1;
    }
    count
}

fn words(code: &[u8]) -> usize {
    let decoder = InstDecoder::default();
    let decoded = |word: &[u8]| black_box(decoder.decode(&mut U8Reader::new(word))).is_ok();
    code.chunks_exact(4).filter(|word| decoded(word)).count()
}
