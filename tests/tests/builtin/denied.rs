//! Are calls outside of a profile refused to a program that has every capability?

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::bundle::Bundle;

use crate::{Ground, elf, questions};

questions![
    dangerous_calls_are_refused_whatever_capabilities_there_are,
    without_a_profile_most_of_them_are_not_refused,
    calls_of_another_architecture_end_the_program,
];

const LIMIT: Duration = Duration::from_secs(30);

/// What is answered as by a kernel that does not have it, so that libraries do without.
const NO_SUCH_CALL: &[&str] = &["clone3", "execveat", "io_uring_setup"];
/// What programs list addresses with.
const ROUTE: &str = "socket(AF_NETLINK, NETLINK_ROUTE)";

async fn dangerous_calls_are_refused_whatever_capabilities_there_are(
    ground: &Ground<'_>,
) -> Result<()> {
    let profiles: Vec<String> =
        ground.node.filters()?.into_keys().filter(|name| name.starts_with("app-")).collect();
    ensure!(profiles.len() >= 7, "{profiles:?}");
    for profile in profiles {
        let answers = answers(ground.under(&profile)?).await.with_context(|| profile.clone())?;
        let lists_addresses = ["app-java", "app-node", "app-python"].contains(&profile.as_str());
        let wrong: Vec<_> = answers
            .into_iter()
            .filter(|(call, error)| {
                let expected = match call.as_str() {
                    ROUTE if lists_addresses => 0,
                    call if NO_SUCH_CALL.contains(&call) => libc::ENOSYS,
                    _ => libc::EPERM,
                };
                *error != expected
            })
            .collect();
        ensure!(wrong.is_empty(), "under {profile}: {wrong:?}");
    }
    Ok(())
}

/// Otherwise the question above would say nothing about profiles.
async fn without_a_profile_most_of_them_are_not_refused(ground: &Ground<'_>) -> Result<()> {
    let answers = answers(Bundle::new(ground.files, ground.way.runtime, None)?).await?;
    let refused: Vec<_> =
        answers.iter().filter(|(_, error)| [libc::EPERM, libc::ENOSYS].contains(error)).collect();
    ensure!(refused.len() * 5 < answers.len(), "{refused:?}");
    for call in [
        "unshare(CLONE_NEWUSER)",
        "unshare(CLONE_NEWNS)",
        "clone(CLONE_NEWNS)",
        "keyctl",
        "mount",
        "ptrace",
    ] {
        let answer = answers.get(call).with_context(|| format!("no answer to {call}"))?;
        ensure!(*answer != libc::EPERM, "{call} is refused anyway");
    }
    Ok(())
}

/// The numbers of calls mean something else there, and would be looked up among those of this architecture.
async fn calls_of_another_architecture_end_the_program(ground: &Ground<'_>) -> Result<()> {
    let entries: &[_] = if cfg!(target_arch = "x86_64") { &[elf::IA32, elf::X32] } else { &[] };
    for entry in entries {
        let program = elf::program(&[entry, &elf::end_with(0)[..]].concat());
        let free = Bundle::new(ground.files, ground.way.runtime, None)?;
        free.program("program", &program)?.run(&["/srv/program"], LIMIT).await?;
        let bundle = ground.under("app-web-server")?.program("program", &program)?;
        let mut container = bundle.start(&["/srv/program"])?;
        let status = container.ended(LIMIT).await?;
        // As a shell tells of a signal.
        let killed = status.code() == Some(128 + libc::SIGSYS);
        ensure!(killed, "{entry:x?} ended with {status}: {}", container.log()?);
    }
    Ok(())
}

/// What the kernel says to each call.
async fn answers(bundle: Bundle) -> Result<BTreeMap<String, i32>> {
    let program = fs::read(env!("CARGO_BIN_EXE_calls"))?;
    let said = bundle.powers().program("calls", &program)?.run(&["/srv/calls"], LIMIT).await?;
    let answers: Option<BTreeMap<_, _>> = said
        .lines()
        .map(|line| {
            let (call, error) = line.rsplit_once(": ")?;
            Some((call.to_owned(), error.parse().ok()?))
        })
        .collect();
    let answers = answers.filter(|answers| answers.len() > 40);
    answers.with_context(|| format!("not what was to be printed:\n{said}"))
}
