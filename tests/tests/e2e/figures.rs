//! How much memory does each daemon take, after all that was asked of it?

use anyhow::{Result, ensure};

use crate::{
    chaos::DAEMONS,
    ground::{Ground, Skipped},
    questions,
};

questions![no_daemon_takes_more_memory_than_it_may];

/// In MiB, of each process of a part.
const MOST: &[(&str, u64)] =
    &[("webhook", 50), ("controller", 100), ("node-installer", 30), ("recorder", 40)];

async fn no_daemon_takes_more_memory_than_it_may(ground: &mut Ground) -> Result<()> {
    if std::env::var("E2E_PROFILE").as_deref() != Ok("release") {
        return Err(Skipped(
            "programs for debugging are larger: make test-e2e E2E_PROFILE=release",
        )
        .into());
    }
    ground.installed().await?;
    let mut figures = Vec::new();
    for ((words, part), (_, most)) in DAEMONS.iter().zip(MOST) {
        let memory = ground.worker.memory(words);
        ensure!(!memory.is_empty(), "no process of {part}");
        figures.push((*part, *most, memory));
    }
    let within =
        |(_, most, memory): &(_, u64, Vec<u64>)| memory.iter().all(|one| *one <= most * 1024);
    ensure!(figures.iter().all(within), "part, MiB that it may take, KiB of each: {figures:?}");
    Ok(())
}
