//! Takes away all that was installed, and tells what could not be.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use node_installer::uninstall;

use crate::{args::Purge, run};

/// Takes away profiles, then what was kept of them.
pub(crate) fn purge(flags: &Purge) -> anyhow::Result<ExitCode> {
    let Purge { node, force } = flags;
    let mut left = Vec::new();
    for mut backend in run::backends(node) {
        let mechanism = backend.mechanism();
        left.extend(
            uninstall::profiles(&mut *backend, &node.layout, *force)
                .with_context(|| format!("cannot take away what there is of {mechanism}"))?,
        );
    }
    if left.is_empty() {
        if !uninstall::is_all_gone(&node.layout)? {
            return Ok(ExitCode::SUCCESS);
        }
        uninstall::state(&node.layout)
            .context("profiles are gone, but not what was kept of them")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::from("left on the node:\n");
    text.extend(left.iter().map(|line| format!("  {line}\n")));
    std::io::stderr().write_all(text.as_bytes()).context("cannot print")?;
    Ok(ExitCode::FAILURE)
}
