//! How many instructions does a system call take more while it is recorded?
//!
//! They are counted, not timed: the same programs take the same number on every machine, each time. A bound is what the
//! programs took when it was written, and a tenth, as another compiler makes other code of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use tests::{
    built,
    guest::{Guest, Lsm::AppArmor, images::Images},
};

use crate::questions;

questions![recording_takes_few_instructions];

/// More than a program that does nothing, for a call that was seen before. 91: what is known of its stack by an array's
/// lookup (27 with the place in it), the tests of place and number (9), the slot by a lookup (14), its bit (12), and two
/// registers' loads that the kernel guards (20); the rest is moves. None of them is a call, which takes more time than all of
/// these where processors may not guess where a return leads.
const RECORDED: u64 = 100;
/// On the host: 47. What is known of its stack, and that this says that it is the host's.
const HOST: u64 = 51;
/// More than two programs that do nothing: 3 for a call that did not fail, which a test of the sign tells.
const DENIALS: u64 = 4;

async fn recording_takes_few_instructions(images: &Images) -> Result<()> {
    let program = built::program("instructions", "CINCH_INSTRUCTIONS_BIN")?;
    let outcome = Guest::new(images, AppArmor)?
        .program("/usr/bin/instructions", &program)?
        .counting()
        .run("instructions")
        .await?
        .success()?;
    let counts = counts(&outcome.output)?;
    let count = |way: &str| counts.get(way).with_context(|| format!("no {way}: {counts:?}"));
    let [nothing, empty, calls] = [count("nothing")?, count("empty")?, count("calls")?];
    let [twice, denials] = [count("empty-twice")?, count("denials")?];
    ensure!(nothing.0 < empty.0 && empty.0 < twice.0, "nothing is counted: {counts:?}");
    ensure!(empty.0 == empty.1, "what does nothing takes as long for everybody: {counts:?}");
    ensure!(calls.0 - empty.0 <= RECORDED, "of a recorded process: {counts:?}");
    ensure!(calls.1 - empty.1 <= HOST, "on the host: {counts:?}");
    ensure!(denials.0 - twice.0 <= RECORDED + DENIALS, "with denials: {counts:?}");
    ensure!(denials.1 - twice.1 <= HOST + DENIALS, "with denials, on the host: {counts:?}");
    Ok(())
}

/// By way: of a recorded process, and on the host.
fn counts(output: &str) -> Result<BTreeMap<String, (u64, u64)>> {
    let count = |word: Option<&str>| -> Result<u64> {
        word.and_then(|word| word.parse().ok()).with_context(|| format!("no number in {output}"))
    };
    output
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let way = words.next().context("an empty line")?.to_owned();
            Ok((way, (count(words.next())?, count(words.next())?)))
        })
        .collect()
}
