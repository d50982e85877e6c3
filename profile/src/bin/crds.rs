//! Writes the custom resource definitions into a folder: that of the chart, or the one that is named.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, ensure};

fn main() -> anyhow::Result<()> {
    let mut args = env::args_os().skip(1);
    let folder = args.next().map_or_else(chart, PathBuf::from);
    ensure!(args.next().is_none(), "usage: crds [FOLDER]");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for crd in profile::crd::all() {
        let (name, text) = profile::crd::file(&crd).context("cannot write a definition as YAML")?;
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn chart() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/cinch/crds"))
}
