//! The command line: writes all images, or the files of all images.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use images::{
    archive::{Image, pack},
    gather::Sources,
    recipe::RECIPES,
};

/// Builds container images of the programs that cargo has built.
#[derive(Debug, Parser)]
#[command(name = "images", version)]
struct Cli {
    /// Take the programs that were built with this profile, as cargo names its folder
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// Write NAME.tar for each image into this folder
    #[arg(long, value_name = "DIR", default_value = "build/images")]
    output: PathBuf,
    /// Write no images but what is in them, a folder for each, below this one
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    roots: Option<PathBuf>,
    /// Name the images as if they were of this registry
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    registry: String,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> Result<()> {
    let Cli { profile, output, roots, registry } = Cli::parse();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = Sources::find(&repository, &profile)?;
    for recipe in RECIPES {
        let gathered = sources.gather(&recipe).with_context(|| recipe.program)?;
        if let Some(roots) = &roots {
            let root = roots.join(recipe.program);
            gathered
                .files
                .write(&root)
                .with_context(|| format!("cannot write {}", root.display()))?;
            continue;
        }
        let name = format!("{registry}/{}:{VERSION}", recipe.program);
        let packed = pack(&Image {
            name: &name,
            version: VERSION,
            architecture: gathered.architecture,
            user: recipe.user,
            entrypoint: &format!("/{}", recipe.path()),
            files: &gathered.files,
        })?;
        let path = output.join(format!("{}.tar", recipe.program));
        replace(&path, &packed.bytes)?;
        let (size, unpacked) = (mebibytes(packed.bytes.len()), mebibytes(gathered.files.size()));
        let (path, digest) = (path.display(), packed.digest);
        writeln!(io::stdout(), "{name}: {path}, {size} MiB, unpacked {unpacked} MiB, {digest}")?;
    }
    Ok(())
}

/// Whoever reads while it is written reads the old one.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().set_permissions(fs::Permissions::from_mode(0o644)))
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

fn mebibytes(bytes: usize) -> String {
    format!("{}.{}", bytes >> 20, (bytes >> 10 & 1023) * 10 / 1024)
}
