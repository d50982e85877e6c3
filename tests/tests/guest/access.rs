//! Is what programs do told by hooks where these can be had, as it is by tracepoints?

use std::{
    env,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use tests::guest::{Guest, Lsm::AppArmor, images::Images};

use crate::questions;

questions![what_programs_do_is_told_by_hooks, what_programs_do_is_told_by_tracepoints];

async fn what_programs_do_is_told_by_hooks(images: &Images) -> Result<()> {
    let tier = "by LSM hooks: files, programs, capabilities, sockets, mounts, signals, ptrace";
    told(Guest::new(images, AppArmor)?, tier, "").await
}

/// This kernel has no tracepoint of capabilities.
async fn what_programs_do_is_told_by_tracepoints(images: &Images) -> Result<()> {
    let tier = "by tracepoints: files, programs, sockets, mounts, signals, ptrace; not at all: capabilities";
    let others = "--skip capabilities_are_told --skip sockets_are_told";
    told(Guest::new(images, AppArmor)?.without_hooks(), tier, others).await
}

/// The tests that say it of the kernel at hand, run in the guest's: they say themselves by what they are told.
async fn told(guest: Guest, tier: &str, others: &str) -> Result<()> {
    guest
        .limit(Duration::from_secs(400))
        .program("/usr/bin/access-tests", &access_tests()?)?
        .run(&format!(
            r"insmod /usr/lib/guest/overlay.ko || fail no layers
            export CINCH_TIER='{tier}'
            access-tests --test-threads 1 --skip many_files {others} >/tmp/said 2>&1 ||
                {{ cat /tmp/said; fail it says otherwise; }}
            cat /tmp/said
            grep -q ' 0 ignored' /tmp/said || fail skipped",
        ))
        .await?
        .success()?;
    Ok(())
}

/// What a variable of the environment says, or what cargo built last beside this test.
fn access_tests() -> Result<PathBuf> {
    if let Some(path) = env::var_os("CINCH_ACCESS_TESTS_BIN") {
        return Ok(path.into());
    }
    let test = env::current_exe()?;
    let folder = test.parent().context("a test lives in a folder")?;
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("access-") && path.extension().is_none() {
            let made = path.metadata()?.modified()?;
            if newest.as_ref().is_none_or(|(before, _)| *before < made) {
                newest = Some((made, path));
            }
        }
    }
    Ok(newest
        .context("no tests of accesses: cargo test -p recorder --test access --no-run makes them")?
        .1)
}
