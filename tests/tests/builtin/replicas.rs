//! Of replicas that each do one thing which the others do not: does the merged profile allow all of it, and no more?

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use tests::bundle::{Bundle, Runtime, files::Files};
use tokio::{runtime::Handle, time::timeout};

use crate::{LIMIT, failed, recorded::Recorders};

const RUN: Duration = Duration::from_secs(30);

/// What each replica does beside what all do; none of the calls is made by another one.
const OWN: [&str; 10] = [
    "mkdir /tmp/a",
    "ln /srv/job.sh /srv/linked",
    "ln -s /nowhere /tmp/a",
    "chmod 700 /tmp",
    "touch /tmp/a",
    "mv /srv/job.sh /srv/moved",
    "mkfifo /tmp/a",
    "chroot / busybox true",
    "truncate -s 1 /srv/job.sh",
    "renice -n 1 1",
];

/// What none of them does.
const OTHER: &str = "hostname other";

pub(crate) fn trial(handle: &Handle) -> Trial {
    let handle = handle.clone();
    let name = "replicas::the_merged_profile_of_ten_replicas_allows_what_each_of_them_does";
    Trial::ignorable_test(name, move || {
        let files = match Files::find() {
            Ok(files) => files,
            Err(missing) => return Ok(Completion::ignored_with(missing)),
        };
        let answer = handle.block_on(async { timeout(LIMIT, replicas(&files)).await? });
        answer.map(|()| Completion::Completed).map_err(|error| -> Failed { failed(&error) })
    })
}

async fn replicas(files: &Files) -> Result<()> {
    let recorders = Recorders::new()?;
    let mut bundles = Vec::new();
    for own in OWN {
        let bundle = bundle(files, None)?;
        recorders.begin(bundle.id())?;
        bundles.push((own, bundle));
    }
    // All are recorded at once: none may be taken for another.
    for (own, bundle) in bundles {
        bundle.run(&script(own), RUN).await.with_context(|| format!("recorded: {own}"))?;
    }
    let recorded = recorders.written().await?;
    let merged = merged(recorders.program(), &recorded)?;
    for (number, own) in OWN.into_iter().enumerate() {
        let first: Value =
            serde_json::from_slice(&std::fs::read(&recorded[usize::from(number == 0)])?)?;
        let said = bundle(files, Some(first))?.run(&script(own), RUN).await;
        ensure!(said.is_err(), "{own} is nothing that another replica does not do");
        let all = bundle(files, Some(merged.clone()))?;
        all.run(&script(own), RUN).await.with_context(|| format!("{own}, under {merged}"))?;
    }
    let free = bundle(files, None)?.powers();
    free.run(&script(OTHER), RUN).await.context("without a filter")?;
    let other = bundle(files, Some(merged))?.powers().run(&script(OTHER), RUN).await;
    ensure!(other.is_err(), "{OTHER} is allowed");
    Ok(())
}

fn bundle(files: &Files, filter: Option<Value>) -> Result<Bundle> {
    let bundle = Bundle::new(files, Runtime::Runc, filter)?.no_new_privileges(true);
    bundle.text("job.sh", "echo a line >/dev/null\n")
}

/// What all do, and then this.
fn script(own: &str) -> [&str; 5] {
    ["busybox", "sh", "-ec", ". /srv/job.sh; busybox ls /srv; exec busybox $0", own]
}

/// What `cinch merge` makes of the files, as a runtime reads it.
fn merged(cinch: &Path, files: &[PathBuf]) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let all = folder.path().join("all.yaml");
    std::fs::write(&all, output(Command::new(cinch).arg("merge").args(files))?)?;
    let convert = ["convert", "--to", "raw", "--name", "all"];
    Ok(serde_json::from_slice(&output(Command::new(cinch).args(convert).arg(all))?)?)
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(output.stdout)
}
