//! The programs of this repository, as cargo has built them.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// What a variable of the environment says, or what cargo built beside the folder of this test.
pub fn program(name: &str, variable: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    let test = env::current_exe()?;
    let folder =
        test.parent().and_then(Path::parent).context("a test lives in target/debug/deps")?;
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "no {}: cargo build --workspace --bins makes it, with --release for figures",
        path.display()
    );
    Ok(path)
}
